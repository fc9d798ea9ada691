#include "addon/call.h"
#include "addon/groups.h"

namespace tandem {

void exportProcess(Napi::Object exports) {}

}  // namespace tandem
