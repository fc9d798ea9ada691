// Planets that pull at each other: square roots and divisions of doubles, one long loop in a function that is called once.
#include <math.h>
#include <stdio.h>

struct body {
  double position[3], velocity[3], mass;
};

static struct body bodies[5] = {
    {{0, 0, 0}, {0, 0, 0}, 39.5},
    {{4.8, -1.2, -0.1}, {0.6, 2.8, -0.02}, 0.038},
    {{8.3, 4.1, -0.4}, {-1.0, 1.8, 0.008}, 0.011},
    {{12.9, -15.1, -0.2}, {1.1, 0.87, -0.01}, 0.0017},
    {{15.4, -25.9, 0.18}, {0.98, 0.59, -0.03}, 0.002},
};

static double energy(void) {
  double sum = 0;
  for (int i = 0; i < 5; i++) {
    const double *v = bodies[i].velocity;
    sum += bodies[i].mass * (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]) / 2;
    for (int j = i + 1; j < 5; j++) {
      double square = 0;
      for (int k = 0; k < 3; k++) {
        const double d = bodies[i].position[k] - bodies[j].position[k];
        square += d * d;
      }
      sum -= bodies[i].mass * bodies[j].mass / sqrt(square);
    }
  }
  return sum;
}

__attribute__((noinline)) static void advance(int steps, double dt) {
  for (int step = 0; step < steps; step++) {
    for (int i = 0; i < 5; i++)
      for (int j = i + 1; j < 5; j++) {
        double d[3], square = 0;
        for (int k = 0; k < 3; k++) {
          d[k] = bodies[i].position[k] - bodies[j].position[k];
          square += d[k] * d[k];
        }
        const double pull = dt / (square * sqrt(square));
        for (int k = 0; k < 3; k++) {
          bodies[i].velocity[k] -= d[k] * bodies[j].mass * pull;
          bodies[j].velocity[k] += d[k] * bodies[i].mass * pull;
        }
      }
    for (int i = 0; i < 5; i++)
      for (int k = 0; k < 3; k++) bodies[i].position[k] += dt * bodies[i].velocity[k];
  }
}

int main(void) {
  const double before = energy();
  advance(5000000, 0.001);
  printf("bodies %.6f %.6f\n", before, energy());
  return 0;
}
