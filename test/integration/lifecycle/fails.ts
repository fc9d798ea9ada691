import * as assert from "uvu/assert";
import { type ErrorCode, TandemError } from "../../../src/errors.ts";

/** Waits for a call to be refused with this code, and returns the message. */
export async function fails(
  call: Promise<unknown>,
  code: ErrorCode | undefined,
  message?: RegExp,
): Promise<string> {
  let result: unknown;
  try {
    result = await call;
  } catch (error) {
    assert.instance(error, TandemError);
    const refused = error as TandemError;
    if (code !== undefined) assert.is(refused.code, code, refused.message);
    if (message !== undefined)
      assert.ok(message.test(refused.message), `${refused.code}: ${refused.message}: not ${message}`);
    return refused.message;
  }
  throw new Error(`not refused, but ${String(result)}`);
}
