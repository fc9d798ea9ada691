#!/bin/sh
# The command `tandem`: its JavaScript, run by the Node that is installed with it. Links to this file are followed.
here=$(dirname "$(readlink -f "$0")")
# Milliseconds count there: no Node is started for it.
if [ "$1" = oci ]; then
  shift
  exec "$here/tandem-oci" "$@"
fi
# What it transpiles is for the zygote's children, whose V8 has these flags.
if [ "$1" = run ]; then
  # shellcheck disable=SC2046 # one flag a line, none with a blank
  exec "$here/../lib/tandem/node" $(cat "$here/../lib/tandem/zygote.args") "$here/../lib/tandem/cli.mjs" "$@"
fi
exec "$here/../lib/tandem/node" --no-warnings "$here/../lib/tandem/cli.mjs" "$@"
