import { x32, x86_64 } from "./profile.ts";

/** One instruction of classic BPF: struct sock_filter. */
interface Instruction {
  readonly code: number;
  readonly ifTrue?: number;
  readonly ifFalse?: number;
  readonly k: number;
}

// linux/filter.h
const loadWord = 0x20; // BPF_LD | BPF_W | BPF_ABS
const jumpAlways = 0x05; // BPF_JMP | BPF_JA
const jumpEqual = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const jumpGreater = 0x25; // BPF_JMP | BPF_JGT | BPF_K
const jumpIfSet = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const returnConstant = 0x06; // BPF_RET | BPF_K

// struct seccomp_data
const numberOffset = 0;
const architectureOffset = 4;

const returnEnosys: Instruction = { code: returnConstant, k: 0x00050000 | 38 };
const x32Bit = 0x40000000;
const s390 = [0x00000016, 0x80000016];

/** libseccomp's architecture token ↦ the largest number that the profile names there. */
export type LargestSyscalls = ReadonlyMap<number, number>;

/**
 * Instructions to stand before a filter: a system call whose number is larger than any that the profile names fails with
 * ENOSYS. The profile's author cannot have known it, and a C library falls back to older calls on ENOSYS but not on the
 * EPERM that profiles give by default (runc has had the same since 1.0.0-rc93; glibc's clone3 and faccessat2 made it needed).
 *
 * The kernel follows loads of number and architecture, comparisons and jumps when it works out which calls a filter always
 * allows, so allowed calls do not pay for this.
 */
export function enosysStub(largest: LargestSyscalls): Buffer {
  const sections: Instruction[][] = [];
  for (const [token, number] of largest) {
    if (token === x32) continue;
    sections.push(section(token, number, token === x86_64 ? largest.get(x32) : undefined));
  }
  // Each section but the last jumps over those after it.
  let after = 0;
  for (let index = sections.length - 1; index >= 0; index--) {
    const instructions = sections[index] ?? [];
    if (after > 0) {
      instructions.push({ code: jumpAlways, k: after });
      instructions[1] = {
        ...instructions[1],
        code: jumpEqual,
        k: instructions[1]?.k ?? 0,
        ifFalse: instructions.length - 2,
      };
    }
    after += instructions.length;
  }
  return encode(sections.flat());
}

/** load arch; is it this one?; load number; compare; return ENOSYS. */
function section(token: number, largest: number, largestX32: number | undefined): Instruction[] {
  const compare = token === x86_64 ? compareX86(largest, largestX32) : compareOne(token, largest);
  const body: Instruction[] = [{ code: loadWord, k: numberOffset }, ...compare, returnEnosys];
  return [
    { code: loadWord, k: architectureOffset },
    { code: jumpEqual, k: token, ifFalse: body.length },
    ...body,
  ];
}

function compareOne(token: number, largest: number): Instruction[] {
  const compare: Instruction = { code: jumpGreater, k: largest, ifFalse: 1 };
  // s390 passes numbers that it does not know as 0.
  return s390.includes(token) ? [{ code: jumpEqual, k: 0, ifTrue: 1 }, compare] : [compare];
}

/** x32 calls come under x86_64's architecture with a bit set; a profile without x32 has its own answer for them. */
function compareX86(largest: number, largestX32: number | undefined): Instruction[] {
  if (largestX32 === undefined)
    return [
      { code: jumpIfSet, k: x32Bit, ifTrue: 2 },
      { code: jumpGreater, k: largest, ifFalse: 1 },
    ];
  return [
    { code: jumpIfSet, k: x32Bit, ifTrue: 1 },
    { code: jumpGreater, k: largest, ifTrue: 1, ifFalse: 2 },
    { code: jumpGreater, k: (largestX32 | x32Bit) >>> 0, ifFalse: 1 },
  ];
}

function encode(instructions: readonly Instruction[]): Buffer {
  const program = Buffer.alloc(instructions.length * 8);
  instructions.forEach(({ code, ifTrue = 0, ifFalse = 0, k }, index) => {
    program.writeUInt16LE(code, index * 8);
    program.writeUInt8(ifTrue, index * 8 + 2);
    program.writeUInt8(ifFalse, index * 8 + 3);
    program.writeUInt32LE(k >>> 0, index * 8 + 4);
  });
  return program;
}
