import { suite } from "uvu";
import * as assert from "uvu/assert";
import { exactJson, parseExactly } from "../../src/bundle/exact-json.ts";

const json = suite("JSON with 64-bit numbers");

json("keeps every digit of them", () => {
  assert.is(
    exactJson({
      limit: 18446744073709551615n,
      list: [9223372036854771712n, 0n],
      text: "1n",
      none: undefined,
    }),
    '{"limit":18446744073709551615,"list":[9223372036854771712,0],"text":"1n"}',
  );
});

json("reads them where it is asked to, and nowhere else", () => {
  const text =
    '{"value":9007199254740993,"other":9007199254740993,"list":[{"value":3},{"value":1e17},{"value":"x"}]}';
  assert.equal(parseExactly(text, new Set(["value"])), {
    value: 9007199254740993n,
    other: 9007199254740992,
    list: [{ value: 3 }, { value: 1e17 }, { value: "x" }],
  });
});

json.run();
