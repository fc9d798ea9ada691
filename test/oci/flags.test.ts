import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Flags, parseFlags } from "../../src/oci/flags.ts";

const flags = suite("options of the command line");

const known: Flags = {
  root: { value: "DIR", help: "" },
  debug: { help: "" },
  env: { value: "NAME=VALUE", short: "e", many: true, help: "" },
  tty: { short: "t", help: "" },
  detach: { short: "d", help: "" },
};

const parse = (args: string[], inOrder = false) => {
  const { given, read } = parseFlags(known, args, inOrder);
  return { given, read, operands: given.operands };
};

flags("a value stands behind a blank or an equals sign, and one dash is as good as two", () => {
  for (const args of [["--root", "/r"], ["--root=/r"], ["-root", "/r"], ["-root=/r"]])
    assert.is(parse(args).given.text("root"), "/r", args.join(" "));
  assert.is(parse(["--root="]).given.text("root"), "");
  assert.is(parse(["--root=a=b"]).given.text("root"), "a=b");
});

flags("a switch is on, or what is said of it", () => {
  assert.is(parse(["--debug"]).given.has("debug"), true);
  assert.is(parse(["--debug=true"]).given.has("debug"), true);
  assert.is(parse(["--debug=false"]).given.has("debug"), false);
  assert.is(parse([]).given.has("debug"), false);
  assert.throws(() => parse(["--debug=maybe"]), /--debug=maybe: is true or false/);
});

flags("the last one counts, except where all do", () => {
  assert.is(parse(["--root", "a", "--root=b"]).given.text("root"), "b");
  assert.equal(parse(["-e", "A=1", "--env=B=2", "-e=C=3"]).given.all("env"), ["A=1", "B=2", "C=3"]);
});

flags("switches of one letter may be written together", () => {
  const { given } = parse(["-td"]);
  assert.ok(given.has("tty") && given.has("detach"));
  assert.throws(() => parse(["-te"]), /unknown option -te/);
});

flags("operands may stand before options, unless what follows them is somebody else's", () => {
  assert.equal(parse(["id", "--root", "r", "x"]).operands, ["id", "x"]);
  assert.equal(parse(["--debug", "--", "--root"]).operands, ["--root"]);
  const { read, given } = parse(["--debug", "id", "--root", "r"], true);
  assert.is(read, 1);
  assert.is(given.text("root"), undefined);
  assert.equal(parse(["-"]).operands, ["-"]);
});

flags("what is unknown, or lacks its value, is refused by its name", () => {
  assert.throws(() => parse(["--nonsense"]), /unknown option --nonsense/);
  assert.throws(() => parse(["--nonsense=1"]), /unknown option --nonsense/);
  assert.throws(() => parse(["--constructor"]), /unknown option --constructor/);
  assert.throws(() => parse(["--root"]), /--root: needs a value/);
});

flags("a number is digits", () => {
  assert.is(parse(["--root", "12"]).given.number("root"), 12);
  assert.is(parse(["--root=-1"]).given.number("root"), -1);
  for (const text of ["", "1.5", "0x1", "many"])
    assert.throws(() => parse([`--root=${text}`]).given.number("root"), /--root/, text);
});

flags.run();
