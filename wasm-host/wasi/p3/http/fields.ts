import {
  type FieldList,
  Fields as Fields02,
  FieldsTooLarge,
  type HeaderError,
} from "../../../http/fields.ts";
import { err, type Result } from "../../p2/result.ts";

/** The resource `fields` of wasi:http/types 0.3: what traps in 0.2, because there are too many, is an error here. */
export class Fields extends Fields02 {
  static override fromList(entries: FieldList): Result<Fields, HeaderError> {
    return sized(() => new Fields().filledFrom(entries));
  }

  static override fromRaw(raw: readonly string[]): Fields {
    return new Fields().takenFrom(raw);
  }

  override set(name: string, values: readonly Uint8Array[]): Result<undefined, HeaderError> {
    return sized(() => super.set(name, values));
  }

  override append(name: string, value: Uint8Array): Result<undefined, HeaderError> {
    return sized(() => super.append(name, value));
  }
}

function sized<T>(action: () => Result<T, HeaderError>): Result<T, HeaderError> {
  try {
    return action();
  } catch (error) {
    if (error instanceof FieldsTooLarge) return err({ tag: "size-exceeded" });
    throw error;
  }
}
