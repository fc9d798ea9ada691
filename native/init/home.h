#pragma once

// HOME of a process whose environment does not say: what the image's /etc/passwd has for its user, else "/".
// No part of the specification, but images have come to rely on it, since every runtime does so.
namespace tandem {

// While files may still be opened.
void findHome(char** env);
// Puts it into an environment that has none; the array has room for one more.
void addHome(char** env);

}  // namespace tandem
