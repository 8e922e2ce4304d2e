#!/usr/bin/env bash
# A night on servers of the version and settings of docker-compose.yml, but without containers, and the same night on
# the local stack: both must have the same digest. The schedule's commands too. Wants Go (once, three minutes), a
# PostgreSQL of the system (POSTGRES_BIN) and openssl; leaves nothing but the built server in the cache.
#   deployment/servers-apart.sh [MovieLens folder]
set -euo pipefail
cd "$(dirname "$0")/.."
data=${1:-../shared/data/ml-latest-small}
as_of=2026-11-24T02:00:00Z
version=v$(sed -n 's/.*temporalio\/server://p' docker-compose.yml)
cache=${NIGHTJAR_CACHE:-$HOME/.cache/nightjar}
built=$cache/temporal-server-${version#v}
postgres=${POSTGRES_BIN:-$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -1)}
[ ! -e .nightjar ] || { echo 'the local stack has runs already, which would differ: npm run reset first' >&2; exit 2; }

node scripts/bootstrap.mjs
export PATH=$PWD/node_modules/.bin:$PATH
if [ ! -x "$built/server" ]; then
  GOBIN=$built GOFLAGS='' go install "go.temporal.io/server/cmd/server@$version" "go.temporal.io/server/cmd/tools/sql@$version"
fi
state=$(mktemp -d /var/tmp/nightjar-apart-XXXXXX)
mkdir -m 700 "$state/postgres"
as=()
if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses to run as root.
  chmod 711 "$state"
  chown postgres: "$state/postgres"
  as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
fi
ln -s "$built/sql" "$state/temporal-sql-tool"
for tool in "$cache"/temporal-cli-*/temporal; do [ ! -x "$tool" ] || ln -sf "$tool" "$state/temporal"; done
export PATH=$state:$postgres:$PATH
pids=()
finish() {
  for pid in "${pids[@]}"; do kill -INT "$pid" 2> /dev/null && wait "$pid" || true; done
  rm -rf "$state"
}
trap finish EXIT
# Temporal keeps its ports in columns that end at 32767.
port() {
  node --input-type=module -e 'import port, { portNumbers as from } from "get-port";
    const first = 10_000 + Math.floor(Math.random() * 20_000);
    console.log(await port({ host: "127.0.0.1", port: from(first, first + 2_000) }));'
}

password() { openssl rand -hex 24; }
TEMPORAL_PASSWORD=$(password) NIGHTJAR_PASSWORD=$(password) PGPASSWORD=$(password) PGHOST=127.0.0.1 PGPORT=$(port)
export TEMPORAL_PASSWORD NIGHTJAR_PASSWORD PGPASSWORD PGHOST PGPORT
echo "PostgreSQL: $(postgres --version)"
# Texts sort as for people here, as in the image, and by bytes in the local stack.
cd "$state" && echo "$PGPASSWORD" | "${as[@]}" sh -c 'cat > postgres/password'
"${as[@]}" initdb --pgdata "$state/postgres/data" --username postgres --auth scram-sha-256 \
  --pwfile "$state/postgres/password" --encoding UTF8 --locale-provider icu --icu-locale en-US > "$state/initdb.log"
"${as[@]}" postgres -D "$state/postgres/data" -h 127.0.0.1 -p "$PGPORT" -k "$state/postgres" > "$state/postgres.log" 2>&1 &
pids=($!)
cd - > /dev/null
until pg_isready --quiet --username postgres; do sleep 0.2; done
deployment/postgres/create-databases.sh

export SQL_PLUGIN=postgres12 SQL_HOST=$PGHOST SQL_PORT=$PGPORT SQL_USER=temporal SQL_PASSWORD=$TEMPORAL_PASSWORD
SCHEMA=$(go mod download -json "go.temporal.io/server@$version" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')/schema/postgresql/v12
export SCHEMA
for _ in 1 2; do deployment/temporal/setup-schema.sh; done > "$state/schema.log" 2>&1

TEMPORAL_ADDRESS=127.0.0.1:$(port) TEMPORAL_NAMESPACE=default
export TEMPORAL_ADDRESS TEMPORAL_NAMESPACE
env DB=postgres12 POSTGRES_SEEDS="$PGHOST" DB_PORT="$PGPORT" POSTGRES_USER=temporal POSTGRES_PWD="$TEMPORAL_PASSWORD" \
  BIND_ON_IP=127.0.0.1 NUM_HISTORY_SHARDS=4 LOG_LEVEL=warn DYNAMIC_CONFIG_FILE_PATH="$PWD/deployment/temporal/dynamic-config.yaml" \
  FRONTEND_GRPC_PORT="${TEMPORAL_ADDRESS#*:}" FRONTEND_HTTP_PORT="$(port)" FRONTEND_MEMBERSHIP_PORT="$(port)" \
  HISTORY_GRPC_PORT="$(port)" HISTORY_MEMBERSHIP_PORT="$(port)" MATCHING_GRPC_PORT="$(port)" \
  MATCHING_MEMBERSHIP_PORT="$(port)" WORKER_GRPC_PORT="$(port)" WORKER_MEMBERSHIP_PORT="$(port)" \
  "$built/server" start > "$state/temporal.log" 2>&1 &
pids=($! "${pids[@]}")
for _ in 1 2; do deployment/temporal/create-namespace.sh; done > "$state/namespace.log" 2>&1 || { tail "$state"/{temporal,namespace}.log; exit 1; }

digest() { npm run --silent pipeline -- digest; }
export DATABASE_URL=postgresql://nightjar:$NIGHTJAR_PASSWORD@$PGHOST:$PGPORT/nightjar
npm run --silent nightly -- --data "$data" --as-of "$as_of"
digest > "$state/apart"
npm run --silent schedule -- apply
npm run --silent schedule -- pause --note 'a trial'
npm run --silent schedule -- show
npm run --silent schedule -- resume
npm run --silent schedule -- remove --id nightjar-nightly
unset DATABASE_URL TEMPORAL_ADDRESS TEMPORAL_NAMESPACE PGHOST PGPORT PGPASSWORD
npm run --silent nightly -- --data "$data" --as-of "$as_of" > "$state/local.log" 2>&1
digest > "$state/together"
npm run --silent reset -- --yes
diff "$state/apart" "$state/together"
tail -1 "$state/apart"
echo 'the digests are equal'
