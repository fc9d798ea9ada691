// Products of square matrices of doubles: three nested loops in main.
#include <stdio.h>

#define N 220

static double a[N][N], b[N][N], c[N][N];

int main(void) {
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      a[i][j] = (double)((i * 7 + j) % 13) / 13;
      b[i][j] = (double)((i + j * 5) % 11) / 11;
    }
  for (int round = 0; round < 80; round++) {
    for (int i = 0; i < N; i++)
      for (int j = 0; j < N; j++) {
        double sum = 0;
        for (int k = 0; k < N; k++) sum += a[i][k] * b[k][j];
        c[i][j] = sum;
      }
    for (int i = 0; i < N; i++)
      for (int j = 0; j < N; j++) a[i][j] = c[i][j] / (N / 4.0);
  }
  double trace = 0;
  for (int i = 0; i < N; i++) trace += a[i][i];
  printf("matrix %.9g\n", trace);
  return 0;
}
