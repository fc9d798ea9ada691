#pragma once

// Paths inside the container's root file system. The image wrote every symlink on them, so they are resolved
// by the kernel with the rootfs as root (openat2(2), RESOLVE_IN_ROOT), held by descriptor and never resolved
// a second time.
namespace tandem {

// The rootfs as an O_PATH descriptor; "/" itself once the root was pivoted.
void setRoot(int fd);
int root();

enum class Kind { directory, file };

// Opens a path inside the root, O_PATH; -1 and errno when there is none.
int openInRoot(const char* path);
// The same, but makes what is missing: directories 0755, an empty file 0644 at the end if `kind` says so.
int openOrMake(const char* path, Kind kind);
// The directory that holds the last component of path (made when missing), and that component.
int openParent(const char* path, const char** name);

// "/proc/self/fd/N", for calls that want a path.
struct FdPath {
  explicit FdPath(int fd);
  char text[32];
};

}  // namespace tandem
