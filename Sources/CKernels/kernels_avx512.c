#if defined(__x86_64__)
#include "bodies/common.h"
#include <immintrin.h>

#define NAME(function) function##_avx512
#define LANES 16
#define BLOCK_ROWS 12
#define ZIP_LOW(a, b) \
  __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define ZIP_HIGH(a, b) \
  __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))), \
    apply_to = function)

#include "bodies/convert.h"
#include "bodies/product.h"
#include "bodies/vector.h"

// 32 codes: the table's halves are looked up apart, and the sign is put back.
BODY __m512i look_up(__m256i codes, const __m512i table[4]) {
  __m512i index = _mm512_cvtepu8_epi16(codes);
  __m512i low = _mm512_permutex2var_epi16(table[0], index, table[1]);
  __m512i high = _mm512_permutex2var_epi16(table[2], index, table[3]);
  __mmask32 upper = _mm512_test_epi16_mask(index, _mm512_set1_epi16(0x40));
  __m512i magnitude = _mm512_mask_blend_epi16(upper, low, high);
  __m512i sign = _mm512_slli_epi16(index, 8);
  // magnitude | (sign & 0x8000)
  return _mm512_ternarylogic_epi32(magnitude, sign, _mm512_set1_epi16((short)0x8000), 0xF8);
}

static void look_up_16_avx512(
    const void *codes, const uint16_t *tables, size_t first, size_t block, void *target,
    size_t n) {
  const uint8_t *in = codes;
  uint8_t *out = target;
  for (size_t start = 0, end = first < n ? first : n; start < n; tables += 128) {
    __m512i table[4];
    for (int i = 0; i < 4; i++) table[i] = _mm512_loadu_si512(tables + 32 * i);
    for (; start + 32 <= end; start += 32) {
      __m256i part = _mm256_loadu_si256((const __m256i *)(in + start));
      _mm512_storeu_si512(out + 2 * start, look_up(part, table));
    }
    __mmask32 rest = (__mmask32)((1ull << (end - start)) - 1);
    __m256i part = _mm256_maskz_loadu_epi8(rest, in + start);
    _mm512_mask_storeu_epi16(out + 2 * start, rest, look_up(part, table));
    start = end;
    end = start + block < n ? start + block : n;
  }
}

#pragma clang attribute pop

#define LOOK_UP_16 look_up_16_avx512
#include "bodies/table.h"
#endif
