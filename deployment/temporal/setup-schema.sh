#!/bin/sh
# Brings both of Temporal's databases to the schema of the server's version; may run again at any time.
# SQL_HOST, SQL_PORT, SQL_USER, SQL_PASSWORD and SQL_PLUGIN are read by the tool itself.
set -eu
SCHEMA=${SCHEMA:-/etc/temporal/schema/postgresql/v12}
for part in temporal visibility; do
  SQL_DATABASE=$([ "$part" = temporal ] && echo temporal || echo temporal_visibility)
  export SQL_DATABASE
  temporal-sql-tool setup-schema --version 0.0
  temporal-sql-tool update-schema --schema-dir "$SCHEMA/$part/versioned"
done
