// Elementwise conversions as loops without branches, which the compiler turns into vectors of the
// level that includes this file. Integer steps rather than conversion instructions where those
// flush subnormals (AVX512_BF16) or do not exist.
//
// No multiplication here may merge with an addition: the bytes are stored.
#pragma STDC FP_CONTRACT OFF

#include "small_floats.h"

static void NAME(decode_bf16)(const void *codes, float *values, size_t n) {
  const u16 *in = codes;
  for (size_t i = 0; i < n; i++) values[i] = float_of((uint32_t)in[i] << 16);
}

static void NAME(encode_bf16)(const float *values, void *codes, size_t n) {
  u16 *out = codes;
  for (size_t i = 0; i < n; i++) out[i] = encode_bf16_one(values[i]);
}

static void NAME(decode_f16)(const void *codes, float *values, size_t n) {
  const f16 *in = codes;
  for (size_t i = 0; i < n; i++) values[i] = (float)in[i];
}

static void NAME(encode_f16)(const float *values, void *codes, size_t n) {
  f16 *out = codes;
  for (size_t i = 0; i < n; i++) out[i] = (_Float16)values[i];
}

static void NAME(decode_e4m3)(const void *codes, float *values, size_t n) {
  const uint8_t *in = codes;
  for (size_t i = 0; i < n; i++) values[i] = decode_e4m3_part(in[i]) * 256.0f;
}

static void NAME(encode_e4m3)(const float *values, void *codes, size_t n) {
  uint8_t *out = codes;
  for (size_t i = 0; i < n; i++) out[i] = encode_e4m3_one(values[i]);
}

// Multiplying the scale by 256 is exact unless it overflows; then the code is multiplied first.
#define SCALE_E4M3(target_type, encode)                                                       \
  const uint8_t *in = codes;                                                                  \
  target_type *out = target;                                                                  \
  if (scale * 256.0f - scale * 256.0f == 0.0f) {                                              \
    for (size_t i = 0; i < n; i++) out[i] = encode(decode_e4m3_part(in[i]) * (scale * 256.0f)); \
  } else {                                                                                    \
    for (size_t i = 0; i < n; i++) out[i] = encode(decode_e4m3_part(in[i]) * 256.0f * scale); \
  }

static void NAME(scale_e4m3_f32)(const void *codes, float scale, void *target, size_t n) {
  SCALE_E4M3(f32, (float))
}

static void NAME(scale_e4m3_bf16)(const void *codes, float scale, void *target, size_t n) {
  SCALE_E4M3(u16, encode_bf16_one)
}

static void NAME(scale_e4m3_f16)(const void *codes, float scale, void *target, size_t n) {
  SCALE_E4M3(f16, (_Float16))
}

static uint32_t NAME(amax)(const float *values, size_t n) {
  uint32_t largest = 0;
  for (size_t i = 0; i < n; i++) {
    uint32_t magnitude = bits_of(values[i]) & 0x7FFFFFFF;
    largest = magnitude > largest ? magnitude : largest;
  }
  return largest;
}

static uint16_t NAME(amax_half)(const void *codes, size_t n) {
  const u16 *in = codes;
  uint16_t largest = 0;
  for (size_t i = 0; i < n; i++) {
    uint16_t magnitude = in[i] & 0x7FFF;
    largest = magnitude > largest ? magnitude : largest;
  }
  return largest;
}

static void NAME(divide_e4m3)(const float *values, float scale, void *codes, size_t n) {
  uint8_t *out = codes;
  for (size_t i = 0; i < n; i++) out[i] = encode_e4m3_one(values[i] / scale);
}

// The same in BF16's and F16's arithmetic: the quotient is rounded to the type first.
static void NAME(divide_e4m3_bf16)(const float *values, float scale, void *codes, size_t n) {
  uint8_t *out = codes;
  for (size_t i = 0; i < n; i++) {
    out[i] = encode_e4m3_one(float_of((uint32_t)encode_bf16_one(values[i] / scale) << 16));
  }
}

static void NAME(divide_e4m3_f16)(const float *values, float scale, void *codes, size_t n) {
  uint8_t *out = codes;
  for (size_t i = 0; i < n; i++) out[i] = encode_e4m3_one((float)(_Float16)(values[i] / scale));
}

#undef SCALE_E4M3
