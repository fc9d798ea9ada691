import { native } from "../../../src/native.ts";
import { type Descriptor, fileTypes } from "./descriptor.ts";
import { errno } from "./errno.ts";
import { rights, rightsOf } from "./rights.ts";

const positions = rights.fdSeek | rights.fdTell | rights.fdAdvise | rights.fdAllocate;
const kind = new Int32Array(4);

/**
 * Why a descriptor cannot be used for what takes this right. Where the kernel would not do it either, because of what the file is
 * or what it was opened for, its own error, which is what programs look for; else "not capable": the right was given up, or never
 * asked for.
 */
export function refusal(descriptor: Descriptor | undefined, right = 0): number {
  if (descriptor === undefined) return errno.badf;
  const { fd, type } = descriptor;
  if (type === fileTypes.directory)
    return (right & ~rightsOf.directory) === 0 ? errno.notcapable : errno.badf;
  if (native.wasiKind(fd, kind) !== 0) return errno.badf;
  if (type !== fileTypes.regular && (right & positions) !== 0) return errno.spipe;
  const [, access = 0] = kind;
  const [readable, writable] = [(access & 1) !== 0, (access & 2) !== 0];
  if ((right & rights.fdRead) !== 0 && !readable) return errno.badf;
  if ((right & (rights.fdWrite | rights.fdAllocate)) !== 0 && !writable) return errno.badf;
  // ftruncate(2)
  if ((right & rights.fdFilestatSetSize) !== 0 && !writable) return errno.inval;
  return errno.notcapable;
}
