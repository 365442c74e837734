#include "ggml_kernels.h"

#include "bodies/ggml_rows.h"
#include "ckernels.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

void fathom_reset_float_state(void) {
#if defined(__x86_64__)
  // All exceptions masked, all flags clear.
  _mm_setcsr(0x1F80);
#elif defined(__aarch64__)
  uint64_t zero = 0;
  __asm__ volatile("msr fpcr, %0" : : "r"(zero));
#endif
}

static const struct block_level {
  const struct ggml_row *rows;
  const struct grid_row *grids;
} levels[] = {
#if defined(__x86_64__)
    [FATHOM_AVX2] = {ggml_rows_avx2, grid_rows_avx2},
    [FATHOM_AVX512] = {ggml_rows_avx512, grid_rows_avx512},
#elif defined(__aarch64__)
    [FATHOM_NEON] = {ggml_rows_neon, grid_rows_neon},
#endif
    [FATHOM_PLAIN] = {NULL, NULL},
};

static struct block_level level_at(int level) {
  int count = (int)(sizeof(levels) / sizeof(levels[0]));
  return levels[level >= 0 && level < count ? level : FATHOM_PLAIN];
}

static const struct ggml_row *row_of(uint32_t type, int level) {
  const struct ggml_row *rows = level_at(level).rows;
  for (int i = 0; rows && i < GGML_ROWS; i++) {
    if (rows[i].type == type && type != 0) return rows + i;
  }
  return NULL;
}

fathom_ggml_encode fathom_ggml_encoder(uint32_t type, int level, bool weighted) {
  const struct ggml_row *row = row_of(type, level);
  return !row ? NULL : weighted ? row->weigh : row->encode;
}

fathom_grid_encode fathom_grid_encoder(uint32_t type, int level) {
  const struct grid_row *rows = level_at(level).grids;
  for (int i = 0; rows && i < GRID_ROWS; i++) {
    if (rows[i].type == type) return rows[i].encode;
  }
  return NULL;
}

fathom_ggml_decode fathom_ggml_decoder(uint32_t type, int level) {
  const struct ggml_row *row = row_of(type, level);
  return row ? row->decode : NULL;
}
