import * as assert from "uvu/assert";
import { type ErrorCode, TandemError } from "../../src/errors.ts";

/** Fails unless it throws or rejects with a TandemError of this code whose message matches. */
export async function rejects(run: () => unknown, code: ErrorCode, message: RegExp): Promise<void> {
  let result: unknown;
  try {
    result = await run();
  } catch (error) {
    assert.instance(error, TandemError);
    const { code: actual, message: text } = error as TandemError;
    assert.is(actual, code, text);
    assert.match(text, message, `${text} is not ${String(message)}`);
    return;
  }
  assert.unreachable(`no error, but ${JSON.stringify(result)}`);
}
