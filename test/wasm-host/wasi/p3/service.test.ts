import { once } from "node:events";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { addHttpTests, failureOf } from "../../http-suite.ts";

const test = suite("p3 service");
const serving = await addHttpTests(test, "service03");

test("An error-code instead of an answer is a 500, and its name is told", () =>
  serving(async ({ get, stdio }) => {
    assert.is((await get("/error")).status, 500);
    assert.is(stdio.err, "tandem: GET /error: component answered with internal-error\n");
  }));

test("Trailers that become an error break the connection", () =>
  serving(async ({ get, stdio }) => {
    assert.match(await failureOf(get("/broken")), /aborted|hang up/);
    assert.is((await get("/")).status, 200);
    assert.match(stdio.err, /GET \/broken: component answered with DNS-timeout/);
  }));

test("Trailers of a request reach the guest, and go back", () =>
  serving(async ({ service }) => {
    const socket = connect(service.address.port, "127.0.0.1");
    socket.write(
      "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n" +
        "3\r\nabc\r\n0\r\nx-sum: 6\r\n\r\n",
    );
    const answer = await text(socket);
    assert.match(answer, /\r\n3\r\nabc\r\n0\r\nx-sum: 6\r\n\r\n$/);
  }));

test("A request that was refused was not sent, and its maker can tell", () =>
  serving(async ({ get }) => {
    const { status, body } = await get("/fetch?example.invalid");
    assert.is(status, 403);
    assert.is(body, "not sent");
  }));

test("A client that leaves in the middle of its request ends it", () =>
  serving(async ({ service, get, stdio }) => {
    const socket = connect(service.address.port, "127.0.0.1");
    socket.write("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc");
    await once(socket, "data");
    socket.destroy();
    assert.is((await get("/")).status, 200);
    assert.is(stdio.err, "");
  }));

test.run();
