// Everything that a level's file of group kernels includes. No multiplication here may merge with
// an addition: the bytes are stored.
#include "ggml_lanes.h"
#include "small_floats.h"
#include "group_stream.h"
#include "group_codes.h"
#include "group_quantize.h"
#include "group_decode.h"

static void NAME(pack_codes)(const uint8_t *codes, size_t n, int bits, uint8_t *out) {
  switch (bits) {
    case 2: pack_codes(codes, n, 2, out); break;
    case 3: pack_codes(codes, n, 3, out); break;
    case 4: pack_codes(codes, n, 4, out); break;
    case 5: pack_codes(codes, n, 5, out); break;
    case 6: pack_codes(codes, n, 6, out); break;
    default: __builtin_memcpy(out, codes, n); break;
  }
}

#define QUANTIZE(method, precision)                                                  \
  static void NAME(quantize_##method##precision)(                                    \
      const float *x, size_t groups, const struct fathom_group_task *task,           \
      uint8_t *codes, float *scales, float *offsets) {                               \
    quantize_groups(x, groups, task, codes, scales, offsets, method, precision);     \
  }
#define QUANTIZE_IN_EACH(method)    \
  QUANTIZE(method, FATHOM_F32)      \
  QUANTIZE(method, FATHOM_F16)      \
  QUANTIZE(method, FATHOM_BF16)

// MLX' affine mode computes in F32 whatever the type is.
QUANTIZE(FATHOM_MLX_AFFINE, FATHOM_F32)
QUANTIZE_IN_EACH(FATHOM_MLX_POWER_F4)
QUANTIZE_IN_EACH(FATHOM_MLX_POWER_E4M3)
QUANTIZE_IN_EACH(FATHOM_MLX_NVFP4)
QUANTIZE_IN_EACH(FATHOM_SYMMETRIC)
QUANTIZE_IN_EACH(FATHOM_ASYMMETRIC)
QUANTIZE_IN_EACH(FATHOM_POWER_F4)
QUANTIZE_IN_EACH(FATHOM_NVFP4)
// ModelOpt computes in F32 too.
QUANTIZE(FATHOM_MODELOPT, FATHOM_F32)
