#include "ckernels.h"

int fathom_best_level(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
    return FATHOM_AVX512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("f16c")) {
    return FATHOM_AVX2;
  }
#elif defined(__aarch64__)
  return FATHOM_NEON;
#endif
  return FATHOM_PLAIN;
}
