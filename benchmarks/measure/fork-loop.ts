// Run by micro.ts in a Node of its own, started as a zygote is: prints the milliseconds of each fork as JSON.
import { readSync, writeSync } from "node:fs";
import { native } from "../../src/native.ts";

const [reader, writer] = native.pipe();
const times: number[] = [];
const arrived = Buffer.alloc(8);
for (let round = 0; round < 30; round++) {
  const begin = process.hrtime.bigint();
  const { pid, pidfd } = native.fork({});
  if (pid === 0) {
    arrived.writeBigInt64LE(process.hrtime.bigint());
    writeSync(writer, arrived);
    native.exitNow(0);
  }
  readSync(reader, arrived);
  times.push(Number(arrived.readBigInt64LE() - begin) / 1e6);
  native.waitReadable(pidfd, 1000);
  native.waitPidfd(pidfd);
  native.close(pidfd);
}
process.stdout.write(JSON.stringify(times));
