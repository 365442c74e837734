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

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#include "bodies/ggml_bodies.h"

#pragma clang attribute pop

#include "bodies/ggml_rows_of_level.h"
#endif
