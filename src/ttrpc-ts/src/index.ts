export { Client, connect } from "./client.ts";
export type { Metadata } from "./envelope.ts";
export { codeFromNumber, codeNumbers, type TtrpcCode, TtrpcError } from "./error.ts";
export {
  encodeFrame,
  FrameDecoder,
  type FrameHeader,
  type FrameSink,
  frameFlags,
  frameHeaderLength,
  frameTypes,
  maxPayloadLength,
} from "./frame.ts";
export { type ListenTarget, Server, type ServerOptions, type ServiceOptions } from "./server.ts";
export type { CallRecord } from "./server-connection.ts";
export type {
  CallContext,
  CallOptions,
  MethodClient,
  MethodImpl,
  Peer,
  ServiceClient,
  ServiceImpl,
} from "./service.ts";
