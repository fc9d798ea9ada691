#pragma once

#include <napi.h>

// One function per group of src/native-surface.ts; each is defined in the .cc of its name.
namespace tandem {

void exportProcess(Napi::Object exports);
void exportDeadline(Napi::Object exports);
void exportDescriptors(Napi::Object exports);
void exportPages(Napi::Object exports);
void exportPoll(Napi::Object exports);
void exportReadiness(Napi::Object exports);
void exportSocket(Napi::Object exports);
void exportUnixSocket(Napi::Object exports);
void exportFile(Napi::Object exports);
void exportMount(Napi::Object exports);
void exportIsolate(Napi::Object exports);
void exportCgroup(Napi::Object exports);
void exportBpfDevices(Napi::Object exports);
void exportSeccomp(Napi::Object exports);
void exportNetDevice(Napi::Object exports);
void exportSpawn(Napi::Object exports);
void exportUserNamespace(Napi::Object exports);
void exportSocketSet(Napi::Object exports);
void exportMemoryImage(Napi::Object exports);
void exportGuestCall(Napi::Object exports);
void exportWasi(Napi::Object exports);
void exportWasmScan(Napi::Object exports);

}  // namespace tandem
