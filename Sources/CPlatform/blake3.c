#include "blake3.h"

#include <string.h>

#include "bodies/blake3_rounds.h"

// What a block is of the tree.
enum { CHUNK_START = 1, CHUNK_END = 2, PARENT = 4, ROOT = 8 };

#define LANES 4
#define NAME(name) name##_4
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#include "bodies/blake3_lanes.h"
#undef LANES
#undef NAME
#undef ZIP_LOW
#undef ZIP_HIGH

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#define LANES 8
#define NAME(name) name##_8
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#include "bodies/blake3_lanes.h"
#undef LANES
#undef NAME
#undef ZIP_LOW
#undef ZIP_HIGH
#pragma clang attribute pop

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2"))), apply_to = function)
#define LANES 16
#define NAME(name) name##_16
#define ZIP_LOW(a, b) \
  __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define ZIP_HIGH(a, b) \
  __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#include "bodies/blake3_lanes.h"
#include "bodies/blake3_double.h"
#pragma clang attribute pop
#endif

struct width {
  size_t lanes;
  void (*hash)(
      const uint8_t *, size_t, int, uint64_t, int, uint32_t, uint32_t, uint32_t, uint8_t *);
};

// The widths of each level, the widest first.
enum { WIDTHS = 4 };
static const struct width widths[][WIDTHS] = {
    [FATHOM_HASH_PLAIN] = {{4, hash_4}},
#if defined(__x86_64__)
    [FATHOM_HASH_AVX2] = {{8, hash_8}, {4, hash_4}},
    [FATHOM_HASH_AVX512] = {{32, hash_32}, {16, hash_16}, {8, hash_8}, {4, hash_4}},
#endif
};

int fathom_hash_best_level(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")) {
    return FATHOM_HASH_AVX512;
  }
  if (__builtin_cpu_supports("avx2")) return FATHOM_HASH_AVX2;
#endif
  return FATHOM_HASH_PLAIN;
}

static void compress(
    uint32_t h[8], const uint8_t *block, uint64_t counter, size_t length, uint32_t flags) {
  uint32_t m[16];
  memcpy(m, block, 64);
  uint32_t v[16] = {
      h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], start[0], start[1], start[2], start[3],
      (uint32_t)counter, (uint32_t)(counter >> 32), (uint32_t)length, flags};
  ROUNDS(v, m);
  for (int i = 0; i < 8; i++) h[i] = v[i] ^ v[i + 8];
}

// One chunk, which may be short.
static void hash_chunk(
    const uint8_t *bytes, size_t count, uint64_t counter, int root, uint8_t *value) {
  uint32_t h[8];
  memcpy(h, start, sizeof h);
  uint32_t flags = CHUNK_START;
  for (; count > 64; bytes += 64, count -= 64, flags = 0) compress(h, bytes, counter, 64, flags);
  uint8_t block[64] = {0};
  if (count > 0) memcpy(block, bytes, count);
  compress(h, block, counter, count, flags | CHUNK_END | (root ? ROOT : 0));
  memcpy(value, h, sizeof h);
}

static void hash_parent(const uint8_t *values, int root, uint8_t *value) {
  uint32_t h[8];
  memcpy(h, start, sizeof h);
  compress(h, values, 0, 64, PARENT | (root ? ROOT : 0));
  memcpy(value, h, sizeof h);
}

void fathom_hash_join(int level, unsigned char *values, size_t count, int root) {
  // Pairs from the left, an odd one waiting for the next round: that is BLAKE3's tree, whose left
  // sides are the largest powers of two.
  while (count > 2) {
    size_t pairs = count / 2, done = 0;
    for (const struct width *width = widths[level]; width < widths[level] + WIDTHS; width++) {
      if (width->lanes == 0) break;
      for (; pairs - done >= width->lanes; done += width->lanes) {
        width->hash(values + 64 * done, 64, 1, 0, 0, PARENT, 0, 0, values + 32 * done);
      }
    }
    for (; done < pairs; done++) hash_parent(values + 64 * done, 0, values + 32 * done);
    if (count % 2 == 1) memmove(values + 32 * pairs, values + 32 * (count - 1), 32);
    count -= pairs;
  }
  if (count == 2) hash_parent(values, root, values);
}

void fathom_hash_piece(
    int level, const void *bytes, size_t count, uint64_t first, int root, unsigned char *value) {
  uint8_t values[FATHOM_HASH_PIECE_CHUNKS * FATHOM_HASH_VALUE];
  const uint8_t *in = bytes;
  size_t whole = count / FATHOM_HASH_CHUNK, done = 0;
  if (count <= FATHOM_HASH_CHUNK) return hash_chunk(in, count, first, root, value);
  for (const struct width *width = widths[level]; width < widths[level] + WIDTHS; width++) {
    if (width->lanes == 0) break;
    for (; whole - done >= width->lanes; done += width->lanes) {
      width->hash(
          in + done * FATHOM_HASH_CHUNK, FATHOM_HASH_CHUNK, FATHOM_HASH_CHUNK / 64, first + done, 1,
          0, CHUNK_START, CHUNK_END, values + 32 * done);
    }
  }
  for (; done * FATHOM_HASH_CHUNK < count; done++) {
    size_t at = done * FATHOM_HASH_CHUNK;
    size_t size = count - at < FATHOM_HASH_CHUNK ? count - at : FATHOM_HASH_CHUNK;
    hash_chunk(in + at, size, first + done, 0, values + 32 * done);
  }
  fathom_hash_join(level, values, done, root);
  memcpy(value, values, FATHOM_HASH_VALUE);
}
