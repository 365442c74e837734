#include "ckernels.h"

extern const struct fathom_kernels fathom_kernels_avx2;
extern const struct fathom_kernels fathom_kernels_avx512;
extern const struct fathom_kernels fathom_kernels_neon;
extern const struct fathom_group_kernels fathom_groups_avx2;
extern const struct fathom_group_kernels fathom_groups_avx512;
extern const struct fathom_group_kernels fathom_groups_neon;

static const struct level {
  const struct fathom_kernels *kernels;
  const struct fathom_group_kernels *groups;
} levels[] = {
#if defined(__x86_64__)
    [FATHOM_AVX2] = {&fathom_kernels_avx2, &fathom_groups_avx2},
    [FATHOM_AVX512] = {&fathom_kernels_avx512, &fathom_groups_avx512},
#elif defined(__aarch64__)
    [FATHOM_NEON] = {&fathom_kernels_neon, &fathom_groups_neon},
#endif
    [FATHOM_PLAIN] = {NULL, NULL},
};

static struct level level_at(int level) {
  int count = (int)(sizeof(levels) / sizeof(levels[0]));
  return levels[level >= 0 && level < count ? level : FATHOM_PLAIN];
}

const struct fathom_kernels *fathom_kernels_at(int level) { return level_at(level).kernels; }

const struct fathom_group_kernels *fathom_groups_at(int level) { return level_at(level).groups; }

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
