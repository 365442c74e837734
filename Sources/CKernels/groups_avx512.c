#if defined(__x86_64__)
#include <immintrin.h>

#include "bodies/common.h"
#include "include/group_kernels.h"

#define NAME(function) function##_avx512
#define LANES 16
// Rounded to F16 and back.
#define HALF_OF(x) ((vf)_mm512_cvtph_ps(_mm512_cvtps_ph((__m512)(x), 0)))
#define HALF1_OF(x) _cvtsh_ss(_cvtss_sh(x, 0))
// 16 floats, by the low 4 bits of the index.
#define LOOK_UP_16(table, index) \
  ((vf)_mm512_permutexvar_ps((__m512i)(index), _mm512_loadu_ps(table)))

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))), \
    apply_to = function)

#include "bodies/group_bodies.h"

#pragma clang attribute pop

#include "bodies/group_table.h"
#endif
