#if defined(__aarch64__)
#include "bodies/common.h"
#include "include/group_kernels.h"

#define NAME(function) function##_neon
#define LANES 4
// Rounded to F16 and back.
#define HALF_OF(x) __builtin_convertvector(__builtin_convertvector(x, vh), vf)
#define HALF1_OF(x) ((float)(_Float16)(x))
// 16 floats, by the low 4 bits of the index.
#define LOOK_UP_16(table, index) \
  ((vf){(table)[(index)[0] & 15], (table)[(index)[1] & 15], (table)[(index)[2] & 15], \
        (table)[(index)[3] & 15]})

typedef _Float16 vh __attribute__((vector_size(8)));

#include "bodies/group_bodies.h"
#include "bodies/group_table.h"
#endif
