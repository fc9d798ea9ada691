// Quicksort of records by a comparison function that is called by pointer; heapsort in place.
#include <stdint.h>
#include <stdio.h>

#define COUNT 400000

struct record {
  uint32_t key, value;
};

static struct record records[COUNT];
static uint32_t heap[COUNT];

static uint32_t next(uint32_t *seed) { return *seed = *seed * 1664525u + 1013904223u; }

typedef int (*compare)(const struct record *, const struct record *);

static int byKey(const struct record *left, const struct record *right) {
  return left->key < right->key ? -1 : left->key > right->key;
}

static int byValue(const struct record *left, const struct record *right) {
  return left->value < right->value ? -1 : left->value > right->value;
}

static void swap(struct record *left, struct record *right) {
  const struct record kept = *left;
  *left = *right;
  *right = kept;
}

static void quicksort(struct record *items, int count, compare order) {
  while (count > 1) {
    swap(items, items + count / 2);
    int low = 0;
    for (int i = 1; i < count; i++)
      if (order(items + i, items) < 0) swap(items + i, items + ++low);
    swap(items, items + low);
    quicksort(items, low, order);
    items += low + 1;
    count -= low + 1;
  }
}

static void sift(uint32_t *items, int from, int count) {
  const uint32_t item = items[from];
  for (;;) {
    int child = 2 * from + 1;
    if (child >= count) break;
    if (child + 1 < count && items[child + 1] > items[child]) child++;
    if (items[child] <= item) break;
    items[from] = items[child];
    from = child;
  }
  items[from] = item;
}

static void heapsort(uint32_t *items, int count) {
  for (int i = count / 2 - 1; i >= 0; i--) sift(items, i, count);
  for (int i = count - 1; i > 0; i--) {
    const uint32_t item = items[0];
    items[0] = items[i];
    items[i] = item;
    sift(items, 0, i);
  }
}

int main(void) {
  uint32_t seed = 7, sum = 0;
  for (int round = 0; round < 4; round++) {
    for (int i = 0; i < COUNT; i++) records[i] = (struct record){next(&seed), (uint32_t)i};
    for (int i = 0; i < COUNT; i++) heap[i] = next(&seed);
    quicksort(records, COUNT, round % 2 == 0 ? byKey : byValue);
    heapsort(heap, COUNT);
    for (int i = 0; i < COUNT; i += 997) sum = sum * 31 + records[i].value + heap[i];
  }
  printf("sort %08x\n", sum);
  return 0;
}
