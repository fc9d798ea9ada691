import { closeSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { create, createBundle, exitOf, screen, specOf } from "./linux-container.ts";

const linux = suite("linux executor: terminal");

linux("a terminal is the container's own, controlling, of the asked size, and its console", async () => {
  const bundle = createBundle();
  try {
    const spec = specOf("tty; stty size; echo hi > /dev/tty; stat -c '%F %u' /dev/console; exit 3", {
      process: { terminal: true, consoleSize: { width: 91, height: 17 }, user: { uid: 12, gid: 12 } },
    });
    const { container } = await create(bundle, spec);
    const master = container.init.console;
    assert.type(master, "number");
    await container.init.start();
    const text = await screen(master as number, /special file 12/);
    assert.match(text, /\/dev\/pts\/0\r\n17 91\r\nhi\r\ncharacter special file 12/);
    assert.is((await exitOf(container.init)).status, 3);
    closeSync(master as number);
  } finally {
    bundle.remove();
  }
});

linux.run();
