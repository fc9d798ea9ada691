#include "addon/call.h"
#include "addon/groups.h"

namespace tandem {

void exportMount(Napi::Object exports) {}

}  // namespace tandem
