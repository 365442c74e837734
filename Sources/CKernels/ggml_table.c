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

static const struct ggml_row *row_of(uint32_t type, int level) {
#if defined(__x86_64__)
  const struct ggml_row *rows = level == FATHOM_AVX2     ? ggml_rows_avx2
                                : level == FATHOM_AVX512 ? ggml_rows_avx512
                                                         : NULL;
  for (int i = 0; rows && i < GGML_ROWS; i++) {
    if (rows[i].type == type && type != 0) return rows + i;
  }
#else
  (void)type, (void)level;
#endif
  return NULL;
}

fathom_ggml_encode fathom_ggml_encoder(uint32_t type, int level, bool weighted) {
  const struct ggml_row *row = row_of(type, level);
  return !row ? NULL : weighted ? row->weigh : row->encode;
}

fathom_grid_encode fathom_grid_encoder(uint32_t type, int level) {
#if defined(__x86_64__)
  const struct grid_row *rows = level == FATHOM_AVX2     ? grid_rows_avx2
                                : level == FATHOM_AVX512 ? grid_rows_avx512
                                                         : NULL;
  for (int i = 0; rows && i < GRID_ROWS; i++) {
    if (rows[i].type == type) return rows[i].encode;
  }
#else
  (void)type, (void)level;
#endif
  return NULL;
}

fathom_ggml_decode fathom_ggml_decoder(uint32_t type, int level) {
  const struct ggml_row *row = row_of(type, level);
  return row ? row->decode : NULL;
}
