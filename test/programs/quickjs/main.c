// Runs scripts and modules one after the other; they have `print`, `std.gc` and `os.setTimeout`. (QuickJS's own shell needs signals,
// processes and terminals.)
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "quickjs.h"

static JSValue print(JSContext *context, JSValueConst self, int count, JSValueConst *values) {
  (void)self;
  for (int i = 0; i < count; i++) {
    const char *text = JS_ToCString(context, values[i]);
    if (text == NULL) return JS_EXCEPTION;
    printf("%s%s", i > 0 ? " " : "", text);
    JS_FreeCString(context, text);
  }
  putchar('\n');
  return JS_UNDEFINED;
}

static JSValue collect(JSContext *context, JSValueConst self, int count, JSValueConst *values) {
  (void)self;
  (void)count;
  (void)values;
  JS_RunGC(JS_GetRuntime(context));
  return JS_UNDEFINED;
}

static struct timer {
  JSValue function;
  int64_t due;
  struct timer *next;
} *timers;

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

static JSValue setTimer(JSContext *context, JSValueConst self, int count, JSValueConst *values) {
  (void)self;
  int64_t delay;
  if (count < 2 || JS_ToInt64(context, &delay, values[1]) < 0) return JS_EXCEPTION;
  struct timer *timer = malloc(sizeof *timer);
  if (timer == NULL) return JS_ThrowOutOfMemory(context);
  timer->function = JS_DupValue(context, values[0]);
  timer->due = now() + delay;
  struct timer **at = &timers;
  while (*at != NULL && (*at)->due <= timer->due) at = &(*at)->next;
  timer->next = *at;
  *at = timer;
  return JS_UNDEFINED;
}

static char *readWhole(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return NULL;
  char *text = NULL;
  size_t capacity = 0;
  *size = 0;
  do {
    if (*size + 1 >= capacity) text = realloc(text, capacity = capacity * 2 + 65536);
    if (text == NULL) break;
    *size += fread(text + *size, 1, capacity - *size - 1, file);
  } while (!feof(file) && !ferror(file));
  fclose(file);
  if (text != NULL) text[*size] = '\0';
  return text;
}

static JSModuleDef *loadModule(JSContext *context, const char *name, void *opaque) {
  (void)opaque;
  size_t size;
  char *text = readWhole(name, &size);
  if (text == NULL) {
    JS_ThrowReferenceError(context, "%s: cannot be read", name);
    return NULL;
  }
  JSValue module = JS_Eval(context, text, size, name, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
  free(text);
  if (JS_IsException(module)) return NULL;
  JSModuleDef *definition = JS_VALUE_GET_PTR(module);
  JS_FreeValue(context, module);
  return definition;
}

static int fail(JSContext *context) {
  JSValue error = JS_GetException(context);
  const char *text = JS_ToCString(context, error);
  JSValue stack = JS_GetPropertyStr(context, error, "stack");
  const char *where = JS_IsUndefined(stack) ? NULL : JS_ToCString(context, stack);
  fprintf(stderr, "%s\n%s", text, where == NULL ? "" : where);
  return 1;
}

// Jobs first, then the timer that is due next, until there is none of either.
static int settle(JSContext *context) {
  for (;;) {
    JSContext *job;
    int done;
    while ((done = JS_ExecutePendingJob(JS_GetRuntime(context), &job)) > 0);
    if (done < 0) return fail(job);
    struct timer *timer = timers;
    if (timer == NULL) return 0;
    timers = timer->next;
    const int64_t wait = timer->due - now();
    const struct timespec pause = {wait / 1000, wait % 1000 * 1000000};
    if (wait > 0) nanosleep(&pause, NULL);
    JSValue value = JS_Call(context, timer->function, JS_UNDEFINED, 0, NULL);
    JS_FreeValue(context, timer->function);
    free(timer);
    if (JS_IsException(value)) return fail(context);
    JS_FreeValue(context, value);
  }
}

int main(int argc, char **argv) {
  JSRuntime *runtime = JS_NewRuntime();
  // A quarter of the stack that the linker gives the guest.
  JS_SetMaxStackSize(runtime, 256 * 1024);
  JS_SetModuleLoaderFunc(runtime, NULL, loadModule, NULL);
  JSContext *context = JS_NewContext(runtime);
  JSValue global = JS_GetGlobalObject(context);
  JSValue std = JS_NewObject(context);
  JSValue os = JS_NewObject(context);
  JS_SetPropertyStr(context, global, "print", JS_NewCFunction(context, print, "print", 1));
  JS_SetPropertyStr(context, std, "gc", JS_NewCFunction(context, collect, "gc", 0));
  JS_SetPropertyStr(context, os, "setTimeout", JS_NewCFunction(context, setTimer, "setTimeout", 2));
  JS_SetPropertyStr(context, global, "std", std);
  JS_SetPropertyStr(context, global, "os", os);
  for (int i = 1; i < argc; i++) {
    size_t size;
    char *text = readWhole(argv[i], &size);
    if (text == NULL) {
      perror(argv[i]);
      return 1;
    }
    const int type = JS_DetectModule(text, size) ? JS_EVAL_TYPE_MODULE : JS_EVAL_TYPE_GLOBAL;
    JSValue value = JS_Eval(context, text, size, argv[i], type);
    free(text);
    if (JS_IsException(value)) return fail(context);
    JS_FreeValue(context, value);
    if (settle(context) != 0) return 1;
  }
  return 0;
}
