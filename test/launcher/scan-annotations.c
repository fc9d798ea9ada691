// Feeds documents to the launcher's scanner: u32 length and bytes on stdin; a line "ok|bad <group> <sandbox id>" in hex for each.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launcher.h"

static void printHex(const char *text) {
  putchar(' ');
  for (; *text != 0; text++) printf("%02x", (unsigned char)*text);
}

int main(void) {
  uint32_t length = 0;
  static Annotations found;
  while (fread(&length, sizeof length, 1, stdin) == 1) {
    // Exactly as large as the document, so that the sanitizer sees a read past its end.
    char *json = malloc(length == 0 ? 1 : length);
    if (json == NULL || fread(json, 1, length, stdin) != length) return 1;
    const bool valid = scanAnnotations(json, length, &found);
    fputs(valid ? "ok" : "bad", stdout);
    printHex(found.runcGroup);
    printHex(found.sandboxId);
    putchar('\n');
    free(json);
  }
  return 0;
}
