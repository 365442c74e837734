// BLAKE3's compression, for words or vectors of words (BLAKE3 paper, section 2.2).
#ifndef FATHOM_BLAKE3_ROUNDS_H
#define FATHOM_BLAKE3_ROUNDS_H

#include <stdint.h>

#define UNROLL _Pragma("clang loop unroll(full)")

// The square roots of the first eight primes, as in SHA-256.
static const uint32_t start[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

// Which word of the block each step takes: every round permutes the one before.
static const uint8_t schedule[7][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8},
    {3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1},
    {10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6},
    {12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4},
    {9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7},
    {11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13},
};

#define TURN(word, bits) (((word) >> (bits)) | ((word) << (32 - (bits))))
#define MIX(v, a, b, c, d, x, y) \
  do { \
    v[a] = v[a] + v[b] + x; \
    v[d] = TURN(v[d] ^ v[a], 16); \
    v[c] = v[c] + v[d]; \
    v[b] = TURN(v[b] ^ v[c], 12); \
    v[a] = v[a] + v[b] + y; \
    v[d] = TURN(v[d] ^ v[a], 8); \
    v[c] = v[c] + v[d]; \
    v[b] = TURN(v[b] ^ v[c], 7); \
  } while (0)

#define ROUNDS(v, m) \
  UNROLL for (int round = 0; round < 7; round++) { \
    const uint8_t *s = schedule[round]; \
    MIX(v, 0, 4, 8, 12, m[s[0]], m[s[1]]); \
    MIX(v, 1, 5, 9, 13, m[s[2]], m[s[3]]); \
    MIX(v, 2, 6, 10, 14, m[s[4]], m[s[5]]); \
    MIX(v, 3, 7, 11, 15, m[s[6]], m[s[7]]); \
    MIX(v, 0, 5, 10, 15, m[s[8]], m[s[9]]); \
    MIX(v, 1, 6, 11, 12, m[s[10]], m[s[11]]); \
    MIX(v, 2, 7, 8, 13, m[s[12]], m[s[13]]); \
    MIX(v, 3, 4, 9, 14, m[s[14]], m[s[15]]); \
  }

#endif
