// Points of the plane that stay: arithmetic of doubles without memory, in main.
#include <stdio.h>

int main(void) {
  unsigned long inside = 0, steps = 0;
  for (int row = 0; row < 480; row++)
    for (int column = 0; column < 640; column++) {
      const double re = column / 213.0 - 2.2, im = row / 200.0 - 1.2;
      double x = 0, y = 0;
      int i = 0;
      for (; i < 2000 && x * x + y * y < 4; i++) {
        const double next = x * x - y * y + re;
        y = 2 * x * y + im;
        x = next;
      }
      steps += (unsigned long)i;
      inside += i == 2000;
    }
  printf("mandelbrot %lu %lu\n", inside, steps);
  return 0;
}
