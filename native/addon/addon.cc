#include <napi.h>

#include "addon/groups.h"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  tandem::exportProcess(exports);
  tandem::exportPoll(exports);
  tandem::exportUnixSocket(exports);
  tandem::exportMount(exports);
  tandem::exportIsolate(exports);
<<<<<<< HEAD
  tandem::exportSpawn(exports);
=======
  tandem::exportCgroup(exports);
  tandem::exportBpfDevices(exports);
  tandem::exportSeccomp(exports);
>>>>>>> main
  return exports;
}

}  // namespace

NODE_API_MODULE(tandem, init)
