// The addon `tandem-code`: what V8 has made of a WebAssembly module, out of V8 and into it again, and how
// much stack it may use. Node-API knows nothing of that, so this is V8's own C++ interface, and this file is
// good for the Node only that it was built with. It is apart from the other addon because that one must load
// in any case.
#include <node.h>
#include <sys/resource.h>
#include <unistd.h>
#include <v8-wasm.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <variant>

namespace {

using v8::FunctionCallbackInfo;
using v8::Isolate;
using v8::Local;
using v8::Value;

// Of a Buffer or any other view.
v8::MemorySpan<const uint8_t> bytesOf(Local<Value> value) {
  const auto view = value.As<v8::ArrayBufferView>();
  return {static_cast<const uint8_t*>(view->Buffer()->Data()) + view->ByteOffset(), view->ByteLength()};
}

// serialize(module): an ArrayBuffer, empty when none of its functions has optimised code.
void serialize(const FunctionCallbackInfo<Value>& info) {
  v8::OwnedBuffer code = info[0].As<v8::WasmModuleObject>()->GetCompiledModule().Serialize();
  const size_t size = code.size;
  auto store = v8::ArrayBuffer::NewBackingStore(
      const_cast<uint8_t*>(code.buffer.release()), size,
      [](void* data, size_t, void*) { delete[] static_cast<uint8_t*>(data); }, nullptr);
  info.GetReturnValue().Set(v8::ArrayBuffer::New(info.GetIsolate(), std::move(store)));
}

// deserialize(bytes, code): a WebAssembly.Module, or undefined when V8 does not know the code for its own
// (another version, flags or processor). V8 takes both on trust: the bytes for valid, the code for what it
// wrote itself.
void deserialize(const FunctionCallbackInfo<Value>& info) {
  Isolate* isolate = info.GetIsolate();
  const auto wire = bytesOf(info[0]);
  const auto code = bytesOf(info[1]);
  v8::WasmModuleCompilation compilation;
  compilation.SetHasCompiledModuleBytes();
  compilation.OnBytesReceived(wire.data(), wire.size());
  // What V8 does not take, it compiles as bytes from a network: the second callback comes when this is over.
  const auto made = std::make_shared<v8::Global<Value>>();
  bool taken = false;
  compilation.Finish(
      isolate,
      [&](v8::WasmStreaming::ModuleCachingInterface& cache) {
        taken = cache.SetCachedCompiledModuleBytes(code);
      },
      [isolate, made](const std::variant<Local<v8::WasmModuleObject>, Local<Value>>& result) {
        const auto* module = std::get_if<Local<v8::WasmModuleObject>>(&result);
        if (module != nullptr) made->Reset(isolate, *module);
      });
  if (taken && !made->IsEmpty()) info.GetReturnValue().Set(made->Get(isolate));
}

// source(module): [the URL by which stacks name the module, a copy of its bytes].
void source(const FunctionCallbackInfo<Value>& info) {
  Isolate* isolate = info.GetIsolate();
  const Local<v8::Context> context = isolate->GetCurrentContext();
  v8::CompiledWasmModule module = info[0].As<v8::WasmModuleObject>()->GetCompiledModule();
  const v8::MemorySpan<const uint8_t> bytes = module.GetWireBytesRef();
  const Local<v8::ArrayBuffer> copy = v8::ArrayBuffer::New(isolate, bytes.size());
  memcpy(copy->Data(), bytes.data(), bytes.size());
  const std::string& url = module.source_url();
  Local<v8::String> name;
  if (!v8::String::NewFromUtf8(isolate, url.data(), v8::NewStringType::kNormal, static_cast<int>(url.size()))
           .ToLocal(&name))
    return;
  const Local<v8::Array> pair = v8::Array::New(isolate, 2);
  pair->Set(context, 0, name).Check();
  pair->Set(context, 1, copy).Check();
  info.GetReturnValue().Set(pair);
}

// Who is told how the process ends, besides whoever reads its stderr; -1: nobody.
int statusPipe = -1;

// A trap of the guest's: WebAssembly has no other word for an allocation that cannot be made. Nothing of V8
// can be used any more.
[[noreturn]] void endForFullHeap() {
  static constexpr char kReason[] =
      "trap: out of memory: the engine's heap is full of tables, references or collected objects\n";
  static constexpr char kLine[] = "{\"exit\":134}\n";
  if (write(STDERR_FILENO, kReason, sizeof kReason - 1) < 0 ||
      (statusPipe >= 0 && write(statusPipe, kLine, sizeof kLine - 1) < 0))
    _exit(255);
  _exit(134);
}

size_t onNearHeapLimit(void*, size_t, size_t) {
  endForFullHeap();
}

void onOutOfMemory(const char*, const v8::OOMDetails&) {
  endForFullHeap();
}

// endWhenHeapIsFull(statusPipe): instead of a dump of the engine's, and an abort.
void endWhenHeapIsFull(const FunctionCallbackInfo<Value>& info) {
  statusPipe = info[0].As<v8::Int32>()->Value();
  info.GetIsolate()->AddNearHeapLimitCallback(onNearHeapLimit, nullptr);
  // What is too large in one piece comes here without a warning.
  info.GetIsolate()->SetOOMErrorHandler(onOutOfMemory);
}

// The kernel keeps at least 128 MB of addresses for a stack that may grow (mmap_base).
constexpr size_t kMostStack = 64 << 20;
// For V8's own functions, which look at no limit, and for what is on the stack already (guest-stack.ts).
constexpr size_t kReserve = 1 << 20;

// stackSize(): bytes that a guest may use of the main thread's stack, as RLIMIT_STACK has it.
void stackSize(const FunctionCallbackInfo<Value>& info) {
  rlimit limit = {};
  // It fails for addresses that are none and limits that do not exist.
  if (getrlimit(RLIMIT_STACK, &limit) < 0) return;
  const size_t whole = std::min<rlim_t>(limit.rlim_cur, kMostStack);
  const size_t usable = whole > 2 * kReserve ? whole - kReserve : whole / 2;
  info.GetReturnValue().Set(static_cast<double>(usable));
}

// useStack(bytes): from here on, on the thread that this is, WebAssembly and JavaScript may go so much deeper
// than this. V8's own limit of 984 KB is soon reached by code that is not optimised yet.
void useStack(const FunctionCallbackInfo<Value>& info) {
  const auto bytes = static_cast<uintptr_t>(info[0].As<v8::Number>()->Value());
  info.GetIsolate()->SetStackLimit(reinterpret_cast<uintptr_t>(__builtin_frame_address(0)) - bytes);
}

}  // namespace

// By the name of its ABI, which another Node does not look for.
extern "C" NODE_MODULE_EXPORT void NODE_MODULE_INITIALIZER(Local<v8::Object> exports, Local<Value>,
                                                           Local<v8::Context> context) {
  Isolate* isolate = Isolate::GetCurrent();
  NODE_SET_METHOD(exports, "serialize", serialize);
  NODE_SET_METHOD(exports, "deserialize", deserialize);
  NODE_SET_METHOD(exports, "source", source);
  NODE_SET_METHOD(exports, "endWhenHeapIsFull", endWhenHeapIsFull);
  NODE_SET_METHOD(exports, "stackSize", stackSize);
  NODE_SET_METHOD(exports, "useStack", useStack);
  const char* version = NODE_VERSION;
  exports
      ->Set(context, v8::String::NewFromUtf8Literal(isolate, "builtFor"),
            v8::String::NewFromUtf8(isolate, version).ToLocalChecked())
      .Check();
}
