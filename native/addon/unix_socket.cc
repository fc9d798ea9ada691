#include "addon/call.h"
#include "addon/groups.h"

namespace tandem {

void exportUnixSocket(Napi::Object exports) {}

}  // namespace tandem
