#if defined(__x86_64__)
#include <immintrin.h>

#include "bodies/common.h"
#include "bodies/ggml_rows.h"

#define NAME(function) function##_avx512
#define LANES 16
#define ANY(mask) (_mm512_movepi32_mask((__m512i)(mask)) != 0)

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))), \
    apply_to = function)

#include "bodies/ggml_bodies.h"

#pragma clang attribute pop

#include "bodies/ggml_rows_of_level.h"
#endif
