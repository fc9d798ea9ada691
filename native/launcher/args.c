#include <string.h>

#include "launcher.h"

// Flags with a value that containerd or its Go shim library knows; those without a place in Options are read
// past.
typedef struct {
  const char *name;
  const char **value;
} TextFlag;

typedef struct {
  const char *name;
  bool *value;
} BoolFlag;

static bool isTrue(const char *text) {
  static const char *const words[] = {"1", "t", "T", "true", "TRUE", "True"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcmp(text, words[i]) == 0) return true;
  return false;
}

// The value behind "name=", "" for the bare name, NULL for another name.
static const char *match(const char *flag, const char *name) {
  const size_t length = strlen(name);
  if (strncmp(flag, name, length) != 0) return NULL;
  return flag[length] == '=' ? flag + length : flag[length] == 0 ? "" : NULL;
}

Options parseArguments(int count, char **arguments) {
  Options options = {
      .namespace = "", .id = "", .address = "", .publishBinary = "", .bundle = "", .action = ""};
  const char *unused = "";
  const TextFlag texts[] = {
      {"namespace", &options.namespace}, {"id", &options.id},
      {"address", &options.address},     {"publish-binary", &options.publishBinary},
      {"bundle", &options.bundle},       {"socket", &unused},
      {"debug-socket", &unused},         {"log-level", &unused},
  };
  const BoolFlag bools[] = {{"debug", &options.debug},
                            {"v", &options.version},
                            {"version", &options.version},
                            {"info", &options.info}};

  for (int i = 1; i < count; i++) {
    const char *argument = arguments[i];
    if (argument[0] != '-') {
      // The action is the last word: a value of a flag that we do not know may stand before it.
      options.action = argument;
      continue;
    }
    const char *flag = argument + (argument[1] == '-' ? 2 : 1);
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
      const char *value = match(flag, texts[k].name);
      if (value == NULL) continue;
      if (value[0] == '=')
        *texts[k].value = value + 1;
      else if (i + 1 < count)
        *texts[k].value = arguments[++i];
      break;
    }
    for (size_t k = 0; k < sizeof bools / sizeof *bools; k++) {
      const char *value = match(flag, bools[k].name);
      if (value != NULL) *bools[k].value = value[0] != '=' || isTrue(value + 1);
    }
  }
  return options;
}
