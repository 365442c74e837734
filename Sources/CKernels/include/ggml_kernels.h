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
