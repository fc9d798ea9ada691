import { suite } from "uvu";
import { addHttpTests } from "./http-suite.ts";

const test = suite("http");
await addHttpTests(test, "http");
test.run();
