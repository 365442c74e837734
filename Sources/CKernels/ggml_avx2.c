#if defined(__x86_64__)
#include <immintrin.h>

#include "bodies/common.h"
#include "bodies/ggml_rows.h"

#define NAME(function) function##_avx2
#define LANES 8
#define ANY(mask) (_mm256_movemask_ps((__m256)(mask)) != 0)

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#include "bodies/ggml_bodies.h"

#pragma clang attribute pop

#include "bodies/ggml_rows_of_level.h"
#endif
