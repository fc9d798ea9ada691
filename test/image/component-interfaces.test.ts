import { suite } from "uvu";
import * as assert from "uvu/assert";
import { readComponentInterfaces } from "../../src/image/component-interfaces.ts";

const test = suite("interfaces of a component");
const preamble = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];
const name = (text: string): number[] => [0x00, text.length, ...Buffer.from(text)];
const section = (id: number, ...content: number[]): number[] => [id, content.length, ...content];

test("a type that is equal to one of its own is nothing that it imports; a resource of somebody's is", () => {
  // (type $r (record (field "n" u32))) (import "word" (type (eq $r))) (import "thing" (type (sub resource)))
  const types = section(7, 1, 0x72, 1, 1, 0x6e, 0x79);
  const imports = section(10, 2, ...name("word"), 0x03, 0x00, 0, ...name("thing"), 0x03, 0x01);
  const component = Buffer.from([...preamble, ...types, ...imports]);
  assert.equal(readComponentInterfaces(component), { imports: ["thing"], exports: [] });
});

test.run();
