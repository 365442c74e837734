// The elementwise kernels.
#include <stdio.h>
#include <string.h>

#include "ckernels.h"
#include "digests.h"

// Lengths around those of vectors.
enum { SHORT = 70, EVERY = 65536, LOWER = 8, VALUES = EVERY * LOWER };

static float values[VALUES];
static uint16_t codes[EVERY];
static const float scales[] = {
    1, -1.5f, 0, -0.0f, 0.0071f, 3e38f, -3e38f, 1e-45f, 0x1p-130f, __builtin_inff(),
    -__builtin_inff(), __builtin_nanf("")};
enum { SCALES = sizeof scales / sizeof scales[0] };

// Every upper half of a float, and lower ones around the ties of BF16 and F16.
static void make_inputs(void) {
  static const uint32_t lower[LOWER] = {0, 1, 0x0FFF, 0x1000, 0x3000, 0x7FFF, 0x8000, 0x8001};
  for (uint32_t i = 0; i < VALUES; i++) {
    uint32_t bits = i / LOWER << 16 | lower[i % LOWER];
    memcpy(values + i, &bits, 4);
  }
  for (uint32_t i = 0; i < EVERY; i++) codes[i] = (uint16_t)(i * 40503);
}

static void show(const char *name, uint64_t found) {
  printf("conversion %s %016llx\n", name, (unsigned long long)found);
}

typedef void (*decoder)(const void *, float *, size_t);
typedef void (*encoder)(const float *, void *, size_t);
typedef void (*scaler)(const void *, float, void *, size_t);
typedef void (*divider)(const float *, float, void *, size_t);

// All codes, and from an odd address short runs of them.
static void decode(const char *name, decoder kernel, size_t count) {
  uint64_t found = no_digest;
  for (size_t n = 0; n <= count; n = n < SHORT ? n + 1 : n < count ? count : n + 1) {
    const size_t odd = n < SHORT;
    float *target = make_room(4 * n);
    kernel((const uint8_t *)codes + odd, target, n);
    found = digest(found, target, 4 * n, BYTES);
    free_room(target, 4 * n, name);
  }
  show(name, found);
}

// What does not calculate keeps every bit, those of NaN too.
static void encode(const char *name, encoder kernel, size_t size) {
  uint64_t found = no_digest;
  for (size_t n = 0; n <= VALUES; n = n < SHORT ? n + 1 : n < VALUES ? VALUES : n + 1) {
    const size_t odd = n < SHORT, bytes = size * n + odd;
    uint8_t *target = make_room(bytes);
    kernel(values + 1021 * odd * n, target + odd, n);
    found = digest(found, target, bytes, BYTES);
    free_room(target, bytes, name);
  }
  show(name, found);
}

static void scale(const char *name, scaler kernel, size_t size, int kind) {
  uint64_t found = no_digest;
  for (size_t s = 0; s < SCALES; s++) {
    for (size_t n = 0; n <= 512; n = n < SHORT ? n + 1 : 2 * n) {
      uint8_t *target = make_room(size * n);
      kernel((const uint8_t *)codes + 1, scales[s], target, n);
      found = digest(found, target, kind == BYTES ? size * n : n, kind);
      free_room(target, size * n, name);
    }
  }
  show(name, found);
}

static void divide(const char *name, divider kernel) {
  uint64_t found = no_digest;
  for (size_t s = 0; s < SCALES; s++) {
    for (size_t n = 0; n <= 20000; n = n < SHORT ? n + 1 : 5 * n) {
      uint8_t *target = make_room(n);
      kernel(values + 27 * n, scales[s], target, n);
      found = digest(found, target, n, EIGHTHS);
      free_room(target, n, name);
    }
  }
  show(name, found);
}

static void find_largest(const struct fathom_kernels *k) {
  uint64_t whole = no_digest, half = no_digest;
  for (size_t n = 0; n <= 3 * SHORT; n++) {
    const uint32_t most = k->amax(values + 2039 * n, n);
    const uint16_t most_half = k->amax_half((const uint8_t *)(codes + 31 * n) + 1, n);
    whole = digest(whole, &most, 4, BYTES);
    half = digest(half, &most_half, 2, BYTES);
  }
  show("amax", whole);
  show("amax_half", half);
}

static void look_up(const struct fathom_kernels *k) {
  if (!k->look_up_16) return;
  uint16_t tables[128 * 4];
  for (int i = 0; i < 128 * 4; i++) tables[i] = codes[i] & 0x7FFF;
  uint64_t found = no_digest;
  for (size_t n = 1; n <= 400; n += 7) {
    uint8_t *target = make_room(2 * n);
    k->look_up_16(codes, tables, n % 128 + 1, 128, target, n);
    found = digest(found, target, 2 * n, BYTES);
    free_room(target, 2 * n, "look_up_16");
  }
  show("look_up_16", found);
}

void digest_conversions(int level) {
  const struct fathom_kernels *k = fathom_kernels_at(level);
  make_inputs();
#define USE(field) (use_entry(offsetof(struct fathom_kernels, field)), #field), k->field
  decode(USE(decode_bf16), EVERY);
  decode(USE(decode_f16), EVERY);
  decode(USE(decode_e4m3), EVERY);
  encode(USE(encode_bf16), 2);
  encode(USE(encode_f16), 2);
  encode(USE(encode_e4m3), 1);
  scale(USE(scale_e4m3_f32), 4, FLOATS);
  scale(USE(scale_e4m3_bf16), 2, BYTES);
  scale(USE(scale_e4m3_f16), 2, HALVES);
  divide(USE(divide_e4m3));
  divide(USE(divide_e4m3_bf16));
  divide(USE(divide_e4m3_f16));
#undef USE
  use_entry(offsetof(struct fathom_kernels, amax));
  use_entry(offsetof(struct fathom_kernels, amax_half));
  find_largest(k);
  look_up(k);
}
