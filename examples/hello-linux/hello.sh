#!/bin/sh
# The Linux counterpart of hello-wasm: says hello, its arguments and its environment.
echo "hello from linux"
for argument in "$0" "$@"; do echo "arg $argument"; done
env | while read -r entry; do echo "env $entry"; done
