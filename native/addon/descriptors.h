#pragma once

#include <uv.h>

#include <vector>

namespace tandem {

// Finds out which descriptors are the runtime's own, unless that is known already. Needs /proc.
void noteRuntime(const uv_loop_t* loop);

// Closes every descriptor above 2 but those in `keep` and what this process's own event loop works with. What
// the zygote has open, or once forgets to close, must not be at hand in a process whose guest may take it
// over.
void closeInherited(uv_loop_t* loop, std::vector<int> keep);

}  // namespace tandem
