#!/bin/sh
# The command `tandem`: its JavaScript, run by the Node that is installed with it. Links to this file are followed.
here=$(dirname "$(readlink -f "$0")")
exec "$here/../lib/tandem/node" --no-warnings "$here/../lib/tandem/cli.mjs" "$@"
