#ifndef FATHOM_GROUP_KERNELS_H
#define FATHOM_GROUP_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// Ways to quantize a group, see `GroupScheme.Method`.
enum {
  FATHOM_MLX_AFFINE = 0,
  FATHOM_MLX_POWER_F4 = 1,
  FATHOM_MLX_POWER_E4M3 = 2,
  FATHOM_MLX_NVFP4 = 3,
  FATHOM_SYMMETRIC = 4,
  FATHOM_ASYMMETRIC = 5,
  FATHOM_POWER_F4 = 6,
  FATHOM_NVFP4 = 7,
  FATHOM_MODELOPT = 8,
  FATHOM_GROUP_METHODS = 9,
};

/// Types whose arithmetic is used, see `Precision`.
enum { FATHOM_F32 = 0, FATHOM_F16 = 1, FATHOM_BF16 = 2, FATHOM_PRECISIONS = 3 };

/// What holds for all groups of a call.
struct fathom_group_task {
  /// Elements of a group.
  size_t group;
  /// Bits of a code.
  int bits;
  /// What NVFP4's scales are divided by, or multiplied by.
  float global_scale;
};

/// x (groups × group) → codes (groups × group), one to a byte, and the numbers of each group as
/// `GroupArithmetic` finds them. Without `codes` only the numbers.
typedef void (*fathom_group_quantize)(
  const float *x, size_t groups, const struct fathom_group_task *task, uint8_t *_Nullable codes,
  float *scales, float *offsets);

/// Kinds of codes, beside the number of bits that an unsigned integer has.
enum { FATHOM_CODE_F4 = 0 };

/// Where the numbers of a piece of a row lie; grids start with the piece's first block.
struct fathom_code_grid {
  const float *scales;
  /// Subtracted from codes: one for all blocks where the step is 0, else one per block.
  const float *_Nullable zeros;
  size_t zero_step;
  /// Added after the scaling; null where there are none.
  const float *_Nullable biases;
  /// Elements of the first block that are in the piece, and of the others.
  size_t first;
  size_t block;
};

/// The kernels of one level for codes in groups.
struct fathom_group_kernels {
  fathom_group_quantize _Nonnull quantize[FATHOM_GROUP_METHODS][FATHOM_PRECISIONS];
  /// codes (n), one to a byte → ⌈n · bits / 8⌉ bytes
  void (*pack)(const uint8_t *codes, size_t n, int bits, uint8_t *out);
  /// n codes of a kind, packed → values (n), see `BlockScales`
  void (*decode)(
    const uint8_t *codes, int kind, size_t n, const struct fathom_code_grid *grid,
    float *values);
};

/// The kernels of a level; null where there are none and plain Swift must do.
const struct fathom_group_kernels *_Nullable fathom_groups_at(int level);

#pragma clang assume_nonnull end

#endif
