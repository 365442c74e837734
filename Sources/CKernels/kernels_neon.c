#if defined(__aarch64__)
#include "bodies/common.h"

#define NAME(function) function##_neon
#define LANES 4
#define BLOCK_ROWS 12
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)

#include "bodies/convert.h"
#include "bodies/product.h"
#include "bodies/vector.h"

#define LOOK_UP_16 NULL
#include "bodies/table.h"
#endif
