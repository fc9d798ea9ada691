// Compression by back references and its reverse: bytes, hashes, copies that overlap.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define SIZE (1 << 20)
static uint8_t plain[SIZE], packed[2 * SIZE], unpacked[SIZE];
static int32_t last[1 << 14];

static unsigned keyOf(const uint8_t *at) { return (at[0] << 16 | at[1] << 8 | at[2]) * 2654435761u >> 18; }

static unsigned squeeze(void) {
  unsigned out = 0, flags = 0, bit = 8;
  for (unsigned i = 0; i < sizeof last / sizeof *last; i++) last[i] = -1;
  for (unsigned at = 0; at < SIZE;) {
    if (bit == 8) {
      flags = out++;
      packed[flags] = 0;
      bit = 0;
    }
    unsigned length = 0;
    int32_t from = -1;
    if (at + 3 < SIZE) {
      const unsigned key = keyOf(plain + at);
      from = last[key];
      last[key] = (int32_t)at;
      if (from >= 0 && at - (unsigned)from < 65536)
        while (length < 258 && at + length < SIZE && plain[(unsigned)from + length] == plain[at + length]) length++;
    }
    if (length >= 4) {
      const unsigned distance = at - (unsigned)from;
      packed[flags] |= (uint8_t)(1 << bit);
      packed[out++] = (uint8_t)distance;
      packed[out++] = (uint8_t)(distance >> 8);
      packed[out++] = (uint8_t)(length - 3);
      at += length;
    } else {
      packed[out++] = plain[at++];
    }
    bit++;
  }
  return out;
}

static unsigned unsqueeze(unsigned size) {
  unsigned out = 0, flags = 0, bit = 8;
  for (unsigned at = 0; at < size && out < SIZE; bit++) {
    if (bit == 8) {
      flags = packed[at++];
      bit = 0;
    }
    if (flags >> bit & 1) {
      const unsigned distance = packed[at] | packed[at + 1] << 8, length = packed[at + 2] + 3u;
      at += 3;
      for (unsigned i = 0; i < length; i++, out++) unpacked[out] = unpacked[out - distance];
    } else {
      unpacked[out++] = packed[at++];
    }
  }
  return out;
}

int main(void) {
  uint32_t seed = 3, sum = 0;
  for (unsigned at = 0; at < SIZE;) {
    seed = seed * 1664525u + 1013904223u;
    const unsigned word = seed >> 20 & 511, length = 3 + word % 9;
    for (unsigned i = 0; i < length && at < SIZE; i++) plain[at++] = (uint8_t)('a' + (word * (i + 3) >> 2) % 26);
  }
  for (int round = 0; round < 48; round++) {
    const unsigned size = squeeze();
    if (unsqueeze(size) != SIZE || memcmp(plain, unpacked, SIZE) != 0) return 1;
    sum = sum * 31 + size;
    plain[(round & 15) * 4096] ^= (uint8_t)round;
  }
  printf("squeeze %08x\n", sum);
  return 0;
}
