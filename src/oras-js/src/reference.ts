import { parseDigest } from "./digest.ts";
import { OrasError } from "./errors.ts";

/** A repository on a registry. */
export interface Repository {
  /** `host` or `host:port`. */
  readonly registry: string;
  readonly repository: string;
}

export interface Reference extends Repository {
  readonly tag?: string;
  readonly digest?: string;
}

const label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";
const hostPattern = new RegExp(`^(?:${label}(?:\\.${label})*|\\[[0-9a-fA-F:]{2,45}\\])(?::([0-9]{1,5}))?$`);
/** distribution-spec 1.1, "Pulling manifests": <name> */
const repositoryPattern =
  /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
/** the same, <reference> as a tag */
const tagPattern = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

/**
 * Parses `host[:port]/repo[:tag][@digest]`. Nothing is filled in: no default registry, no default tag, because a guess here pulls
 * from, or pushes to, somewhere the caller did not name.
 *
 * @throws OrasError `invalid_reference`
 */
export function parseReference(text: string): Reference {
  const slash = text.indexOf("/");
  if (slash <= 0) throw invalid(text, "no registry before the first slash");
  const registry = text.slice(0, slash);
  const [beforeDigest, digest, ...more] = text.slice(slash + 1).split("@");
  if (beforeDigest === undefined || more.length > 0) throw invalid(text, "more than one @");
  const [repository, tag, ...rest] = beforeDigest.split(":");
  if (repository === undefined || rest.length > 0) throw invalid(text, "more than one tag");
  checkRegistry(text, registry);
  if (repository.length + registry.length > 255 || !repositoryPattern.test(repository)) {
    throw invalid(text, `repository ${JSON.stringify(repository)} is not valid`);
  }
  if (tag !== undefined && !tagPattern.test(tag))
    throw invalid(text, `tag ${JSON.stringify(tag)} is not valid`);
  if (digest !== undefined) checkDigest(text, digest);
  return {
    registry,
    repository,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** The inverse of `parseReference`. */
export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? "" : `:${reference.tag}`;
  const digest = reference.digest === undefined ? "" : `@${reference.digest}`;
  return `${reference.registry}/${reference.repository}${tag}${digest}`;
}

/** What goes into the url: the digest when there is one, because a tag beside it is only a comment. */
export function versionOf(reference: Reference): string {
  const version = reference.digest ?? reference.tag;
  if (version === undefined) throw invalid(formatReference(reference), "neither tag nor digest");
  return version;
}

/** Whether `host[:port]` can only be this machine, where plain http gives nothing away. */
export function isLoopback(registry: string): boolean {
  const host = registry.replace(/:[0-9]+$/, "").toLowerCase();
  return host === "localhost" || host === "[::1]" || /^127(?:\.[0-9]{1,3}){3}$/.test(host);
}

function checkRegistry(text: string, registry: string): void {
  const match = hostPattern.exec(registry);
  if (match === null) throw invalid(text, `registry ${JSON.stringify(registry)} is not host[:port]`);
  const port = match[1] === undefined ? 443 : Number(match[1]);
  if (port === 0 || port > 65535) throw invalid(text, `port ${port} is out of range`);
}

function checkDigest(text: string, digest: string): void {
  try {
    parseDigest(digest);
  } catch (error) {
    throw new OrasError("invalid_reference", `${shown(text)}: digest is not valid`, { cause: error });
  }
}

function invalid(text: string, reason: string): OrasError {
  return new OrasError("invalid_reference", `${shown(text)}: ${reason}`);
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 300));
}
