#if defined(__x86_64__)
#include <immintrin.h>

#include "bodies/common.h"
#include "bodies/ggml_rows.h"

#define NAME(function) function##_avx2
#define LANES 8
#define MASK_BITS(mask) ((uint32_t)_mm256_movemask_ps((__m256)(mask)))
#define ANY(mask) (MASK_BITS(mask) != 0)
// Without the fraction; −2³¹ for NaN and what does not fit.
#define TRUNCATE(x) ((vi)_mm256_cvttps_epi32((__m256)(x)))

// 8 of 16 floats, by the low 3 bits of the index.
#define LOOK_UP(table, index, upper) \
  ((vf)_mm256_permutevar8x32_ps( \
      _mm256_loadu_ps((table) + 8 * (upper)), (__m256i)(index)))
// 16 floats, by the low 4 bits of the index.
#define LOOK_UP_16(table, index) \
  ((vf)_mm256_blendv_ps( \
      (__m256)LOOK_UP(table, index, 0), (__m256)LOOK_UP(table, index, 1), \
      (__m256)((index) << 28)))

// 16 bytes, by the indices of as many.
#define LOOK_UP_BYTES(table, index) \
  ((bytes16)_mm_shuffle_epi8((__m128i)(table), (__m128i)(index)))

// The lanes of a table by the low 3 bits of the index.
#define PERMUTE(table, index) \
  ((vf)_mm256_permutevar8x32_ps((__m256)(table), (__m256i)(index)))
// The same of 16 numbers in two vectors, by the low 4 bits.
#define PERMUTE_16(table, index) \
  ((vf)_mm256_blendv_ps( \
      (__m256)PERMUTE((table)[0], index), (__m256)PERMUTE((table)[1], index), \
      (__m256)((index) << 28)))
// 16-bit numbers, one to a lane.
#define WIDEN(at) ((vi)_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(at))))
// x < y ? x : y and x > y ? x : y, NaN and zeros as there.
#define LESSER(x, y) ((vf)_mm256_min_ps((__m256)(x), (__m256)(y)))
#define GREATER(x, y) ((vf)_mm256_max_ps((__m256)(x), (__m256)(y)))
#define BITS_AT_MOST(x, y) \
  ((uint32_t)_mm256_movemask_ps(_mm256_cmp_ps((__m256)(x), (__m256)(y), _CMP_LE_OQ)))
// 1 / x, wrong by at most 2⁻¹¹ of it where x is neither very small nor very large.
#define NEAR_INVERSE(x) ((vf)_mm256_rcp_ps((__m256)(x)))
// The least lane of a vector without NaN.
#define LEAST(x) least_avx2((__m256)(x))

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

static inline float least_avx2(__m256 x) {
  __m128 a = _mm_min_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  a = _mm_min_ps(a, _mm_movehl_ps(a, a));
  return _mm_cvtss_f32(_mm_min_ss(a, _mm_movehdup_ps(a)));
}

#include "bodies/ggml_bodies.h"

#pragma clang attribute pop

#include "bodies/ggml_rows_of_level.h"
#endif
