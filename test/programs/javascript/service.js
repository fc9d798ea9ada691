// A service by the web's own interfaces: what a worker or a browser's service worker would be.
addEventListener("fetch", (event) => event.respondWith(answer(event.request)));

let requests = 0;

async function answer(request) {
  requests++;
  const url = new URL(request.url);
  switch (url.pathname) {
    case "/":
      return new Response("hello\n", { headers: { "x-made-by": "JavaScript" } });
    case "/sum": {
      const numbers = await request.json();
      return Response.json({
        sum: numbers.reduce((a, b) => a + b, 0),
        query: Object.fromEntries(url.searchParams),
      });
    }
    case "/digest": {
      const hash = await crypto.subtle.digest("SHA-256", await request.arrayBuffer());
      return new Response(
        [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join(""),
      );
    }
    case "/stream": {
      let left = 5;
      const body = new ReadableStream({
        pull(controller) {
          if (left-- === 0) controller.close();
          else controller.enqueue(new TextEncoder().encode(`${left} `));
        },
      });
      return new Response(body);
    }
    case "/proxy": {
      const other = await fetch(url.searchParams.get("to"));
      return new Response(`${other.status} ${await other.text()}`);
    }
    case "/count":
      return new Response(String(requests));
    case "/throw":
      throw new TypeError("thrown");
    default:
      return new Response("no such page\n", { status: 404 });
  }
}
