import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseChallenges } from "../src/challenge.ts";
import { Client, digestOf, type OrasError } from "../src/index.ts";
import { collect, fakeRegistry, type Handler, impatient, rejects } from "./fake-registry.ts";

const auth = suite("authorization");
const content = Buffer.from("secret");
const descriptor = { mediaType: "a/b", digest: digestOf(content), size: content.byteLength };
const credentials = () => ({ username: "ann", password: "pass:word" });
const basic = `Basic ${Buffer.from("ann:pass:word").toString("base64")}`;

function guarded(challenge: string, accepted: string, then?: Handler): Handler {
  return (request, response, body) => {
    if (request.headers.authorization !== accepted) {
      return void response.writeHead(401, { "www-authenticate": challenge }).end();
    }
    if (then !== undefined) return then(request, response, body);
    response.writeHead(200).end(content);
  };
}

auth("a basic challenge is answered with the credentials", async () => {
  await using registry = await fakeRegistry(guarded('Basic realm="r"', basic));
  const client = new Client({ credentials });
  assert.ok((await collect(client.fetchBlob(`${registry.address}/a`, descriptor))).equals(content));
  await collect(client.fetchBlob(`${registry.address}/a`, descriptor));
  assert.equal(
    registry.seen.map(({ authorization }) => authorization),
    [undefined, basic, basic],
    "remembered",
  );
});

auth("a bearer challenge is answered with a token for exactly what is needed", async () => {
  await using tokens = await fakeRegistry((_request, response) => void response.end('{"token":"t0k.en"}'));
  const challenge = `Bearer realm="http://${tokens.address}/token?x=1",service="the service"`;
  await using registry = await fakeRegistry(guarded(challenge, "Bearer t0k.en"));
  const client = new Client({ credentials });
  await collect(client.fetchBlob(`${registry.address}/a/b`, descriptor));
  const asked = new URL(tokens.seen[0]?.url ?? "", "http://t");
  assert.is(asked.searchParams.get("service"), "the service");
  assert.is(asked.searchParams.get("scope"), "repository:a/b:pull");
  assert.is(asked.searchParams.get("x"), "1");
  assert.is(tokens.seen[0]?.authorization, basic);
});

auth("without credentials an anonymous token is asked for", async () => {
  await using tokens = await fakeRegistry(
    (_request, response) => void response.end('{"access_token":"anon"}'),
  );
  await using registry = await fakeRegistry(
    guarded(`Bearer realm="http://${tokens.address}/"`, "Bearer anon"),
  );
  await collect(new Client().fetchBlob(`${registry.address}/a`, descriptor));
  assert.is(tokens.seen[0]?.authorization, undefined);
});

auth("an identity token is exchanged by POST and stays out of the url", async () => {
  let form = "";
  await using tokens = await fakeRegistry((_request, response, body) => {
    form = body.toString();
    response.end('{"access_token":"fresh"}');
  });
  await using registry = await fakeRegistry(
    guarded(`Bearer realm="http://${tokens.address}/"`, "Bearer fresh"),
  );
  const client = new Client({ credentials: () => ({ identityToken: "id-token" }) });
  await collect(client.fetchBlob(`${registry.address}/a`, descriptor));
  assert.is(new URLSearchParams(form).get("refresh_token"), "id-token");
  assert.not.match(tokens.seen[0]?.url ?? "", "id-token");
});

auth("a refused answer is unauthorized after one attempt", async () => {
  await using registry = await fakeRegistry(guarded('Basic realm="r"', "never"));
  await rejects(
    collect(new Client({ credentials }).fetchBlob(`${registry.address}/a`, descriptor)),
    "unauthorized",
  );
  assert.is(registry.seen.length, 2);
});

auth("a challenge that cannot be answered is unauthorized", async () => {
  for (const challenge of ["Negotiate", "", 'Basic realm="r"']) {
    await using registry = await fakeRegistry(guarded(challenge, "never"));
    await rejects(collect(new Client().fetchBlob(`${registry.address}/a`, descriptor)), "unauthorized");
  }
});

auth("credentials do not go to a token server without tls", async () => {
  await using registry = await fakeRegistry(guarded('Bearer realm="http://tokens.invalid/"', "never"));
  await rejects(
    collect(new Client({ credentials }).fetchBlob(`${registry.address}/a`, descriptor)),
    "insecure",
  );
});

auth("a token server that answers nonsense is an error", async () => {
  const answers = ["{}", "[]", "null", "nonsense", '{"token":"a\\r\\nx: y"}', '{"token":1}'];
  for (const answer of answers) {
    await using tokens = await fakeRegistry((_request, response) => void response.end(answer));
    await using registry = await fakeRegistry(guarded(`Bearer realm="http://${tokens.address}/"`, "never"));
    await rejects(collect(new Client().fetchBlob(`${registry.address}/a`, descriptor)), "protocol");
  }
});

auth("an expired token is replaced once, also in the middle of an upload", async () => {
  let issued = 0;
  await using tokens = await fakeRegistry(
    (_request, response) => void response.end(`{"token":"t${++issued}"}`),
  );
  let valid = "Bearer t1";
  const challenge = `Bearer realm="http://${tokens.address}/"`;
  await using registry = await fakeRegistry((request, response) => {
    if (request.headers.authorization !== valid) {
      return void response.writeHead(401, { "www-authenticate": challenge }).end();
    }
    if (request.method === "PUT") return void response.writeHead(201).end();
    valid = "Bearer t2"; // the first one has just expired
    response.writeHead(202, { location: "/upload" }).end();
  });
  await new Client().uploadBlob(`${registry.address}/a`, { descriptor, source: content });
  assert.is(issued, 2);
});

auth("a redirect to another host takes no authorization along", async () => {
  await using storage = await fakeRegistry((_request, response) => void response.writeHead(200).end(content));
  const redirect: Handler = (_request, response) => {
    response.writeHead(307, { location: `http://${storage.address}/signed?sig=1` }).end();
  };
  await using registry = await fakeRegistry(guarded('Basic realm="r"', basic, redirect));
  const client = new Client({ credentials });
  assert.ok((await collect(client.fetchBlob(`${registry.address}/a`, descriptor))).equals(content));
  assert.equal(
    storage.seen.map(({ authorization }) => authorization),
    [undefined],
  );
});

auth(
  "an upload on another host takes no authorization along, and its challenge is not answered",
  async () => {
    await using elsewhere = await fakeRegistry(guarded('Basic realm="r"', basic));
    const begin: Handler = (_request, response) => {
      response.writeHead(202, { location: `http://${elsewhere.address}/upload` }).end();
    };
    await using registry = await fakeRegistry(guarded('Basic realm="r"', basic, begin));
    const upload = new Client({ credentials }).uploadBlob(`${registry.address}/a`, {
      descriptor,
      source: content,
    });
    await rejects(upload, "unauthorized");
    assert.equal(
      elsewhere.seen.map(({ authorization }) => authorization),
      [undefined],
    );
  },
);

auth("a redirect to plain http, without end, or with a password in it is refused", async () => {
  const cases = [
    ["http://storage.invalid/x", "insecure"],
    ["file:///etc/passwd", "insecure"],
    ["http://user:pass@127.0.0.1/x", "insecure"],
    ["/v2/again", "protocol"],
  ] as const;
  for (const [location, code] of cases) {
    await using registry = await fakeRegistry(
      (_request, response) => void response.writeHead(302, { location }).end(),
    );
    const error = await rejects(collect(new Client().fetchBlob(`${registry.address}/a`, descriptor)), code);
    assert.not.match((error as OrasError).message, "pass");
  }
});

auth("a registry elsewhere is only spoken to over tls", async () => {
  await using registry = await fakeRegistry(
    (_request, response) => void response.writeHead(200).end(content),
  );
  const port = registry.address.split(":")[1];
  const client = new Client({ retry: { ...impatient, attempts: 1 } });
  await rejects(collect(client.fetchBlob(`0.0.0.0:${port}/a`, descriptor)), "unavailable");
  assert.is(registry.seen.length, 0);
  const asked = new Client({ plainHttp: (host) => host === `0.0.0.0:${port}` });
  assert.ok((await collect(asked.fetchBlob(`0.0.0.0:${port}/a`, descriptor))).equals(content));
});

auth("challenges are parsed as RFC 9110 has them", () => {
  assert.equal(plain('Bearer realm="https://a/,b",service="s \\"q\\"",scope=x'), [
    { scheme: "bearer", parameters: { realm: "https://a/,b", service: 's "q"', scope: "x" } },
  ]);
  assert.equal(plain('Basic realm="a", Bearer realm="b"'), [
    { scheme: "basic", parameters: { realm: "a" } },
    { scheme: "bearer", parameters: { realm: "b" } },
  ]);
  assert.equal(plain("Negotiate"), [{ scheme: "negotiate", parameters: {} }]);
  assert.equal(plain('"'), []);
  assert.equal(plain(""), []);
});

function plain(header: string): unknown {
  return JSON.parse(JSON.stringify(parseChallenges(header)));
}

auth.run();
