#include "addon/call.h"
#include "addon/groups.h"

namespace tandem {

void exportPoll(Napi::Object exports) {}

}  // namespace tandem
