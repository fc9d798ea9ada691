import type { Timeouts } from "../../../http/outgoing-request.ts";
import { done, err, type Result } from "../../p2/result.ts";

type Setting = Result<undefined, { readonly tag: "immutable" }>;

interface Durations {
  connect: bigint | undefined;
  firstByte: bigint | undefined;
  betweenBytes: bigint | undefined;
}

/** The resource `request-options` of wasi:http/types 0.3: durations in nanoseconds. */
export class RequestOptions implements Timeouts {
  #durations: Durations = { connect: undefined, firstByte: undefined, betweenBytes: undefined };
  #immutable = false;

  getConnectTimeout(): bigint | undefined {
    return this.#durations.connect;
  }

  setConnectTimeout(duration: bigint | undefined): Setting {
    return this.#set("connect", duration);
  }

  getFirstByteTimeout(): bigint | undefined {
    return this.#durations.firstByte;
  }

  setFirstByteTimeout(duration: bigint | undefined): Setting {
    return this.#set("firstByte", duration);
  }

  getBetweenBytesTimeout(): bigint | undefined {
    return this.#durations.betweenBytes;
  }

  setBetweenBytesTimeout(duration: bigint | undefined): Setting {
    return this.#set("betweenBytes", duration);
  }

  clone(): RequestOptions {
    const options = new RequestOptions();
    options.#durations = { ...this.#durations };
    return options;
  }

  /** What a request has been made with does not change any more. */
  freeze(): this {
    this.#immutable = true;
    return this;
  }

  connectTimeout = (): bigint | undefined => this.#durations.connect;
  firstByteTimeout = (): bigint | undefined => this.#durations.firstByte;
  betweenBytesTimeout = (): bigint | undefined => this.#durations.betweenBytes;

  #set(name: keyof Durations, duration: bigint | undefined): Setting {
    if (this.#immutable) return err({ tag: "immutable" });
    this.#durations[name] = duration;
    return done;
  }
}
