import { suite } from "uvu";
import * as assert from "uvu/assert";
import { exactJson } from "../../src/oci/exact-json.ts";

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

json.run();
