#include <napi.h>

#include "addon/groups.h"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  tandem::exportProcess(exports);
  tandem::exportDeadline(exports);
  tandem::exportDescriptors(exports);
  tandem::exportPages(exports);
  tandem::exportPoll(exports);
  tandem::exportReadiness(exports);
  tandem::exportSocket(exports);
  tandem::exportUnixSocket(exports);
  tandem::exportFile(exports);
  tandem::exportMount(exports);
  tandem::exportIsolate(exports);
  tandem::exportCgroup(exports);
  tandem::exportBpfDevices(exports);
  tandem::exportSeccomp(exports);
  tandem::exportNetDevice(exports);
  tandem::exportSpawn(exports);
  tandem::exportUserNamespace(exports);
  tandem::exportSocketSet(exports);
  tandem::exportMemoryImage(exports);
  tandem::exportGuestCall(exports);
  tandem::exportWasi(exports);
  tandem::exportWasmScan(exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(tandem, init)
