/**
 * The numbers of WASI's errno that the host itself decides on. Those of system calls come from the addon, which holds the table
 * from Linux (native/addon/wasi_errno.cc).
 */
export const errno = {
  success: 0,
  badf: 8,
  inval: 28,
  notdir: 54,
  notsup: 58,
  notsock: 57,
  rofs: 69,
  spipe: 70,
  notcapable: 76,
} as const;
