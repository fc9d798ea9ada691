#pragma once

#include <string>

#include "sys/unique_fd.h"

namespace tandem {

// Opens a path inside a root file system whose symlinks somebody else wrote; what is missing of it is made,
// component by component, each resolved inside the root. The result is O_PATH. Throws ErrnoError.
UniqueFd makeInRoot(int root, const std::string& path, bool directory);

}  // namespace tandem
