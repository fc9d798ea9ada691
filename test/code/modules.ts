/** Small modules, put together byte by byte. */

export interface TestFunction {
  /** Instructions, without the last `end`. */
  readonly body: readonly number[];
  readonly exported?: string;
}

export interface TestModule {
  readonly functions: readonly TestFunction[];
  /** How many functions it imports, all `m.f`. */
  readonly imports?: number;
  /** Own functions in its table, without the imports. */
  readonly table?: readonly number[];
  readonly start?: number;
  /** Content of a custom section: modules that differ in nothing else. */
  readonly mark?: string;
}

/** No parameters, no results. */
export function makeModule({ functions, imports = 0, table, start, mark }: TestModule): Uint8Array {
  const exported = functions.flatMap(({ exported: name }, index) =>
    name === undefined ? [] : [[...text(name), 0, ...leb(index + imports)]],
  );
  const bodies = functions.map(({ body }) => {
    const bytes = [0, ...body, 0x0b];
    return [...leb(bytes.length), ...bytes];
  });
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...vector(1, [[0x60, 0, 0]]),
    ...vector(
      2,
      Array.from({ length: imports }, () => [...text("m"), ...text("f"), 0, 0]),
    ),
    ...vector(
      3,
      functions.map(() => [0]),
    ),
    ...(table === undefined ? [] : vector(4, [[0x70, 0, ...leb(table.length)]])),
    ...vector(7, exported),
    ...(start === undefined ? [] : section(8, leb(start + imports))),
    ...(table === undefined
      ? []
      : vector(9, [[0, 0x41, 0, 0x0b, ...leb(table.length), ...table.flatMap((at) => leb(at + imports))]])),
    ...vector(10, bodies),
    ...(mark === undefined ? [] : section(0, [...text("mark"), ...text(mark)])),
  ]);
}

export const nop = [0x01];
export const call = (index: number): number[] => [0x10, ...leb(index)];
/** A loop that ends at once, around instructions. */
export const loop = (...body: readonly number[]): number[] => [0x03, 0x40, ...body, 0x0b];

export function leb(value: number): number[] {
  const bytes: number[] = [];
  let left = value;
  do {
    bytes.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
    left >>>= 7;
  } while (left > 0);
  return bytes;
}

function text(value: string): number[] {
  const bytes = [...Buffer.from(value)];
  return [...leb(bytes.length), ...bytes];
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...leb(content.length), ...content];
}

/** A section that is a vector; nothing when that is empty. */
function vector(id: number, items: readonly (readonly number[])[]): number[] {
  return items.length === 0 ? [] : section(id, [...leb(items.length), ...items.flat()]);
}
