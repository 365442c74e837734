// Codes in groups.
#include <stdio.h>
#include <string.h>

#include "ckernels.h"
#include "digests.h"

enum { COLUMNS = 1280 };

static const char *const methods[FATHOM_GROUP_METHODS] = {
    "mlx-affine", "mlx-power-f4", "mlx-power-e4m3", "mlx-nvfp4",
    "symmetric",  "asymmetric",   "power-f4",       "nvfp4"};
static const char *const precisions[FATHOM_PRECISIONS] = {"f32", "f16", "bf16"};

// Sources hold numbers of their type.
static void round_to(int precision, float *values, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, values + i, 4);
    if (precision == FATHOM_F16) values[i] = (float)(_Float16)values[i];
    if (precision != FATHOM_BF16) continue;
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000;
    memcpy(values + i, &bits, 4);
  }
  keep_finite(values, count);
}

static uint64_t quantize_as(
    fathom_group_quantize kernel, const char *name, const float *x, size_t group, int bits,
    uint64_t found) {
  const size_t groups = COLUMNS / group;
  const struct fathom_group_task task = {group, bits, 0.37f * 448 * 6};
  uint8_t *codes = make_room(COLUMNS);
  float *scales = make_room(4 * groups), *offsets = make_room(4 * groups);
  for (int numbers_alone = 0; numbers_alone < 2; numbers_alone++) {
    kernel(x, groups, &task, numbers_alone ? NULL : codes, scales, offsets);
    found = digest(found, scales, groups, FLOATS);
    found = digest(found, offsets, groups, FLOATS);
  }
  found = digest(found, codes, COLUMNS, BYTES);
  free_room(codes, COLUMNS, name);
  free_room(scales, 4 * groups, name);
  free_room(offsets, 4 * groups, name);
  return found;
}

static void quantize(fathom_group_quantize kernel, int method, int precision) {
  // Whole vectors and what does not fill them.
  static const size_t groups[] = {16, 32, 64, 128, 20, 1280};
  static float x[COLUMNS];
  const int is_integer =
      method == FATHOM_MLX_AFFINE || method == FATHOM_SYMMETRIC || method == FATHOM_ASYMMETRIC;
  for (int set = 0; set < NUMBER_SETS; set++) {
    uint64_t found = no_digest;
    fill_set(set, x, COLUMNS, 11);
    round_to(precision, x, COLUMNS);
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
      for (int bits = 2; bits <= 8; bits += bits == 6 ? 2 : 1) {
        if (!is_integer && bits != 4) continue;
        found = quantize_as(kernel, methods[method], x, groups[i], bits, found);
      }
    }
    printf(
        "group %s %s %s %016llx\n", methods[method], precisions[precision], set_names[set],
        (unsigned long long)found);
  }
}

static void pack(const struct fathom_group_kernels *k) {
  uint8_t codes[600];
  struct random random = {17};
  for (int bits = 2; bits <= 8; bits += bits == 6 ? 2 : 1) {
    uint64_t found = no_digest;
    for (size_t n = 1; n <= sizeof codes; n += n < 130 ? 1 : 67) {
      const size_t bytes = (n * (size_t)bits + 7) / 8;
      for (size_t i = 0; i < n; i++) codes[i] = (uint8_t)(next_random(&random) >> (64 - bits));
      uint8_t *packed = make_room(bytes);
      k->pack(codes, n, bits, packed);
      found = digest(found, packed, bytes, BYTES);
      free_room(packed, bytes, "pack");
    }
    printf("group pack %d %016llx\n", bits, (unsigned long long)found);
  }
}

// Values of every kind of codes with scales alone, with zeros and with biases.
static void decode(const struct fathom_group_kernels *k, int kind, int set) {
  static float scales[700], others[700];
  static uint8_t codes[700];
  struct random random = {19};
  uint64_t found = no_digest;
  fill_set(set, scales, 700, 21);
  fill_set(set, others, 700, 22);
  for (size_t i = 0; i < sizeof codes; i++) codes[i] = (uint8_t)(next_random(&random) >> 56);
  for (size_t n = 1; n <= 700; n += n < 70 ? 3 : 131) {
    for (int way = 0; way < 4; way++) {
      const size_t block = n % 29 + 1;
      const struct fathom_code_grid grid = {
          scales, way == 1 || way == 2 ? others : NULL, way == 2, way == 3 ? others : NULL,
          n % block + 1, block};
      float *values = make_room(4 * n);
      k->decode(codes, kind, n, &grid, values);
      found = digest(found, values, n, FLOATS);
      free_room(values, 4 * n, "decode");
    }
  }
  printf("group decode %d %s %016llx\n", kind, set_names[set], (unsigned long long)found);
}

void digest_groups(int level) {
  static const int kinds[] = {FATHOM_CODE_F4, 2, 3, 4, 5, 6, 8};
  const struct fathom_group_kernels *k = fathom_groups_at(level);
  for (int method = 0; method < FATHOM_GROUP_METHODS; method++) {
    for (int precision = 0; precision < FATHOM_PRECISIONS; precision++) {
      use_entry((size_t)(FATHOM_PRECISIONS * method + precision) * sizeof(void *));
      quantize(k->quantize[method][precision], method, precision);
    }
  }
  use_entry(offsetof(struct fathom_group_kernels, pack));
  pack(k);
  use_entry(offsetof(struct fathom_group_kernels, decode));
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    for (int set = 0; set < NUMBER_SETS; set++) decode(k, kinds[i], set);
  }
}
