#pragma once

#include "sys/unique_fd.h"

namespace tandem {

// The machine's /proc, to be opened while it can be seen, for coverKernelMounts later on.
UniqueFd openProc();

// Puts an empty directory over each of the kernel's own file systems that came along in a tree. By proc a
// guest could write to its own memory, and root's guest, without any capability, to what the kernel runs as
// root. A file of such a file system is unmounted. For a process in a mount namespace of its own. Throws
// ErrnoError.
void coverKernelMounts(const UniqueFd& proc);

}  // namespace tandem
