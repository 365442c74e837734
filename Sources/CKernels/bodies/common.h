// What the bodies share. A file per level includes them once, with NAME giving each function the
// level's suffix and a target attribute applied to all of them.
#ifndef FATHOM_COMMON_H
#define FATHOM_COMMON_H

#include "../include/ckernels.h"

#define BODY static inline __attribute__((always_inline))

#define UNROLL _Pragma("clang loop unroll(full)")

// Stored elements: at any address, and never assumed to be distinct from other types.
typedef uint16_t u16 __attribute__((aligned(1), may_alias));
typedef float f32 __attribute__((aligned(1), may_alias));
typedef _Float16 f16 __attribute__((aligned(1), may_alias));

#define bits_of(value) __builtin_bit_cast(uint32_t, (float)(value))
#define float_of(bits) __builtin_bit_cast(float, (uint32_t)(bits))

#endif
