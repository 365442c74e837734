#ifndef FATHOM_CKERNELS_H
#define FATHOM_CKERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "ggml_kernels.h"
#include "group_kernels.h"

#pragma clang assume_nonnull begin

/// Instruction sets that a kernel may be asked to use.
enum { FATHOM_PLAIN = 0, FATHOM_AVX2 = 1, FATHOM_AVX512 = 2, FATHOM_NEON = 3 };

/// The best level that this processor (and its operating system) can run.
int fathom_best_level(void);

/// Terms of a product that are added up before their sum joins those before it, at most.
enum { FATHOM_DEPTH = 512 };

/// The kernels of one level. Bytes need no alignment; n counts elements.
struct fathom_kernels {
  // Elementwise conversions, exact or rounded once to nearest even.
  void (*decode_bf16)(const void *codes, float *values, size_t n);
  void (*encode_bf16)(const float *values, void *codes, size_t n);
  void (*decode_f16)(const void *codes, float *values, size_t n);
  void (*encode_f16)(const float *values, void *codes, size_t n);
  void (*decode_e4m3)(const void *codes, float *values, size_t n);
  void (*encode_e4m3)(const float *values, void *codes, size_t n);

  // value = e4m3 × scale in F32, then rounded to the target.
  void (*scale_e4m3_f32)(const void *codes, float scale, void *target, size_t n);
  void (*scale_e4m3_bf16)(const void *codes, float scale, void *target, size_t n);
  void (*scale_e4m3_f16)(const void *codes, float scale, void *target, size_t n);

  // The same for 16-bit targets and one row of the matrix, from tables of the 128 results without
  // sign, one for each block: the first block has `first` codes in this row and the others `block`.
  // For scales that are finite and not negative; null where the level has no fast look-up.
  void (*_Nullable look_up_16)(
    const void *codes, const uint16_t *tables, size_t first, size_t block, void *target, size_t n);

  // Largest magnitude as F32 bits, so that a NaN is larger than any number.
  uint32_t (*amax)(const float *values, size_t n);
  // The same of F16 or BF16, as their own bits; at any address.
  uint16_t (*amax_half)(const void *codes, size_t n);
  // code = e4m3(value / scale).
  void (*divide_e4m3)(const float *values, float scale, void *codes, size_t n);
  // The same with the quotient rounded to a type before.
  void (*divide_e4m3_bf16)(const float *values, float scale, void *codes, size_t n);
  void (*divide_e4m3_f16)(const float *values, float scale, void *codes, size_t n);

  // Products. A panel is (depth, panel_columns) of the right matrix, 64-byte aligned; the left
  // block is (≤ block_rows, depth) with rows `apart` floats from each other.
  size_t panel_columns;
  size_t block_rows;
  // b (columns ≤ panel_columns, depth), rows `stride` apart → panel, padded with zeros
  void (*pack_transposed)(
    const float *b, size_t stride, size_t columns, size_t depth, float *panel);
  // b (depth, columns ≤ panel_columns), rows `stride` apart → panel, padded with zeros
  void (*pack_straight)(
    const float *b, size_t stride, size_t columns, size_t depth, float *panel);
  // c (rows, columns) = left · panel, or += where `add` is not 0
  void (*multiply)(
    const float *left, size_t apart, size_t rows, const float *panel, size_t columns,
    size_t depth, float *c, size_t stride, int add);

  // Rows of a forward pass, see VectorMath.
  void (*normalize)(
    const float *x, const float *weight, float epsilon, float *y, size_t n);
  float (*largest)(const float *values, size_t n);
  float (*exponentials)(float *values, float largest, size_t n);
  void (*gate)(float *gate, const float *up, size_t n);
  void (*sigmoid)(float *values, size_t n);
  void (*add)(const float *x, float factor, float *y, size_t n);
  // y += factor · max(x, 0)
  void (*add_positive)(const float *x, float factor, float *y, size_t n);
  float (*dot)(const float *a, const float *b, size_t n);
  void (*exponential)(float *values, size_t n);
};

/// The kernels of a level, null for FATHOM_PLAIN and for levels of other processors.
const struct fathom_kernels *_Nullable fathom_kernels_at(int level);

#pragma clang assume_nonnull end

#endif
