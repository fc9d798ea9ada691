/** Run by listen-fd.test.ts: serves Echo on descriptor 3, which listens already. */
import { Server } from "../src/index.ts";
import { Echo } from "./gen/echo_pb.ts";

await new Server()
  .service(Echo, { say: (request) => ({ text: `${request.text} by descriptor` }) })
  .listen({ fd: 3 });
process.stdout.write("listening\n");
