#if defined(__x86_64__)
#include <immintrin.h>

#include "bodies/common.h"
#include "include/group_kernels.h"

#define NAME(function) function##_avx2
#define LANES 8
// Rounded to F16 and back.
#define HALF_OF(x) ((vf)_mm256_cvtph_ps(_mm256_cvtps_ph((__m256)(x), 0)))
#define HALF1_OF(x) _cvtsh_ss(_cvtss_sh(x, 0))
// 16 floats, by the low 4 bits of the index.
#define LOOK_UP_8(table, index, upper) \
  _mm256_permutevar8x32_ps(_mm256_loadu_ps((table) + 8 * (upper)), (__m256i)(index))
#define LOOK_UP_16(table, index) \
  ((vf)_mm256_blendv_ps( \
      LOOK_UP_8(table, index, 0), LOOK_UP_8(table, index, 1), (__m256)((index) << 28)))

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#include "bodies/group_bodies.h"

#pragma clang attribute pop

#include "bodies/group_table.h"
#endif
