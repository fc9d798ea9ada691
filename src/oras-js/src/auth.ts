import type { IncomingHttpHeaders } from "node:http";
import { type Challenge, parseChallenges } from "./challenge.ts";
import { OrasError } from "./errors.ts";
import { discard, readBody, send, shown } from "./exchange.ts";
import type { Repository } from "./reference.ts";

/** User name and password, or a token got elsewhere (an identity token is exchanged, a bearer token is sent as it is). */
export type Credentials =
  | { readonly username: string; readonly password: string }
  | { readonly identityToken: string }
  | { readonly bearerToken: string };

/** Looks up what to log in with; `undefined` is anonymous. */
export type CredentialSource = (
  registry: string,
) => Promise<Credentials | undefined> | Credentials | undefined;

export type Action = "pull" | "push";

/** What an authorization is for. */
export interface Scope extends Repository {
  readonly actions: readonly Action[];
  /** A second repository on the same registry, read while mounting. */
  readonly from?: string;
}

export interface AuthenticatorOptions {
  readonly credentials?: CredentialSource | undefined;
  readonly idleTimeoutMs: number;
  /** Whether a token server may be asked at this url. */
  readonly allowed: (url: URL) => boolean;
}

const tokenLimit = 1024 * 1024;

/**
 * Answers challenges and remembers the answers per scope, so that a streamed upload does not have to be sent twice.
 * Protocol: https://distribution.github.io/distribution/spec/auth/token/
 */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #headers = new Map<string, string>();

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /** The header that worked last time for this scope. */
  remembered(scope: Scope): string | undefined {
    return this.#headers.get(keyOf(scope));
  }

  /**
   * Answers a 401.
   *
   * @throws OrasError `unauthorized` when there is nothing to answer with, and the errors of the token server
   */
  async answer(headers: IncomingHttpHeaders, scope: Scope, signal?: AbortSignal): Promise<string> {
    this.#headers.delete(keyOf(scope));
    const challenges = parseChallenges(headers["www-authenticate"] ?? "");
    const credentials = await this.#options.credentials?.(scope.registry);
    const header = await this.#headerFor(challenges, credentials, scope, signal);
    this.#headers.set(keyOf(scope), header);
    return header;
  }

  async #headerFor(
    challenges: readonly Challenge[],
    credentials: Credentials | undefined,
    scope: Scope,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const bearer = challenges.find(({ scheme }) => scheme === "bearer");
    if (bearer !== undefined) return `Bearer ${await this.#token(bearer, credentials, scope, signal)}`;
    if (!challenges.some(({ scheme }) => scheme === "basic")) {
      throw new OrasError("unauthorized", `${scope.registry}: 401 without a challenge that can be answered`, {
        status: 401,
      });
    }
    if (credentials === undefined || !("username" in credentials)) {
      throw new OrasError("unauthorized", `${scope.registry}: wants a user name and password`, {
        status: 401,
      });
    }
    return basic(credentials.username, credentials.password);
  }

  async #token(
    challenge: Challenge,
    credentials: Credentials | undefined,
    scope: Scope,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    if (credentials !== undefined && "bearerToken" in credentials) return credentials.bearerToken;
    const { realm, service } = challenge.parameters;
    const url = URL.parse(realm ?? "");
    if (url === null) throw new OrasError("protocol", `${scope.registry}: bearer challenge without a realm`);
    if (!this.#options.allowed(url))
      throw new OrasError("insecure", `${shown(url)}: token server without tls`);
    const fields = new URLSearchParams(service === undefined ? {} : { service });
    for (const text of scopesOf(scope)) fields.append("scope", text);
    const answer = await send(tokenExchange(url, fields, credentials, this.#options.idleTimeoutMs, signal));
    if (answer.status !== 200) {
      await discard(answer);
      const code = answer.status >= 500 ? "unavailable" : "unauthorized";
      throw new OrasError(code, `${shown(url)}: token server answered ${answer.status}`, {
        status: answer.status,
      });
    }
    return tokenFrom(await readBody(answer, tokenLimit, signal), url);
  }
}

function tokenExchange(
  realm: URL,
  fields: URLSearchParams,
  credentials: Credentials | undefined,
  idleTimeoutMs: number,
  signal: AbortSignal | undefined,
): Parameters<typeof send>[0] {
  if (credentials !== undefined && "identityToken" in credentials) {
    const form = new URLSearchParams(fields);
    form.set("grant_type", "refresh_token");
    form.set("refresh_token", credentials.identityToken);
    form.set("client_id", "oras-js");
    form.set("scope", fields.getAll("scope").join(" "));
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    return { method: "POST", url: realm, headers, body: Buffer.from(form.toString()), idleTimeoutMs, signal };
  }
  const url = new URL(realm);
  for (const [name, value] of fields) url.searchParams.append(name, value);
  const headers: Record<string, string> =
    credentials !== undefined && "username" in credentials
      ? { authorization: basic(credentials.username, credentials.password) }
      : {};
  return { method: "GET", url, headers, idleTimeoutMs, signal };
}

function tokenFrom(bytes: Uint8Array, url: URL): string {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch (error) {
    throw new OrasError("protocol", `${shown(url)}: token server did not answer with JSON`, { cause: error });
  }
  const { token, access_token: accessToken } = (value ?? {}) as Record<string, unknown>;
  const text = token ?? accessToken;
  // RFC 6750 §2.1; a line break here would let the token server write headers of ours.
  if (typeof text !== "string" || !/^[A-Za-z0-9._~+/-]+=*$/.test(text)) {
    throw new OrasError("protocol", `${shown(url)}: token server answered without a token`);
  }
  return text;
}

function scopesOf(scope: Scope): readonly string[] {
  const own = `repository:${scope.repository}:${scope.actions.join(",")}`;
  return scope.from === undefined ? [own] : [own, `repository:${scope.from}:pull`];
}

function keyOf(scope: Scope): string {
  return `${scope.registry} ${scopesOf(scope).join(" ")}`;
}

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}
