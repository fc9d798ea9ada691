import type { DeviceException, DevicePolicy } from "./device-rules.ts";
import { mknodAccess, readAccess, writeAccess } from "./device-rules.ts";

// eBPF opcodes (linux/bpf.h): class | size or operation | source.
const loadWord = 0x61; // BPF_LDX | BPF_MEM | BPF_W
const move = 0xbc; // BPF_ALU | BPF_MOV | BPF_X
const moveImmediate = 0xb7; // BPF_ALU64 | BPF_MOV | BPF_K
const andImmediate = 0x54; // BPF_ALU | BPF_AND | BPF_K
const shiftRightImmediate = 0x74; // BPF_ALU | BPF_RSH | BPF_K
const jumpNotEqual = 0x55; // BPF_JMP | BPF_JNE | BPF_K
const exit = 0x95;

const [result, context, type, access, major, minor, scratch] = [0, 1, 2, 3, 4, 5, 6];

// BPF_DEVCG_DEV_* and BPF_DEVCG_ACC_*
const typeNumber = { b: 1, c: 2 } as const;
const kernelAccess = (bits: number) =>
  (bits & mknodAccess ? 1 : 0) | (bits & readAccess ? 2 : 0) | (bits & writeAccess ? 4 : 0);

/**
 * A BPF_PROG_TYPE_CGROUP_DEVICE program that says what `policy` says: struct bpf_insn[], 8 bytes each.
 *
 * With "nothing allowed but", an access passes when one exception covers all of it; with "everything allowed but", it is
 * denied when one exception covers any of it.
 */
export function deviceProgram(policy: DevicePolicy): Buffer {
  const code: number[][] = [
    // struct bpf_cgroup_dev_ctx { u32 access_type: (access << 16) | type; u32 major; u32 minor; }
    [loadWord, type, context, 0, 0],
    [move, access, type, 0, 0],
    [andImmediate, type, 0, 0, 0xffff],
    [shiftRightImmediate, access, 0, 0, 16],
    [loadWord, major, context, 4, 0],
    [loadWord, minor, context, 8, 0],
  ];
  for (const exception of policy.exceptions) code.push(...exceptionCode(exception, policy.allowAll));
  code.push([moveImmediate, result, 0, 0, policy.allowAll ? 1 : 0], [exit, 0, 0, 0, 0]);
  return assemble(code);
}

/** Jumps over itself when the exception does not apply; else ends the program with the opposite of the default. */
function exceptionCode(exception: DeviceException, allowAll: boolean): number[][] {
  const bits = kernelAccess(exception.access);
  const tests: number[][] = [[jumpNotEqual, type, 0, 0, typeNumber[exception.type]]];
  if (exception.major !== "*") tests.push([jumpNotEqual, major, 0, 0, exception.major]);
  if (exception.minor !== "*") tests.push([jumpNotEqual, minor, 0, 0, exception.minor]);
  if (allowAll) {
    const jumpEqual = 0x15;
    tests.push(
      [move, scratch, access, 0, 0],
      [andImmediate, scratch, 0, 0, bits],
      [jumpEqual, scratch, 0, 0, 0],
    );
  } else if (bits !== 7) {
    tests.push(
      [move, scratch, access, 0, 0],
      [andImmediate, scratch, 0, 0, ~bits & 7],
      [jumpNotEqual, scratch, 0, 0, 0],
    );
  }
  const block = [...tests, [moveImmediate, result, 0, 0, allowAll ? 0 : 1], [exit, 0, 0, 0, 0]];
  const jumps = new Set([jumpNotEqual, 0x15]);
  return block.map(([operation = 0, target = 0, source = 0, , immediate = 0], index) => {
    const offset = jumps.has(operation) ? block.length - index - 1 : 0;
    return [operation, target, source, offset, immediate];
  });
}

function assemble(code: readonly number[][]): Buffer {
  const program = Buffer.alloc(code.length * 8);
  code.forEach(([operation = 0, target = 0, source = 0, offset = 0, immediate = 0], index) => {
    program.writeUInt8(operation, index * 8);
    program.writeUInt8((source << 4) | target, index * 8 + 1);
    program.writeInt16LE(offset, index * 8 + 2);
    program.writeInt32LE(immediate | 0, index * 8 + 4);
  });
  return program;
}
