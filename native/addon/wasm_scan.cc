#include <span>

#include "addon/call.h"
#include "addon/groups.h"
#include "wasm/scan.h"

namespace tandem {
namespace {

Napi::Value scanModule(const Napi::CallbackInfo& info) {
  const auto bytes = info[0].As<Napi::Uint8Array>();
  const auto budget = static_cast<size_t>(info[1].As<Napi::Number>().Int64Value());
  const auto scan = wasm::scanModule({bytes.Data(), bytes.ByteLength()}, budget);
  if (!scan) return info.Env().Undefined();
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("imports", scan->imports);
  result.Set("functions", scan->functions);
  result.Set("codeBytes", static_cast<double>(scan->codeBytes));
  auto chosen = Napi::Uint32Array::New(info.Env(), scan->chosen.size());
  for (size_t i = 0; i < scan->chosen.size(); i++) chosen[i] = scan->chosen[i];
  result.Set("chosen", chosen);
  return result;
}

}  // namespace

void exportWasmScan(Napi::Object exports) {
  exportFunction<scanModule>(exports, "scanModule");
}

}  // namespace tandem
