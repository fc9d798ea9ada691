/** An async call of the host's functions that the guest may cancel before it is done (`subtask.cancel`). */
export interface HostCall {
  cancelled: boolean;
  onCancel: (() => void) | undefined;
}

let current: HostCall | undefined;

/** What jco's glue begins each async call with (src/image/glue-patches.ts). */
export function beginCall<T>(call: HostCall, operation: () => T): T {
  const before = current;
  current = call;
  try {
    return operation();
  } finally {
    current = before;
  }
}

/**
 * For a function of the host, before its first await: what to do when the guest cancels this call. What the function returns
 * after that reaches nobody.
 */
export function onCancel(action: () => void): void {
  if (current !== undefined) current.onCancel = action;
}
