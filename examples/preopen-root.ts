// Loaded before jco's command: its tools, wasm themselves, read wit files and sources through a preopened root, which
// preview2-shim no longer gives by default.
import { _addPreopen } from "@bytecodealliance/preview2-shim/filesystem";

// The package's types describe its browser build, where a preopen is a tree in memory; in Node it is a path of the host.
const addPreopen = _addPreopen as unknown as (guestPath: string, hostPath: string) => void;

addPreopen("/", "/");
