#!/bin/sh
# The command `tandem`: its JavaScript, run by the Node that is installed with it. Links to this file are followed.
here=$(dirname "$(readlink -f "$0")")
# Milliseconds count there: no Node is started for it.
if [ "$1" = oci ]; then
  shift
  exec "$here/tandem-oci" "$@"
fi
exec "$here/../lib/tandem/node" --no-warnings "$here/../lib/tandem/cli.mjs" "$@"
