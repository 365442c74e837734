// The table of a level's group kernels, for the file that has included the bodies.
#define ROW(method)                                                                    \
  [method] = {                                                                         \
      NAME(quantize_##method##FATHOM_F32), NAME(quantize_##method##FATHOM_F16),        \
      NAME(quantize_##method##FATHOM_BF16)}

const struct fathom_group_kernels NAME(fathom_groups) = {
    .quantize =
        {
            [FATHOM_MLX_AFFINE] =
                {NAME(quantize_FATHOM_MLX_AFFINEFATHOM_F32),
                 NAME(quantize_FATHOM_MLX_AFFINEFATHOM_F32),
                 NAME(quantize_FATHOM_MLX_AFFINEFATHOM_F32)},
            ROW(FATHOM_MLX_POWER_F4),
            ROW(FATHOM_MLX_POWER_E4M3),
            ROW(FATHOM_MLX_NVFP4),
            ROW(FATHOM_SYMMETRIC),
            ROW(FATHOM_ASYMMETRIC),
            ROW(FATHOM_POWER_F4),
            ROW(FATHOM_NVFP4),
            [FATHOM_MODELOPT] =
                {NAME(quantize_FATHOM_MODELOPTFATHOM_F32),
                 NAME(quantize_FATHOM_MODELOPTFATHOM_F32),
                 NAME(quantize_FATHOM_MODELOPTFATHOM_F32)},
        },
    .pack = NAME(pack_codes),
    .decode = NAME(decode_codes),
};
