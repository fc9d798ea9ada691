import { Authenticator, type CredentialSource, type Scope } from "./auth.ts";
import { OrasError, type OrasErrorCode } from "./errors.ts";
import { type Answer, type Body, discard, type Exchange, readBody, send, shown } from "./exchange.ts";
import { isLoopback } from "./reference.ts";
import { type RetryOptions, withRetry } from "./retry.ts";

export interface TransportOptions {
  readonly credentials?: CredentialSource | undefined;
  /** Registries to talk to without tls. Loopback always is. */
  readonly plainHttp?: boolean | ((registry: string) => boolean) | undefined;
  /** Longest silence on a connection. Default 60 s. */
  readonly idleTimeoutMs?: number | undefined;
  readonly retry?: Partial<RetryOptions> | undefined;
  readonly userAgent?: string | undefined;
}

/** A request to a registry: a path below `/v2/`, or the absolute url of an upload that the registry named. */
export interface Call {
  readonly method: Exchange["method"];
  readonly target: string | URL;
  readonly scope: Scope;
  readonly accept: readonly number[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Body;
  readonly signal?: AbortSignal | undefined;
}

const maxRedirects = 5;
const errorLimit = 64 * 1024;

/** Authorization, redirects and statuses for one client. */
export class Transport {
  readonly retry: RetryOptions;
  readonly #authenticator: Authenticator;
  readonly #plainHttp: (registry: string) => boolean;
  readonly #idleTimeoutMs: number;
  readonly #userAgent: string;

  constructor(options: TransportOptions) {
    const { plainHttp } = options;
    this.#plainHttp = typeof plainHttp === "function" ? plainHttp : () => plainHttp === true;
    this.#idleTimeoutMs = options.idleTimeoutMs ?? 60_000;
    this.#userAgent = options.userAgent ?? "oras-js";
    this.retry = { attempts: 4, baseDelayMs: 200, maxDelayMs: 10_000, ...options.retry };
    this.#authenticator = new Authenticator({
      credentials: options.credentials,
      idleTimeoutMs: this.#idleTimeoutMs,
      allowed: (url) => this.#allowed(url),
    });
  }

  /** The url of a path below `/v2/`. */
  urlOf(registry: string, path: string): URL {
    const plain = isLoopback(registry) || this.#plainHttp(registry);
    return new URL(`${plain ? "http" : "https"}://${registry}/v2/${path}`);
  }

  /** As `call`, again and again while the registry is busy or the connection fails. */
  async retrying(call: Call): Promise<Answer> {
    return await withRetry(() => this.call(call), this.retry, call.signal);
  }

  /**
   * Sends a request, answers a challenge once, and throws for every status that is not in `accept`.
   *
   * @throws OrasError
   */
  async call(call: Call): Promise<Answer> {
    const url = call.target instanceof URL ? call.target : this.urlOf(call.scope.registry, call.target);
    let answer = await this.#follow(call, url, this.#authenticator.remembered(call.scope));
    if (answer.status === 401 && this.#isRegistry(answer.url, call.scope)) {
      const { headers } = answer;
      await discard(answer);
      answer = await this.#follow(
        call,
        url,
        await this.#authenticator.answer(headers, call.scope, call.signal),
      );
    }
    if (call.accept.includes(answer.status)) return answer;
    throw await errorFrom(answer, call);
  }

  async #follow(call: Call, start: URL, authorization: string | undefined): Promise<Answer> {
    let url = start;
    for (let hops = 0; hops <= maxRedirects; hops += 1) {
      const answer = await send(this.#exchange(call, url, authorization));
      if (![301, 302, 303, 307, 308].includes(answer.status)) return answer;
      // A registry redirects downloads. An upload that is sent elsewhere by redirect is not in the spec: its url comes by Location.
      if (call.method !== "GET" && call.method !== "HEAD") return answer;
      const location = answer.headers.location;
      await discard(answer);
      url = this.locate(location, url);
    }
    throw new OrasError("protocol", `${shown(start)}: more than ${maxRedirects} redirects`);
  }

  /**
   * Resolves a `Location`, which may be relative.
   *
   * @throws OrasError `protocol` without one, `insecure` when it leads from tls to plain http
   */
  locate(location: string | undefined, base: URL): URL {
    const url = location === undefined ? null : URL.parse(location, base);
    if (url === null) throw new OrasError("protocol", `${shown(base)}: answer without a usable location`);
    if (!this.#allowed(url))
      throw new OrasError("insecure", `${shown(base)}: sends us to ${url.origin} without tls`);
    return url;
  }

  #exchange(call: Call, url: URL, authorization: string | undefined): Exchange {
    // Another host gets no credentials of this one: neither a storage service behind a redirect nor a registry's upload server.
    const own = authorization !== undefined && this.#isRegistry(url, call.scope) ? { authorization } : {};
    return {
      method: call.method,
      url,
      headers: { "user-agent": this.#userAgent, ...call.headers, ...own },
      ...(call.body === undefined ? {} : { body: call.body }),
      signal: call.signal,
      idleTimeoutMs: this.#idleTimeoutMs,
    };
  }

  #isRegistry(url: URL, scope: Scope): boolean {
    return url.origin === this.urlOf(scope.registry, "").origin;
  }

  #allowed(url: URL): boolean {
    if (url.username !== "" || url.password !== "") return false;
    if (url.protocol === "https:") return true;
    return url.protocol === "http:" && (isLoopback(url.host) || this.#plainHttp(url.host));
  }
}

async function errorFrom(answer: Answer, call: Call): Promise<OrasError> {
  const { status } = answer;
  const detail = await detailOf(answer, call.signal);
  const retryAfter = Number(answer.headers["retry-after"]);
  return new OrasError(codeOf(status), `${call.method} ${shown(answer.url)}: ${status}${detail}`, {
    status,
    ...(Number.isFinite(retryAfter) && retryAfter >= 0 ? { retryAfterMs: retryAfter * 1000 } : {}),
  });
}

function codeOf(status: number): OrasErrorCode {
  if (status === 401) return "unauthorized";
  if (status === 403) return "denied";
  if (status === 404) return "not_found";
  if (status === 429) return "too_many_requests";
  if (status >= 500) return "unavailable";
  return status >= 400 ? "rejected" : "protocol";
}

/** The registry's own words (distribution-spec, "Error Codes"), shortened and without control characters. */
async function detailOf(answer: Answer, signal: AbortSignal | undefined): Promise<string> {
  try {
    const body = JSON.parse(Buffer.from(await readBody(answer, errorLimit, signal)).toString("utf8"));
    const { code, message } = body.errors[0];
    return ` ${code}: ${message}`.replace(/[^\x20-\x7e]+/g, " ").slice(0, 300);
  } catch {
    return ""; // an error page that is not the spec's JSON adds nothing to its status
  }
}
