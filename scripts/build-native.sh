#!/bin/sh
# Builds native/ (addon, launcher, container-init) with the headers of the Node that will load it. A lock keeps two builds apart.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
node_home=$(cd "$(dirname "$(readlink -f "$root/node_modules/.bin/node")")/.." && pwd)
export PATH="$root/node_modules/.bin:$PATH"
# Debian's npm tells its scripts that Node's headers are those of its own Node 20, and node-gyp believes it rather than the flag.
export npm_config_nodedir="$node_home"
mkdir -p "$root/native/build"
exec flock "$root/native/build/.lock" node-gyp "${1:-build}" --directory="$root/native" --nodedir="$node_home" -j 2
