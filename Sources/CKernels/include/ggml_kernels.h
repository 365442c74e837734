#ifndef FATHOM_GGML_KERNELS_H
#define FATHOM_GGML_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// x (blocks × elements of a block) → out (blocks), the bytes of the plain Swift twin.
///
/// With an importance (one weight per element of x) x must be one row, otherwise any run of blocks.
typedef void (*fathom_ggml_encode)(const float *_Nonnull x,
                                   const float *_Nullable importance, size_t blocks,
                                   uint8_t *_Nonnull out);

/// in (blocks) → x (blocks × elements of a block), the values of the plain Swift twin.
typedef void (*fathom_ggml_decode)(const uint8_t *_Nonnull in, size_t blocks,
                                   float *_Nonnull x);

/// The points of a grid, as PointGrid.swift has them.
struct fathom_grid {
  const uint32_t *_Nonnull cells;
  const uint16_t *_Nonnull lists;
  const uint16_t *_Nonnull indices;
};

/// As fathom_ggml_encode, for a type whose codes are points of a grid.
///
/// Returns how many blocks were done. The one behind them, if any, has numbers so large, so small or
/// so strange that the twin must do it.
typedef size_t (*fathom_grid_encode)(const float *_Nonnull x,
                                     const float *_Nullable importance, size_t blocks,
                                     const struct fathom_grid *_Nonnull grid,
                                     uint8_t *_Nonnull out);

/// The kernel for such a type at a level; NULL where there is none and the twin must do.
fathom_grid_encode _Nullable fathom_grid_encoder(uint32_t type, int level);

/// The kernel for a GGML type at a level; NULL where there is none and the twin must do.
fathom_ggml_encode _Nullable fathom_ggml_encoder(uint32_t type, int level, bool weighted);

/// The kernel for a GGML type at a level; NULL where there is none and the twin must do.
fathom_ggml_decode _Nullable fathom_ggml_decoder(uint32_t type, int level);

/// Gives this thread the floating-point state that all results are defined for: round to nearest,
/// nothing flushed to zero, no traps.
///
/// A library that flushes denormals to zero changes results near 2⁻⁴⁰; call this at the start of
/// each worker thread.
void fathom_reset_float_state(void);

#endif
