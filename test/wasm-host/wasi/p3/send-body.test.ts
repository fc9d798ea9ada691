import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { OutgoingContent } from "../../../../wasm-host/http/content.ts";
import { GuestBody } from "../../../../wasm-host/wasi/p3/http/guest-body.ts";
import { sendBody } from "../../../../wasm-host/wasi/p3/http/send-body.ts";

const test = suite("p3 send-body");
const wrongLength = "HTTP-request-body-size";

/** Keeps what is written, and whether it was ended or broken off. */
class Content implements OutgoingContent {
  text = "";
  outcome: "ended" | "aborted" | undefined;
  readonly failure = undefined;
  readonly source = { ready: () => true };
  readonly finished = { ready: () => this.outcome !== undefined };
  capacity(): number {
    return 4;
  }
  write(bytes: Uint8Array): void {
    this.text += Buffer.from(bytes).toString();
  }
  flush() {
    return this.source;
  }
  end(): void {
    this.outcome = "ended";
  }
  abort(): void {
    this.outcome = "aborted";
  }
  close(): void {}
}

/** A guest's stream of these chunks that stays open until `ends`. */
function streamOf(chunks: string[], ends: Promise<void>) {
  return {
    async read() {
      const chunk = chunks.shift();
      if (chunk !== undefined) return { value: Buffer.from(chunk), done: false };
      await ends;
      return { done: true };
    },
    [Symbol.dispose]() {},
  };
}

const noTrailers = { tag: "ok", val: undefined } as const;

test("a guest may wait for its trailers to be taken before it ends the bytes", async () => {
  for (const length of [11, undefined]) {
    const { promise: taken, resolve } = Promise.withResolvers<void>();
    const trailers = {
      // biome-ignore lint/suspicious/noThenProperty: jco's futures are thenables, read when somebody waits for them
      then(use: (value: typeof noTrailers) => void) {
        resolve();
        use(noTrailers);
      },
    };
    const content = new Content();
    const stream = streamOf(["hello ", "world"], taken);
    const body = new GuestBody(stream, trailers as PromiseLike<typeof noTrailers>);
    assert.is((await sendBody(body, content, { length, wrongLength })).tag, "ok");
    assert.equal([content.text, content.outcome], ["hello world", "ended"]);
  }
});

test("more bytes than announced, or fewer, break the message, even if its trailers are there already", async () => {
  for (const [chunks, size] of [
    [["hello ", "world", "!"], 12n],
    [["hello ", "world and more"], 20n],
    [["hello"], 5n],
  ] as const) {
    const content = new Content();
    const body = new GuestBody(streamOf([...chunks], Promise.resolve()), Promise.resolve(noTrailers));
    const sent = await sendBody(body, content, { length: 11, wrongLength });
    assert.equal(sent, { tag: "err", val: { tag: wrongLength, val: size } });
    assert.is(content.outcome, "aborted");
  }
});

test.run();
