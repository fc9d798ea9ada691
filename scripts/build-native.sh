#!/bin/sh
# Builds native/ (addon, launcher, container-init) with the headers of the Node that will load it. A lock keeps two builds apart.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
node_home=$(cd "$(dirname "$(readlink -f "$root/node_modules/.bin/node")")/.." && pwd)
export PATH="$root/node_modules/.bin:$PATH"
mkdir -p "$root/native/build"
exec flock "$root/native/build/.lock" node-gyp "${1:-build}" --directory="$root/native" --nodedir="$node_home" -j 2
