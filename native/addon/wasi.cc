#include "addon/groups.h"
#include "addon/wasi_groups.h"

namespace tandem {

void exportWasi(Napi::Object exports) {
  const napi_env env = exports.Env();
  wasi::exportIo(env, exports);
  wasi::exportPolling(env, exports);
  wasi::exportFile(env, exports);
  wasi::exportPath(env, exports);
}

}  // namespace tandem
