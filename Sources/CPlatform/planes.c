// Numbers cut into planes of bytes, the exponent in a plane of its own: see planes.h.
#include "include/planes.h"

#define LOOP static inline __attribute__((always_inline))

// A function of each loop, and on x86 a copy for processors with AVX2, whose loops become vectors.
// Chosen by a branch and not by the loader, which would run code before a sanitizer is set up.
#if defined(__x86_64__)
#define LEVELS(loop, from, to)                                                     \
  __attribute__((target("avx2"))) static void loop##_avx2(from in, size_t n, to out) { \
    loop(in, n, out);                                                              \
  }                                                                                \
  void fathom_##loop(from in, size_t n, to out) {                                  \
    if (__builtin_cpu_supports("avx2")) {                                          \
      loop##_avx2(in, n, out);                                                     \
    } else {                                                                       \
      loop(in, n, out);                                                            \
    }                                                                              \
  }
#else
#define LEVELS(loop, from, to) \
  void fathom_##loop(from in, size_t n, to out) { loop(in, n, out); }
#endif

typedef uint16_t u16 __attribute__((aligned(1), may_alias));
typedef uint32_t u32 __attribute__((aligned(1), may_alias));

LOOP void split_16(const void *numbers, size_t n, uint8_t *planes) {
  const u16 *in = numbers;
  uint8_t *high = planes, *low = planes + n;
  for (size_t i = 0; i < n; i++) {
    uint16_t x = (uint16_t)(in[i] << 1 | in[i] >> 15);
    high[i] = (uint8_t)(x >> 8);
    low[i] = (uint8_t)x;
  }
}
LEVELS(split_16, const void *, uint8_t *)

LOOP void join_16(const uint8_t *planes, size_t n, void *numbers) {
  u16 *out = numbers;
  const uint8_t *high = planes, *low = planes + n;
  for (size_t i = 0; i < n; i++) {
    uint16_t x = (uint16_t)(high[i] << 8 | low[i]);
    out[i] = (uint16_t)(x >> 1 | x << 15);
  }
}
LEVELS(join_16, const uint8_t *, void *)

LOOP void split_32(const void *numbers, size_t n, uint8_t *planes) {
  const u32 *in = numbers;
  for (size_t i = 0; i < n; i++) {
    uint32_t x = in[i] << 1 | in[i] >> 31;
    planes[i] = (uint8_t)(x >> 24);
    planes[n + i] = (uint8_t)(x >> 16);
    planes[2 * n + i] = (uint8_t)(x >> 8);
    planes[3 * n + i] = (uint8_t)x;
  }
}
LEVELS(split_32, const void *, uint8_t *)

LOOP void join_32(const uint8_t *planes, size_t n, void *numbers) {
  u32 *out = numbers;
  for (size_t i = 0; i < n; i++) {
    uint32_t x = (uint32_t)planes[i] << 24 | (uint32_t)planes[n + i] << 16 |
                 (uint32_t)planes[2 * n + i] << 8 | planes[3 * n + i];
    out[i] = x >> 1 | x << 31;
  }
}
LEVELS(join_32, const uint8_t *, void *)
