import type {
  DescMessage,
  DescMethod,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { Metadata } from "./envelope.ts";

/** What a handler is told about its call. */
export interface CallContext {
  /** The name the peer used; tells the names of one implementation apart. */
  readonly service: string;
  readonly method: string;
  readonly metadata: Metadata;
  readonly peer: Peer;
  /** Aborted, with a TtrpcError as reason, when the connection is gone or the peer's deadline has passed. */
  readonly signal: AbortSignal;
}

export interface Peer {
  /** Counts the connections a server has accepted, from 1. */
  readonly connection: number;
}

type Input<M> = M extends { readonly input: infer I extends DescMessage } ? I : never;
type Output<M> = M extends { readonly output: infer O extends DescMessage } ? O : never;

/** The handler of one method, by its kind. */
export type MethodImpl<M> = M extends { readonly methodKind: infer Kind }
  ? Kind extends "unary"
    ? (
        request: MessageShape<Input<M>>,
        context: CallContext,
      ) => MessageInitShape<Output<M>> | Promise<MessageInitShape<Output<M>>>
    : Kind extends "server_streaming"
      ? (request: MessageShape<Input<M>>, context: CallContext) => AsyncIterable<MessageInitShape<Output<M>>>
      : Kind extends "client_streaming"
        ? (
            requests: AsyncIterable<MessageShape<Input<M>>>,
            context: CallContext,
          ) => Promise<MessageInitShape<Output<M>>>
        : Kind extends "bidi_streaming"
          ? (
              requests: AsyncIterable<MessageShape<Input<M>>>,
              context: CallContext,
            ) => AsyncIterable<MessageInitShape<Output<M>>>
          : never
  : never;

/** Handlers by local method name; a method that is left out answers `unimplemented`. */
export type ServiceImpl<Service extends DescService> = {
  readonly [Name in keyof Service["method"]]?: MethodImpl<Service["method"][Name]>;
};

/** How long a call may take, what goes with it, and how to give it up. */
export interface CallOptions {
  /** Sent to the server and kept here too: the call rejects with `deadline_exceeded`. */
  readonly timeoutMs?: number;
  readonly metadata?: Readonly<Record<string, string | readonly string[]>>;
  /** Rejects the call with `canceled`. The server is not told: ttrpc has no cancel frame. */
  readonly signal?: AbortSignal;
}

/** The client's function for one method, by its kind. */
export type MethodClient<M> = M extends { readonly methodKind: infer Kind }
  ? Kind extends "unary"
    ? (request: MessageInitShape<Input<M>>, options?: CallOptions) => Promise<MessageShape<Output<M>>>
    : Kind extends "server_streaming"
      ? (request: MessageInitShape<Input<M>>, options?: CallOptions) => AsyncIterable<MessageShape<Output<M>>>
      : Kind extends "client_streaming"
        ? (
            requests: AsyncIterable<MessageInitShape<Input<M>>>,
            options?: CallOptions,
          ) => Promise<MessageShape<Output<M>>>
        : Kind extends "bidi_streaming"
          ? (
              requests: AsyncIterable<MessageInitShape<Input<M>>>,
              options?: CallOptions,
            ) => AsyncIterable<MessageShape<Output<M>>>
          : never
  : never;

export type ServiceClient<Service extends DescService> = {
  readonly [Name in keyof Service["method"]]: MethodClient<Service["method"][Name]>;
};

/** One method as the server looks it up: types are erased here, {@link ServiceImpl} has checked them. */
export interface Route {
  readonly method: DescMethod;
  readonly handle: (input: unknown, context: CallContext) => unknown;
}

export type Routes = Map<string, Map<string, Route>>;

/** Makes a table of an implementation, by the methods' names on the wire. */
export function routesOf(service: DescService, impl: object): Map<string, Route> {
  const handlers = impl as Readonly<Record<string, Route["handle"] | undefined>>;
  const routes = new Map<string, Route>();
  for (const method of service.methods) {
    const handle = handlers[method.localName];
    if (typeof handle === "function") routes.set(method.name, { method, handle: handle.bind(impl) });
  }
  return routes;
}
