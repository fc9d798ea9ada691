import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  decodeRequest,
  decodeResponse,
  encodeErrorFrame,
  encodeRequestFrame,
  encodeResponseFrame,
} from "../src/envelope.ts";
import {
  codeNumbers,
  encodeFrame,
  FrameDecoder,
  type FrameHeader,
  frameHeaderLength,
  maxPayloadLength,
  type TtrpcCode,
  TtrpcError,
} from "../src/index.ts";

const test = suite("frames and envelopes");

interface Seen {
  readonly frames: { readonly header: FrameHeader; readonly payload: Buffer }[];
  readonly oversize: FrameHeader[];
  /** The most the decoder kept between two chunks. */
  buffered: number;
}

function decodeAll(chunks: Iterable<Uint8Array>): Seen {
  const seen: Seen = { frames: [], oversize: [], buffered: 0 };
  const decoder = new FrameDecoder({
    onFrame: (header, payload) => seen.frames.push({ header, payload: Buffer.from(payload) }),
    onOversize: (header) => seen.oversize.push(header),
  });
  for (const chunk of chunks) {
    decoder.push(chunk);
    seen.buffered = Math.max(seen.buffered, decoder.bufferedBytes);
  }
  return seen;
}

/** Cuts `bytes` into pieces of the lengths given, over and over. */
function* split(bytes: Buffer, lengths: readonly number[]): Generator<Buffer> {
  let turn = 0;
  for (let at = 0; at < bytes.length; ) {
    const length = lengths[turn++ % lengths.length] ?? 1;
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const uint8 = fc.integer({ min: 0, max: 255 });
const frame = fc.record({
  streamId: uint32,
  type: uint8,
  flags: uint8,
  payload: fc.uint8Array({ maxLength: 200 }),
});
const cuts = fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 8 });

test("any frames survive any split", () => {
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 12 }), cuts, (frames, lengths) => {
      const bytes = Buffer.concat(frames.map((one) => encodeFrame(one, one.payload)));
      const seen = decodeAll(split(bytes, lengths));
      assert.equal(
        seen.frames.map(({ header, payload }) => ({ ...header, payload: [...payload] })),
        frames.map(({ payload, ...header }) => ({
          ...header,
          length: payload.length,
          payload: [...payload],
        })),
      );
    }),
    { numRuns: 300 },
  );
});

test("a whole frame in a chunk is delivered as a view of that chunk", () => {
  const chunk = encodeFrame({ streamId: 1, type: 1, flags: 0 }, Buffer.from("abc"));
  let view: Uint8Array | undefined;
  new FrameDecoder({
    onFrame: (_, payload) => {
      view = payload;
    },
    onOversize: () => undefined,
  }).push(chunk);
  assert.is(view?.buffer, chunk.buffer);
});

test("arbitrary bytes never throw and never make the decoder keep more than one payload", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 10 }), (chunks) => {
      const seen = decodeAll(chunks);
      assert.ok(seen.buffered <= maxPayloadLength + frameHeaderLength);
    }),
    { numRuns: 300 },
  );
});

test("an oversize payload is told once, skipped without being kept, and the next frame is found", () => {
  const length = maxPayloadLength + 1;
  const header = Buffer.alloc(frameHeaderLength);
  header.writeUInt32BE(length, 0);
  header.writeUInt32BE(9, 4);
  header.writeUInt8(1, 8);
  const next = encodeFrame({ streamId: 11, type: 1, flags: 2 }, Buffer.from("x"));
  const seen = decodeAll(split(Buffer.concat([header, Buffer.alloc(length), next]), [7, 65_536]));
  assert.equal(seen.oversize, [{ length, streamId: 9, type: 1, flags: 0 }]);
  assert.is(seen.frames.length, 1);
  assert.is(seen.frames[0]?.header.streamId, 11);
  assert.ok(seen.buffered <= frameHeaderLength);
});

test("a payload of exactly the limit is taken, one byte more is not encoded", () => {
  const bytes = encodeFrame({ streamId: 1, type: 3, flags: 0 }, Buffer.alloc(maxPayloadLength));
  assert.is(decodeAll(split(bytes, [100_000])).frames[0]?.payload.length, maxPayloadLength);
  assert.throws(
    () => encodeFrame({ streamId: 1, type: 3, flags: 0 }, Buffer.alloc(maxPayloadLength + 1)),
    (error: unknown) => error instanceof TtrpcError && error.code === "resource_exhausted",
  );
});

const key = fc.string({ unit: "grapheme-ascii" }).map((text) => text.toLowerCase());
const request = fc.record({
  service: fc.string({ unit: "grapheme" }),
  method: fc.string(),
  payload: fc.uint8Array({ maxLength: 300 }),
  timeoutNano: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  metadata: fc
    .dictionary(key, fc.array(fc.string({ unit: "grapheme" }), { minLength: 1, maxLength: 3 }))
    .map((dictionary) => new Map(Object.entries(dictionary))),
});

test("requests survive encoding", () => {
  fc.assert(
    fc.property(request, (original) => {
      const decoded = decodeRequest(encodeRequestFrame(1, 0, original).subarray(frameHeaderLength));
      assert.equal(
        { ...decoded, payload: [...decoded.payload] },
        { ...original, payload: [...original.payload] },
      );
    }),
    { numRuns: 300 },
  );
});

test("responses and every error code survive encoding", () => {
  const codes = Object.keys(codeNumbers) as TtrpcCode[];
  fc.assert(
    fc.property(fc.constantFrom(...codes), fc.string({ unit: "grapheme" }), (code, message) => {
      const frameBytes = encodeErrorFrame(3, new TtrpcError(code, message));
      const { error } = decodeResponse(frameBytes.subarray(frameHeaderLength));
      assert.equal([error?.code, error?.message], [code, message]);
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (payload) => {
      const decoded = decodeResponse(encodeResponseFrame(3, payload).subarray(frameHeaderLength));
      assert.is(decoded.error, undefined);
      assert.equal([...decoded.payload], [...payload]);
    }),
  );
});

test("the bytes are those containerd's library writes", () => {
  assert.is(encodeResponseFrame(1, Buffer.from([8, 1])).toString("hex"), "0000000400000001020012020801");
  assert.is(encodeResponseFrame(7, Buffer.alloc(0)).toString("hex"), "00000000000000070200");
  const error = encodeErrorFrame(1, new TtrpcError("not_found", "x"));
  assert.is(error.toString("hex"), "000000070000000102000a050805120178");
});

test("garbage envelopes raise a TtrpcError or decode, nothing else", () => {
  const tags = fc.constantFrom(0x0a, 0x12, 0x1a, 0x20, 0x2a, 0x0d, 0x09, 0x0b);
  const garbage = fc
    .tuple(tags, fc.uint8Array({ maxLength: 60 }))
    .map(([tag, rest]) => Buffer.from([tag, ...rest]));
  for (const decode of [decodeRequest, decodeResponse]) {
    fc.assert(
      fc.property(garbage, (bytes) => {
        try {
          decode(bytes);
        } catch (error) {
          assert.instance(error, TtrpcError);
        }
      }),
      { numRuns: 500 },
    );
  }
});

test("a negative timeout is read as one that has passed", () => {
  const minusOne = Buffer.from([0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
  assert.ok(decodeRequest(minusOne).timeoutNano < 0);
});

test.run();
