// Creates a container and is killed before it starts it: the test of container-init's own end.
import { writeSync } from "node:fs";
import { create, specOf } from "./linux-container.ts";

const [path = "", rootfs = ""] = process.argv.slice(2);
const { container } = await create({ path, rootfs }, specOf("sleep 100"));
writeSync(1, `${container.init.pid}\n`);
process.kill(process.pid, "SIGKILL");
