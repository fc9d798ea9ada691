#pragma once

namespace tandem {

// Copies what is in one directory into another: files, directories, symlinks, devices, with owners and modes
// (option tmpcopyup of a tmpfs).
void copyTree(int from, int to, const char* subject);

}  // namespace tandem
