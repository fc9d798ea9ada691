import { suite } from "uvu";
import * as assert from "uvu/assert";
import { selectLines } from "../../src/oci/verbs/ps.ts";

const ps = suite("the lines of ps");

ps("are those of the container's processes, wherever the column PID is", () => {
  const table =
    "UID   PID  PPID CMD\nroot    7     1 sh -c 8\nroot   70     1 cat 7\n1000    8     7 sleep\n";
  assert.is(
    selectLines(table, [7, 8]),
    "UID   PID  PPID CMD\nroot    7     1 sh -c 8\n1000    8     7 sleep\n",
  );
  assert.is(selectLines("  PID\n    7\n   70\n", [70]), "  PID\n   70\n");
});

ps("without a column PID cannot be told apart", () => {
  assert.throws(() => selectLines("USER COMMAND\nroot sh\n", [7]), /column PID/);
});

ps.run();
