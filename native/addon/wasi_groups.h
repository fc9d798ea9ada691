#pragma once

#include <node_api.h>

// The parts of the WASI 0.1 host; each is defined in the .cc of its name.
namespace tandem::wasi {

void exportIo(napi_env env, napi_value exports);
void exportPolling(napi_env env, napi_value exports);
void exportFile(napi_env env, napi_value exports);
void exportPath(napi_env env, napi_value exports);

}  // namespace tandem::wasi
