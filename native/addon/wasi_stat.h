#pragma once

#include <sys/stat.h>
#include <time.h>

#include "addon/wasi_guest.h"

namespace tandem::wasi {

// WASI's filetype of a Linux mode.
uint8_t fileType(mode_t mode);

// Writes a filestat in the layout of wasi_snapshot_preview1 or of wasi_unstable.
void storeStat(const GuestMemory& memory, uint32_t offset, const struct stat& from, bool unstable);

// Times for utimensat from WASI's fstflags; EINVAL when they contradict each other. With the flag 1 << 16 a
// negative time is one before 1970; WASI 0.1 has none, there it is one after 2262.
int timesFrom(int64_t atime, int64_t mtime, uint32_t flags, timespec out[2]);

}  // namespace tandem::wasi
