import { OrasError } from "./errors.ts";
import { readBody, shown } from "./exchange.ts";
import type { CallOptions } from "./manifests.ts";
import type { Repository } from "./reference.ts";
import type { Transport } from "./transport.ts";

const pageLimit = 4 * 1024 * 1024;
const maxPages = 10_000;

/**
 * The repository's tags, page by page as the caller asks for them.
 *
 * @throws OrasError `not_found` when there is no such repository, `protocol` when the pages lead in a circle or elsewhere
 */
export async function* listTags(
  transport: Transport,
  repository: Repository,
  options: CallOptions & { readonly pageSize?: number } = {},
): AsyncGenerator<string, void, undefined> {
  const size = options.pageSize === undefined ? "" : `?n=${options.pageSize}`;
  let url: URL | undefined = transport.urlOf(
    repository.registry,
    `${repository.repository}/tags/list${size}`,
  );
  const seen = new Set<string>();
  while (url !== undefined) {
    if (seen.has(url.href) || seen.size >= maxPages)
      throw new OrasError("protocol", `${shown(url)}: tag pages never end`);
    seen.add(url.href);
    const scope = { ...repository, actions: ["pull"] as const };
    const answer = await transport.retrying({
      method: "GET",
      target: url,
      scope,
      accept: [200],
      signal: options.signal,
    });
    yield* tagsFrom(await readBody(answer, pageLimit, options.signal), url);
    const { link } = answer.headers;
    url = nextPage(link, url);
  }
}

function tagsFrom(bytes: Uint8Array, url: URL): readonly string[] {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch (error) {
    throw new OrasError("protocol", `${shown(url)}: tag list is not JSON`, { cause: error });
  }
  const tags: unknown = (value as { tags?: unknown } | null)?.tags ?? [];
  if (!Array.isArray(tags) || !tags.every((tag) => typeof tag === "string")) {
    throw new OrasError("protocol", `${shown(url)}: tag list without tags`);
  }
  return tags;
}

/** RFC 8288, as far as distribution-spec uses it: `<url>; rel="next"`. */
function nextPage(link: string | readonly string[] | undefined, url: URL): URL | undefined {
  const match = /<([^>]+)>\s*;\s*rel="?next"?/.exec(typeof link === "string" ? link : (link?.[0] ?? ""));
  if (match === null) return undefined;
  const next = URL.parse(match[1] ?? "", url);
  if (next === null || next.origin !== url.origin)
    throw new OrasError("protocol", `${shown(url)}: next page is elsewhere`);
  return next;
}
