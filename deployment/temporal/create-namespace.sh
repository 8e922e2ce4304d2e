#!/bin/sh
# Creates the namespace where there is none, and sets how long it keeps closed runs; may run again at any time.
# TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE are read by the tool itself.
set -eu
RETENTION=${RETENTION:-90d}

# Half a minute each: for the server to answer, and then to notice its new namespace, before which a worker would fail.
patiently() {
  attempts=0
  until "$@"; do
    attempts=$((attempts + 1))
    [ "$attempts" -lt 30 ] || exit 1
    sleep 1
  done
}

patiently temporal operator cluster health
temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" > /dev/null 2>&1 ||
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
patiently temporal operator namespace update --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
