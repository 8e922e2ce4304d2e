#!/bin/sh
# Once, on an empty server: a role and databases for Temporal, a role and a database for the pipeline. Neither role
# can read what is the other's.
set -eu
psql --username "${POSTGRES_USER:-postgres}" --dbname postgres --no-psqlrc --quiet \
  --set ON_ERROR_STOP=1 --set temporal="$TEMPORAL_PASSWORD" --set nightjar="$NIGHTJAR_PASSWORD" <<'SQL'
create role temporal login password :'temporal';
create role nightjar login password :'nightjar';
create database temporal owner temporal;
create database temporal_visibility owner temporal;
create database nightjar owner nightjar;
revoke connect on database temporal, temporal_visibility, nightjar from public;
SQL
