import { TandemError } from "../errors.ts";

/**
 * What jco's glue for WASI 0.3 does wrong, or so slowly that it comes to the same, put right in its text: the one place for it. Seen in
 * jco-transpile 0.15.0, whose intrinsics are at crates/js-component-bindgen/src/intrinsics of bytecodealliance/jco. Each patch must
 * find its text, or there is no glue: a new jco is looked at again, patch by patch.
 */
interface GluePatch {
  readonly name: string;
  /** Only glue with this text has what is patched. */
  readonly where: string;
  readonly find: string | RegExp;
  /** A replacement for String.replaceAll: `$1` is the first group. */
  readonly replace: string;
}

/** What is added to the glue's intrinsics, once. */
const wakeAll = "function _wakeAll() { for (const state of ASYNC_STATE.values()) { state.runTickLoop(); } }";

const patches: readonly GluePatch[] = [
  // Tasks that wait are looked at every 10 ms, and a host that waits for the guest looks every millisecond. Here whatever may have made
  // one ready says so, and the scheduler runs with the next turn of the event loop.
  {
    name: "the scheduler is woken",
    where: "class ComponentAsyncState {",
    find: "const ASYNC_STATE = new Map();",
    replace: `const ASYNC_STATE = new Map();\n${wakeAll}`,
  },
  {
    name: "the scheduler runs with the next turn of the loop",
    where: "class ComponentAsyncState {",
    find: /async runTickLoop\(\) \{\n[\s\S]*?\nthis\.#tickLoop = null;\n\}, 10\);\n\}\n/g,
    replace: `runTickLoop() {
if (this.#tickLoop !== null) { return; }
this.#tickLoop = setImmediate(() => {
this.#tickLoop = null;
const result = this.tick();
if (result === ComponentAsyncState.TickResult.RESUMED) { this.runTickLoop(); }
if (result === ComponentAsyncState.TickResult.IDLE) { _checkForDeadlock(); }
});
}
`,
  },
  {
    name: "a change of backpressure wakes",
    where: "class ComponentAsyncState {",
    find: "this.#backpressure = v;\n",
    replace: "this.#backpressure = v;\nthis.runTickLoop();\n",
  },
  {
    name: "an event wakes who waits for it",
    where: "class Waitable {",
    find: "this.#pendingEventFn = fn;\n}",
    replace: `this.#pendingEventFn = fn;
const waiters = this.hostWaiters;
this.hostWaiters = [];
for (const resolve of waiters) { resolve(); }
_wakeAll();
}

hostWaiters = [];
whenPending(resolve) {
if (this.#pendingEventFn !== null) { resolve(); } else { this.hostWaiters.push(resolve); }
}`,
  },
  {
    name: "a waitable that joins a set with its event wakes who waits for the set",
    where: "class WaitableSet {",
    find: "this.#waitables.push(waitable);\n}",
    replace: "this.#waitables.push(waitable);\nif (waitable.hasPendingEvent()) { _wakeAll(); }\n}",
  },
  {
    name: "a subtask that is done wakes",
    where: "class AsyncSubtask {",
    find: "this.#resolved = true;\nthis.#parentTask.removeSubtask(this);",
    replace: "this.#resolved = true;\n_wakeAll();\nthis.#parentTask.removeSubtask(this);",
  },
  {
    name: "a task that is rejected wakes",
    where: "class AsyncTask {",
    find: "this.setErrored(taskErr);\nif (this.#rejected) { return; }\n",
    replace: "this.setErrored(taskErr);\nif (this.#rejected) { return; }\n_wakeAll();\n",
  },
  {
    name: "the host waits for events",
    where: "let waitInterval = setInterval(",
    find: /let waitInterval = setInterval\((?:async )?\(\) => \{\nif \(!this\.hasPendingEvent\(\)\) \{ return; \}\nclearInterval\(waitInterval\);\nresolve\(\);\n\}\);/g,
    replace: "this.getWaitable().whenPending(resolve);",
  },
  {
    name: "an async call of the host returns within the turn of the loop",
    where: "// NOTE: whether the import settled before this timer fires",
    find: "setTimeout(() => {\n// NOTE: whether the import settled before this timer fires",
    replace: "setImmediate(() => {\n// NOTE: whether the import settled before this timer fires",
  },
  // A stream of the host's is read as far as the guest can take it: what is read beyond that is lost when the guest drops the stream, and
  // stdin has another reader after it.
  {
    name: "a source is asked for no more than the guest takes",
    where: "class PendingValueQueue {",
    find: "async readSource() {",
    replace: "async readSource(count) {",
  },
  // A read of nothing is how a guest waits for there to be something: it does not say how much will be taken then.
  {
    name: "a source is told how much the guest takes",
    where: "class PendingValueQueue {",
    find: "_trackHostOperation(() => this.#readFn());",
    replace: "_trackHostOperation(() => this.#readFn(count === 0 ? undefined : count));",
  },
  {
    name: "the count of a read is handed on",
    where: "class PendingValueQueue {",
    find: "await pendingValues.readSource();",
    replace: "await pendingValues.readSource(count);",
  },
  {
    name: "an iterator is told how much the guest takes",
    where: "function _genReadFnFromLowerableStream(stream) {",
    find: "readFn = () => asyncIterator.next();",
    replace: "readFn = (count) => asyncIterator.next(count);",
  },
  // Bytes go through as typed arrays and not as lists of numbers, of which 64 KiB take half a millisecond.
  {
    name: "bytes of the guest are a typed array",
    where: "class ManagedBuffer {",
    find: "values = Array.from(new Uint8Array(this.#memory.buffer, this.#ptr, count));",
    replace: "values = new Uint8Array(this.#memory.buffer, this.#ptr, count).slice();",
  },
  {
    name: "a buffer takes typed arrays",
    where: "class ManagedBuffer {",
    find: "if (!Array.isArray(values)) { throw new TypeError('values input",
    replace: "if (!Array.isArray(values) && !ArrayBuffer.isView(values)) { throw new TypeError('values input",
  },
  {
    name: "a buffer begins with a typed array",
    where: "class ManagedBuffer {",
    find: "if (args.data !== undefined && !Array.isArray(args.data)) {",
    replace: "if (args.data !== undefined && !Array.isArray(args.data) && !ArrayBuffer.isView(args.data)) {",
  },
  {
    name: "a buffer keeps a typed array",
    where: "class ManagedBuffer {",
    find: "this.#hostOnlyData = this.#hostOnlyData.concat(values);",
    replace:
      "this.#hostOnlyData = this.#hostOnlyData.length === 0 ? values : [...this.#hostOnlyData, ...values];",
  },
  {
    name: "the host gets a typed array",
    where: "new typedArray(values)",
    find: "new typedArray(values)",
    replace: "values instanceof typedArray ? values : new typedArray(values)",
  },
  {
    name: "the host writes a typed array",
    where: "async writeMany(values, opts = {}) {",
    find: 'if (!Array.isArray(values)) { throw new TypeError("writeMany',
    replace: 'if (!Array.isArray(values) && !ArrayBuffer.isView(values)) { throw new TypeError("writeMany',
  },
  {
    name: "a chunk is handed on as it is",
    where: "class PendingValueQueue {",
    find: "drainInto(target, maxCount) {",
    replace: `take(maxCount) {
const [chunk] = this.#chunks;
if (!ArrayBuffer.isView(chunk)) {
const values = [];
this.drainInto(values, maxCount);
return values;
}
const values = chunk.subarray(this.#offset, this.#offset + maxCount);
this.#offset += values.length;
this.#length -= values.length;
if (this.#offset === chunk.length) {
this.#chunks.shift();
this.#offset = 0;
}
return values;
}

drainInto(target, maxCount) {`,
  },
  {
    name: "a read takes a chunk",
    where: "function _genStreamHostInjectFn(genArgs) {",
    find: "const values = [];\nconst hasPendingReadBuffer",
    replace: "let values = [];\nconst hasPendingReadBuffer",
  },
  {
    name: "a read takes one chunk after the other",
    where: "function _genStreamHostInjectFn(genArgs) {",
    find: "count -= pendingValues.drainInto(values, count);",
    replace: `if (values.length === 0) {
values = pendingValues.take(count);
count -= values.length;
} else {
count -= pendingValues.drainInto(values, count);
}`,
  },
  // What is there is given to the guest; it must not wait for what may never come.
  {
    name: "what is left of a chunk is not kept until the next",
    where: "function _genStreamHostInjectFn(genArgs) {",
    find: "while (count > 0 && !pendingValues.done) {",
    replace:
      "while (count > 0 && !pendingValues.done && (values.length === 0 || pendingValues.sourceIsSync)) {",
  },
  // A guest may wait on its stack after task.return (waitable-set.wait, a stackful lift): it would wait for the taker of what it returned,
  // who waits for the guest to come back from the wait.
  {
    name: "what a task has returned is handed over when it waits",
    where: "class ComponentAsyncState {",
    find: "task.notifyProgress();\n\nthis.runTickLoop();",
    replace: "task.notifyProgress();\ntask.settleCompletion();\n\nthis.runTickLoop();",
  },
  {
    name: "an async export returns with its task",
    where: "return await _withGlobalCurrentTaskMetaAsync({\ntaskID: task.id(),",
    find: /return await _withGlobalCurrentTaskMetaAsync\(\{\ntaskID: task\.id\(\),([\s\S]*?\nthrow err;\n\}\n\},\n\})\);\n/g,
    replace: "return await _returned(task, _withGlobalCurrentTaskMetaAsync({\ntaskID: task.id(),$1));\n",
  },
  {
    name: "the result of a task",
    where: "return await _withGlobalCurrentTaskMetaAsync({\ntaskID: task.id(),",
    find: "async function _withGlobalCurrentTaskMetaAsync(args) {",
    replace: `async function _returned(task, running) {
running.catch(() => {});
const returned = task.completionPromise().then((result) => {
if (task.getErrHandling() !== 'throw-result-err' || typeof result !== 'object' || result === null) { return result; }
if (result.tag === 'err') { throw result.val; }
return result.tag === 'ok' ? result.val : result;
});
return await Promise.race([running, returned]);
}

async function _withGlobalCurrentTaskMetaAsync(args) {`,
  },
  // After an export has returned, its task may go on, and a trap then is told to nobody: whoever reads the body of an answer waits for
  // ever.
  {
    name: "a late trap is told",
    where: "class AsyncTask {",
    find: "if (parentTask) { parentTask.reject(taskErr); }\nreturn;",
    replace: `if (parentTask) { parentTask.reject(taskErr); } else { imports["tandem:late-trap"]?.(taskErr); }\nreturn;`,
  },
  {
    name: "a trap keeps V8's words, as in glue for 0.2",
    where: "const CORE_TRAP_MESSAGES = new Map([",
    find: "if (message !== undefined) { err.message = message; }",
    replace: "",
  },
  // A call that the guest has cancelled goes on in the host: it takes a datagram that the next call waits for, and its result is written
  // where the guest has put something else meanwhile. The host is told, and its result goes nowhere.
  {
    name: "the host learns of a call's subtask",
    where: "await  _withGlobalCurrentTaskMetaAsync({\ncomponentIdx: task.componentIdx(),",
    find: /(await {2}_withGlobalCurrentTaskMetaAsync\(\{\ncomponentIdx: task\.componentIdx\(\),\ntaskID: task\.id\(\),\nfn: \(\) => _trackHostOperation\(\(\) => .+)\),\n\}\)\n;/g,
    replace: "$1, subtask),\n})\n;",
  },
  {
    name: "a call can be cancelled",
    where: "function _trackHostOperation(operation) {",
    find: "function _trackHostOperation(operation) {\nconst result = operation();",
    replace: `function _trackHostOperation(operation, subtask) {
const call = subtask?.isAsync ? { cancelled: false, onCancel: undefined } : undefined;
if (call !== undefined) { subtask.hostCall = call; }
const run = imports["tandem:call"];
const result = call === undefined || run === undefined ? operation() : run(call, operation);`,
  },
  {
    name: "what a cancelled call returns goes nowhere",
    where: "function _trackHostOperation(operation) {",
    find: /return Promise\.resolve\(result\)\.finally\(\(\) => \{\nSTORE_ASYNC_STATE\.pendingHostOperations--;\n([\s\S]*?)\n_checkForDeadlock\(\);\n\}\);\n\}/g,
    replace: `const settled = Promise.resolve(result).finally(() => {
STORE_ASYNC_STATE.pendingHostOperations--;
$1
_checkForDeadlock();
});
if (call === undefined) { return settled; }
return new Promise((resolve, reject) => {
settled.then(
(value) => { if (!call.cancelled) { resolve(value); } },
(err) => { if (!call.cancelled) { reject(err); } },
);
});
}`,
  },
  {
    name: "a cancelled call is told",
    where: "class AsyncSubtask {",
    find: "this.#childTask.requestCancellation();\nreturn;\n}\n\nthis.onResolve(null);",
    replace: `this.#childTask.requestCancellation();
return;
}

if (this.hostCall) {
this.hostCall.cancelled = true;
this.hostCall.onCancel?.();
}
this.onResolve(null);`,
  },
  // What a guest has given away, or never had, stays in its tables for ever, and so does every buffer and every task that did not
  // end in the order in which they began: a server that runs for days must not grow with each connection.
  {
    name: "buffers are not collected",
    where: "class BufferManager {",
    find: "instanceBuffers.set(nextBufID, buffer);\n",
    replace: "",
  },
  {
    name: "a task that ends is forgotten",
    where: "function clearCurrentTask(componentIdx, taskID) {",
    find: /if \(taskID !== undefined\) \{\nconst last = tasks\[tasks\.length - 1\];\n[\s\S]*?const taskMeta = tasks\.pop\(\);\n/g,
    replace: `const at = taskID === undefined ? tasks.length - 1 : tasks.findLastIndex((meta) => meta.id === taskID);
if (at < 0) { return; }
ASYNC_CURRENT_TASK_IDS.pop();
ASYNC_CURRENT_COMPONENT_IDXS.pop();
const [taskMeta] = tasks.splice(at, 1);
`,
  },
  {
    name: "the host's end of a stream is none of the guest's",
    where: "function _genStreamHostInjectFn(genArgs) {",
    find: "if (!readEnd) { throw new TypeError('missing read end'); }\n",
    replace: `if (!readEnd) { throw new TypeError('missing read end'); }
const hostTable = STREAM_TABLES[hostWriteEnd.streamTableIdx()];
getOrCreateAsyncState(hostTable.componentIdx).handles.remove(hostWriteEnd.waitableIdx());
hostTable.table.remove(hostWriteEnd.handle());
`,
  },
  {
    name: "the host's end of a future is none of the guest's",
    where: "function _genFutureHostInjectFn(genArgs) {",
    find: "const { promise, hostWriteEnd, stringEncoding, getReallocFn } = genArgs;\n",
    replace: `const { promise, hostWriteEnd, stringEncoding, getReallocFn } = genArgs;
const hostTable = FUTURE_TABLES[hostWriteEnd.futureTableIdx()];
getOrCreateAsyncState(hostTable.componentIdx).handles.remove(hostWriteEnd.waitableIdx());
hostTable.table.remove(hostWriteEnd.handle());
`,
  },
  {
    name: "a stream that the guest gives to the host is no longer the guest's",
    where: "class HostStream {",
    find: `if (streamEnd.isInSet()) { throw new WebAssemblyRuntimeError("cannot lift stream while it's in a waitable set"); }\n\nreturn new Stream({\nisReadable`,
    replace: `if (streamEnd.isInSet()) { throw new WebAssemblyRuntimeError("cannot lift stream while it's in a waitable set"); }
cstate.handles.remove(this.#streamEndWaitableIdx);
STREAM_TABLES[this.#streamTableIdx].table.remove(streamEnd.handle());

return new Stream({
isReadable`,
  },
  {
    name: "a future that the guest gives to the host is no longer the guest's",
    where: "class HostFuture {",
    find: `if (futureEnd.isInSet()) { throw new WebAssemblyRuntimeError("cannot lift future while it's in a waitable set"); }\n\nreturn futureEnd.promise();`,
    replace: `if (futureEnd.isInSet()) { throw new WebAssemblyRuntimeError("cannot lift future while it's in a waitable set"); }
cstate.handles.remove(this.#futureEndWaitableIdx);
FUTURE_TABLES[this.#futureTableIdx].table.remove(futureEnd.handle());

return futureEnd.promise();`,
  },
];

/** Streams and futures by number, for handing them from one component instance to another: of no use where there is one. */
const ofOneInstance: readonly GluePatch[] = [
  {
    name: "streams are not collected",
    where: "class InternalStream {",
    find: "stream.setGlobalStreamMapRep(STREAMS.insert(stream));",
    replace: "stream.setGlobalStreamMapRep(0);",
  },
  {
    name: "streams of the host are not collected",
    where: "class HostStream {",
    find: "const rep = STREAMS.insert(stream);",
    replace: "const rep = 0;",
  },
  {
    name: "futures are not collected",
    where: "class InternalFuture{",
    find: "future.setGlobalFutureMapRep(FUTURES.insert(future));",
    replace: "future.setGlobalFutureMapRep(0);",
  },
  {
    name: "futures of the host are not collected",
    where: "class HostFuture {",
    find: "const rep = FUTURES.insert(future);",
    replace: "const rep = 0;",
  },
];

/**
 * The glue of a component of WASI 0.3, without indentation, as we want it.
 * @throws TandemError `internal` when jco's text is not what a patch was made for
 */
export function patchGlue(glue: string): string {
  const instances = glue.split("INSTANCE_FLAGS.set(").length - 1;
  const applicable = instances === 1 ? [...patches, ...ofOneInstance] : patches;
  let patched = glue;
  for (const { name, where, find, replace } of applicable) {
    if (!glue.includes(where)) continue;
    const next = patched.replaceAll(find, replace);
    if (next === patched)
      throw new TandemError("internal", `jco's glue is not as it was: no place for "${name}"`);
    patched = next;
  }
  return patched;
}
