#pragma once

namespace tandem {

// The terminal's master, for the shim; -1 without a terminal.
int consoleMaster();

}  // namespace tandem
