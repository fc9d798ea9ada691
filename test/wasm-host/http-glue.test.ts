import { suite } from "uvu";
import { addHttpTests, byGlue } from "./http-suite.ts";

const test = suite("http, by jco's glue");
await addHttpTests(test, "http", byGlue);
test.run();
