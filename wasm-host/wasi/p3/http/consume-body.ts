import { errorCodeOf } from "../../../http/error-code.ts";
import { err } from "../../p2/result.ts";
import { iterate } from "../host-stream.ts";
import type { Body, Trailers, Transmission } from "./body.ts";

/**
 * `consume-body`: the bytes as a stream, and a future that resolves with the trailers after it. `result` is the guest's word on how it
 * dealt with the message.
 */
export function consumeBody(
  body: Body,
  result: PromiseLike<Transmission>,
): [AsyncIterable<Uint8Array>, Promise<Trailers>] {
  const { promise, resolve } = Promise.withResolvers<Trailers>();
  const stream = iterate<Uint8Array>({ next: (most) => body.next(most), close() {} }, (end) => {
    if (end.tag === "failed") return resolve(err(errorCodeOf(end.error)));
    if (end.tag === "dropped") body.drop();
    resolve(body.trailers());
  });
  Promise.resolve(result).then(
    (transmission) => body.settle(transmission),
    () => body.settle(err({ tag: "internal-error", val: undefined })),
  );
  return [stream, promise];
}
