// A function that answers HTTP requests: `Request` in, `Response` out. jco makes it a component whose only export is
// wasi:http/incoming-handler; what it may reach beyond that is up to who runs it.

import { incomingHandlerFrom } from "./incoming-handler.ts";

type Route = (request: Request, url: URL) => Response | Promise<Response>;

const routes: Readonly<Record<string, Route>> = {
  "/": () => new Response("hello from a component\n"),
  "/healthz": () => new Response("ok\n"),
  "/echo": async (request) =>
    new Response(await request.text(), { headers: copyOf(request, "content-type") }),
  "/headers": (request) => Response.json(Object.fromEntries([...request.headers])),
  "/fibonacci": (_request, url) => new Response(`${fibonacci(Number(url.searchParams.get("n") ?? "20"))}\n`),
  "/proxy": async (_request, url) => await forward(url.searchParams.get("url") ?? ""),
};

export const incomingHandler = incomingHandlerFrom(async (request) => {
  const url = new URL(request.url);
  // biome-ignore lint/suspicious/noConsole: what a function logs goes to the container's stdout
  console.log(`${request.method} ${url.pathname}`);
  const route = routes[url.pathname];
  return (await route?.(request, url)) ?? new Response("not found\n", { status: 404 });
});

/** Outbound requests fail unless the host was granted. */
async function forward(target: string): Promise<Response> {
  try {
    const response = await fetch(target);
    return new Response(await response.text(), { status: response.status });
  } catch (error) {
    return new Response(`cannot reach ${target}: ${error}\n`, { status: 502 });
  }
}

function fibonacci(n: number): number {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

function copyOf(request: Request, name: string): Record<string, string> {
  const value = request.headers.get(name);
  return value === null ? {} : { [name]: value };
}
