// Matrix products and the rows of a forward pass.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckernels.h"
#include "digests.h"

static const size_t lengths[] = {1, 3, 7, 16, 31, 63, 64, 65, 127, 200, 1025};
enum { LENGTHS = sizeof lengths / sizeof lengths[0], LONGEST = 1025 };

static float x[LONGEST], y[LONGEST], z[LONGEST];

static void show(const char *name, const char *set, uint64_t found) {
  printf("row %s %s %016llx\n", name, set, (unsigned long long)found);
}

// A function of one row or two that changes the first.
typedef void (*step)(const struct fathom_kernels *k, float *row, const float *other, size_t n);

static void normalize(const struct fathom_kernels *k, float *row, const float *other, size_t n) {
  k->normalize(row, other, 1e-6f, row, n);
}
static void largest(const struct fathom_kernels *k, float *row, const float *other, size_t n) {
  (void)other;
  row[0] = k->largest(row, n);
}
static void exponentials(
    const struct fathom_kernels *k, float *row, const float *other, size_t n) {
  float sum = k->exponentials(row, other[0], n);
  row[n / 2] += sum;
}
static void gate(const struct fathom_kernels *k, float *row, const float *other, size_t n) {
  k->gate(row, other, n);
}
static void sigmoid(const struct fathom_kernels *k, float *row, const float *other, size_t n) {
  (void)other;
  k->sigmoid(row, n);
}
static void add(const struct fathom_kernels *k, float *row, const float *other, size_t n) {
  k->add(other, 0.3f, row, n);
}
static void add_positive(
    const struct fathom_kernels *k, float *row, const float *other, size_t n) {
  k->add_positive(other, -0.3f, row, n);
}
static void dot(const struct fathom_kernels *k, float *row, const float *other, size_t n) {
  row[0] = k->dot(row, other, n);
}
static void exponential(const struct fathom_kernels *k, float *row, const float *other, size_t n) {
  (void)other;
  k->exponential(row, n);
}

static void run(const struct fathom_kernels *k, const char *name, step step) {
  for (int set = 0; set < NUMBER_SETS; set++) {
    uint64_t found = no_digest;
    fill_set(set, x, LONGEST, 3);
    fill_set(set, y, LONGEST, 4);
    for (int i = 0; i < LENGTHS; i++) {
      const size_t n = lengths[i];
      // Exponents that matter too.
      for (size_t j = 0; j < n; j++) z[j] = i % 2 ? 100 * x[j] : x[j];
      float *row = make_room(4 * n);
      memcpy(row, z, 4 * n);
      step(k, row, y, n);
      found = digest(found, row, n, FLOATS);
      free_room(row, 4 * n, name);
    }
    show(name, set_names[set], found);
  }
}

enum { DEEPEST = 40, WIDEST = 45, TALLEST = 25 };

// b (depth, columns) or its transpose → panels side by side, and their elements in one order for
// all levels: those beyond `columns` must be zero.
static uint64_t pack(
    const struct fathom_kernels *k, const float *b, size_t stride, int transposed, size_t columns,
    size_t depth, float *panels) {
  uint64_t found = no_digest;
  for (size_t first = 0; first < columns; first += k->panel_columns) {
    const size_t rest = columns - first;
    const size_t count = rest < k->panel_columns ? rest : k->panel_columns;
    float *panel = panels + first * depth;
    if (transposed) {
      k->pack_transposed(b + first * stride, stride, count, depth, panel);
    } else {
      k->pack_straight(b + first, stride, count, depth, panel);
    }
    for (size_t column = 0; column < k->panel_columns; column++) {
      for (size_t row = 0; row < depth; row++) {
        const float *at = panel + row * k->panel_columns + column;
        if (column < count) {
          found = digest(found, at, 4, BYTES);
        } else if (*at != 0) {
          fprintf(stderr, "a panel is not filled up with zeros\n");
          exit(1);
        }
      }
    }
  }
  return found;
}

static void multiply(const struct fathom_kernels *k, int set) {
  enum { APART = FATHOM_DEPTH + 16 };
  static float left[TALLEST * APART], b[WIDEST * (WIDEST + 3)];
  static _Alignas(64) float panels[DEEPEST * (WIDEST + 64)];
  uint64_t packed[2] = {no_digest, no_digest}, product = no_digest;
  fill_set(set, left, sizeof left / 4, 5);
  fill_set(set, b, sizeof b / 4, 6);
  for (size_t columns = 1; columns <= WIDEST; columns += 4) {
    const size_t depth = (columns * 7) % DEEPEST + 1, stride = WIDEST + 3;
    for (int transposed = 0; transposed < 2; transposed++) {
      uint64_t one = pack(k, b, stride, transposed, columns, depth, panels);
      packed[transposed] = digest(packed[transposed], &one, 8, BYTES);
    }
    for (size_t rows = 1; rows <= TALLEST; rows += columns % 3 + 1) {
      const size_t bytes = 4 * rows * (columns + 5);
      float *c = make_room(bytes);
      for (int add = 0; add < 2; add++) {
        for (size_t row = 0; row < rows; row += k->block_rows) {
          const size_t count = rows - row < k->block_rows ? rows - row : k->block_rows;
          for (size_t first = 0; first < columns; first += k->panel_columns) {
            const size_t rest = columns - first;
            k->multiply(
                left + row * APART, APART, count, panels + first * depth,
                rest < k->panel_columns ? rest : k->panel_columns, depth,
                c + row * (columns + 5) + first, columns + 5, add);
          }
        }
        product = digest(product, c, bytes / 4, FLOATS);
      }
      free_room(c, bytes, "multiply");
    }
  }
  show("pack_straight", set_names[set], packed[0]);
  show("pack_transposed", set_names[set], packed[1]);
  show("multiply", set_names[set], product);
}

void digest_rows(int level) {
  const struct fathom_kernels *k = fathom_kernels_at(level);
#define RUN(field) (use_entry(offsetof(struct fathom_kernels, field)), run(k, #field, field))
  RUN(normalize);
  RUN(largest);
  RUN(exponentials);
  RUN(gate);
  RUN(sigmoid);
  RUN(add);
  RUN(add_positive);
  RUN(dot);
  RUN(exponential);
#undef RUN
  use_entry(offsetof(struct fathom_kernels, pack_straight));
  use_entry(offsetof(struct fathom_kernels, pack_transposed));
  use_entry(offsetof(struct fathom_kernels, multiply));
  for (int set = 0; set < NUMBER_SETS; set++) multiply(k, set);
}
