import { DwarfReader } from "./dwarf-reader.ts";
import { type LineHeader, readLineHeader, type StringSections } from "./line-header.ts";

export interface SourcePosition {
  readonly file: string;
  readonly line: number;
  /** From 1 on; 0 where the compiler did not say. */
  readonly column: number;
}

/** Steps through a line program; a module may be hostile, and a trap is told anyway. */
const MOST_STEPS = 20_000_000;

/**
 * Where addresses (offsets in the code section, as DWARF for WebAssembly has them) are in the source, by a .debug_line section of version
 * 2 to 5. Goes through it once and keeps nothing of it but the answers. What is broken ends the search: the answers up to there.
 */
export function findPositions(
  lines: Uint8Array,
  strings: StringSections,
  addresses: Iterable<number>,
): Map<number, SourcePosition> {
  const search = new Search(addresses);
  const reader = new DwarfReader(lines);
  try {
    while (!reader.isAtEnd && !search.isOver) {
      const unit = readUnit(reader);
      try {
        runProgram(readLineHeader(unit, strings), search);
      } catch (error) {
        // The next unit may be of another compiler's.
        if (!(error instanceof RangeError)) throw error;
      }
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return search.found;
}

function readUnit(reader: DwarfReader): DwarfReader {
  const short = reader.u32le();
  reader.wide = short === 0xffff_ffff;
  return reader.part(reader.wide ? reader.u64le() : short);
}

/** A row of the table that the program makes. */
interface Row {
  address: number;
  file: number;
  line: number;
  column: number;
}

/** The addresses that are asked for, and what is known of them. */
class Search {
  readonly found = new Map<number, SourcePosition>();
  readonly #wanted: readonly number[];
  #steps = 0;

  constructor(addresses: Iterable<number>) {
    this.#wanted = [...new Set(addresses)].sort((a, b) => a - b);
  }

  get isOver(): boolean {
    return this.found.size === this.#wanted.length || this.#steps >= MOST_STEPS;
  }

  /** @throws RangeError once there were too many */
  step(): void {
    if (++this.#steps > MOST_STEPS) throw new RangeError("too many steps");
  }

  /** The row is that of all addresses from its own to this one. */
  add(row: Readonly<Row>, until: number, file: LineHeader["file"]): void {
    if (row.line === 0) return; // no line of any source
    for (let at = this.#firstFrom(row.address); at < this.#wanted.length; at++) {
      const address = this.#wanted[at] ?? until;
      if (address >= until) return;
      if (!this.found.has(address))
        this.found.set(address, { file: file(row.file), line: row.line, column: row.column });
    }
  }

  #firstFrom(address: number): number {
    let [low, high] = [0, this.#wanted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#wanted[middle] ?? 0) < address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** DWARF 5, section 6.2.5. */
function runProgram(header: LineHeader, search: Search): void {
  const machine = new Machine(header, search);
  while (!header.program.isAtEnd && !search.isOver) {
    search.step();
    machine.execute(header.program.u8());
  }
}

/** Of functions that the linker has dropped: no code begins at the section's first byte. */
const isDropped = (start: number): boolean => start === 0 || start >= 0xffff_fffe;

class Machine {
  readonly #header: LineHeader;
  readonly #search: Search;
  #row: Row = first();
  /** The row before, and with the first one of a sequence where that begins. */
  #previous: Row | undefined;
  #start = 0;

  constructor(header: LineHeader, search: Search) {
    this.#header = header;
    this.#search = search;
  }

  execute(opcode: number): void {
    const { opcodeBase, lineBase, lineRange } = this.#header;
    if (opcode < opcodeBase) {
      this.#standard(opcode);
      return;
    }
    const adjusted = opcode - opcodeBase;
    this.#advance(Math.floor(adjusted / lineRange));
    this.#row.line += lineBase + (adjusted % lineRange);
    this.#emit();
  }

  #standard(opcode: number): void {
    const { opcodeBase, lineRange, program, operands } = this.#header;
    const row = this.#row;
    switch (opcode) {
      case 0:
        this.#extended(program.part(program.uleb()));
        break;
      case 1: // copy
        this.#emit();
        break;
      case 2: // advance_pc
        this.#advance(program.uleb());
        break;
      case 3: // advance_line
        row.line += program.sleb();
        break;
      case 4: // set_file
        row.file = program.uleb();
        break;
      case 5: // set_column
        row.column = program.uleb();
        break;
      case 8: // const_add_pc
        this.#advance(Math.floor((255 - opcodeBase) / lineRange));
        break;
      case 9: // fixed_advance_pc
        row.address += program.u16();
        break;
      default:
        // Those that say nothing of positions, and what a later standard may bring.
        for (let left = operands[opcode - 1] ?? 0; left > 0; left--) program.uleb();
    }
  }

  #extended(operation: DwarfReader): void {
    switch (operation.u8()) {
      case 1: // end_sequence
        this.#emit();
        this.#row = first();
        this.#previous = undefined;
        break;
      case 2: // set_address
        this.#row.address = operation.address(operation.end - operation.at);
        break;
    }
  }

  #advance(operations: number): void {
    this.#row.address += operations * this.#header.minimumInstructionLength;
  }

  #emit(): void {
    const previous = this.#previous;
    if (previous === undefined) this.#start = this.#row.address;
    else if (!isDropped(this.#start)) this.#search.add(previous, this.#row.address, this.#header.file);
    this.#previous = { ...this.#row };
  }
}

function first(): Row {
  return { address: 0, file: 1, line: 1, column: 0 };
}
