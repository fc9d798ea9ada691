// Primes below a bound, again and again: byte stores with growing strides, all in main.
#include <stdio.h>
#include <string.h>

#define BOUND 2000000

static unsigned char composite[BOUND];

int main(void) {
  unsigned long long sum = 0;
  for (int round = 0; round < 72; round++) {
    memset(composite, 0, sizeof composite);
    for (unsigned i = 2; i < BOUND; i++) {
      if (composite[i]) continue;
      sum += i ^ (unsigned)round;
      for (unsigned long long j = (unsigned long long)i * i; j < BOUND; j += i) composite[j] = 1;
    }
  }
  printf("sieve %llx\n", sum);
  return 0;
}
