#if defined(__x86_64__)
#include "bodies/common.h"

#define NAME(function) function##_avx2
#define LANES 8
#define BLOCK_ROWS 6
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#include "bodies/convert.h"
#include "bodies/product.h"
#include "bodies/vector.h"

#pragma clang attribute pop

#define LOOK_UP_16 NULL
#include "bodies/table.h"
#endif
