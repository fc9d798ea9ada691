/** (module (func (export "f") unreachable)) */
const bytes = Uint8Array.of(
  0,
  0x61,
  0x73,
  0x6d,
  1,
  0,
  0,
  0, // preamble
  1,
  4,
  1,
  0x60,
  0,
  0, // type: () -> ()
  3,
  2,
  1,
  0, // function 0 has type 0
  7,
  5,
  1,
  1,
  0x66,
  0,
  0, // export "f"
  10,
  5,
  1,
  3,
  0,
  0,
  0x0b, // code: unreachable
);
const { f: trap } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;

/**
 * Ends the guest that called into the host. A thrown JavaScript value would be caught by a guest's `catch_all` (C++'s
 * `catch (...)`); a trap by definition is not, so the guest is unwound by one.
 */
export function unwind(): never {
  if (typeof trap === "function") trap();
  throw new Error("a trap returned");
}
