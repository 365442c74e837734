// The table of the block kernels of a level.
#ifndef FATHOM_GGML_ROWS_H
#define FATHOM_GGML_ROWS_H

#include "../include/ggml_kernels.h"

// One GGML type; a missing kernel is NULL.
struct ggml_row {
  uint32_t type;
  fathom_ggml_encode encode, weigh;
  fathom_ggml_decode decode;
};

#define GGML_ROWS 32

// One type whose codes are points of a grid.
struct grid_row {
  uint32_t type;
  fathom_grid_encode encode;
};

#define GRID_ROWS 8

extern const struct ggml_row ggml_rows_avx2[GGML_ROWS];
extern const struct ggml_row ggml_rows_avx512[GGML_ROWS];
extern const struct ggml_row ggml_rows_neon[GGML_ROWS];

extern const struct grid_row grid_rows_avx2[GRID_ROWS];
extern const struct grid_row grid_rows_avx512[GRID_ROWS];
extern const struct grid_row grid_rows_neon[GRID_ROWS];

#endif
