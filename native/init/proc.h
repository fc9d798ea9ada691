#pragma once

// The kernel's own account of this process, wherever the process is: /proc of the machine, or of a container
// that an exec has joined and that may have put anything there.
namespace tandem {

// Whether a descriptor is the root of a proc file system, whole.
bool isProcRoot(int fd);

// Writes to "/proc/…". Ends the process when /proc is no proc file system (CVE-2019-19921), only a part of
// one, or has another of the kernel's files mounted over this one (CVE-2025-52881).
void writeProc(const char* path, const char* value);

}  // namespace tandem
