// A hash table of words: strings, malloc and free, many small functions.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
  struct entry *next;
  unsigned count;
  char word[];
};

#define BUCKETS 16384
static struct entry *buckets[BUCKETS];

static uint32_t hash(const char *word) {
  uint32_t h = 2166136261u;
  for (; *word; word++) h = (h ^ (uint8_t)*word) * 16777619u;
  return h;
}

static unsigned count(const char *word) {
  struct entry **at = &buckets[hash(word) % BUCKETS];
  for (; *at != NULL; at = &(*at)->next)
    if (strcmp((*at)->word, word) == 0) return ++(*at)->count;
  const size_t length = strlen(word) + 1;
  struct entry *made = malloc(sizeof *made + length);
  if (made == NULL) abort();
  made->next = NULL;
  made->count = 1;
  memcpy(made->word, word, length);
  *at = made;
  return 1;
}

static void spell(uint32_t n, char *word) {
  static const char *const syllables[] = {"ka", "lo", "mi", "tur", "ne", "sha", "po", "ri"};
  *word = 0;
  do {
    strcat(word, syllables[n % 8]);
    n /= 8;
  } while (n > 0);
}

int main(void) {
  uint32_t seed = 1, total = 0;
  char word[64];
  for (int round = 0; round < 4; round++) {
    for (int i = 0; i < 400000; i++) {
      seed = seed * 1103515245u + 12345u;
      spell((seed >> 8) % 30000, word);
      total += count(word);
    }
    for (int i = 0; i < BUCKETS; i++)
      while (buckets[i] != NULL) {
        struct entry *gone = buckets[i];
        buckets[i] = gone->next;
        total ^= gone->count;
        free(gone);
      }
  }
  printf("table %08x\n", total);
  return 0;
}
