#if defined(__x86_64__)
#include <immintrin.h>

#include "bodies/common.h"
#include "bodies/ggml_rows.h"

#define NAME(function) function##_avx512
#define LANES 16
#define MASK_BITS(mask) ((uint32_t)_mm512_movepi32_mask((__m512i)(mask)))
#define ANY(mask) (MASK_BITS(mask) != 0)
// Without the fraction; −2³¹ for NaN and what does not fit.
#define TRUNCATE(x) ((vi)_mm512_cvttps_epi32((__m512)(x)))

// 16 floats, by the low 4 bits of the index.
#define LOOK_UP_16(table, index) \
  ((vf)_mm512_permutexvar_ps((__m512i)(index), _mm512_loadu_ps(table)))
#define LOOK_UP(table, index, upper) LOOK_UP_16(table, index)

// 16 bytes, by the indices of as many.
#define LOOK_UP_BYTES(table, index) \
  ((bytes16)_mm_shuffle_epi8((__m128i)(table), (__m128i)(index)))

// The lanes of a table by the low 4 bits of the index.
#define PERMUTE(table, index) ((vf)_mm512_permutexvar_ps((__m512i)(index), (__m512)(table)))
#define PERMUTE_16(table, index) PERMUTE((table)[0], index)
// 16-bit numbers, one to a lane.
#define WIDEN(at) ((vi)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(at))))
// x < y ? x : y and x > y ? x : y, NaN and zeros as there.
#define LESSER(x, y) ((vf)_mm512_min_ps((__m512)(x), (__m512)(y)))
#define GREATER(x, y) ((vf)_mm512_max_ps((__m512)(x), (__m512)(y)))
#define BITS_AT_MOST(x, y) \
  ((uint32_t)_mm512_cmp_ps_mask((__m512)(x), (__m512)(y), _CMP_LE_OQ))
// 1 / x, wrong by at most 2⁻¹¹ of it where x is neither very small nor very large.
#define NEAR_INVERSE(x) ((vf)_mm512_rcp14_ps((__m512)(x)))
// The least lane of a vector without NaN.
#define LEAST(x) _mm512_reduce_min_ps((__m512)(x))

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))), \
    apply_to = function)

#include "bodies/ggml_bodies.h"

#pragma clang attribute pop

#include "bodies/ggml_rows_of_level.h"
#endif
