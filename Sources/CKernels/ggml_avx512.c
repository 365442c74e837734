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

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))), \
    apply_to = function)

#include "bodies/ggml_bodies.h"

#pragma clang attribute pop

#include "bodies/ggml_rows_of_level.h"
#endif
