// Elementwise conversions as loops without branches, which the compiler turns into vectors of the
// level that includes this file. Integer steps rather than conversion instructions where those
// flush subnormals (AVX512_BF16) or do not exist.
//
// No multiplication here may merge with an addition: the bytes are stored.
#pragma STDC FP_CONTRACT OFF

// The value / 256: E4M3 moved up is an F16 whose exponent is 8 too small, subnormals included.
BODY float decode_e4m3_part(uint16_t code) {
  uint16_t magnitude = code & 0x7F;
  uint16_t half = (uint16_t)(magnitude << 7 | (code & 0x80) << 8);
  half |= magnitude == 0x7F ? 0x7F80 : 0;
  return (float)__builtin_bit_cast(_Float16, half);
}

// See SmallFloat.encode, of which this is the twin.
BODY uint8_t encode_e4m3_one(float value) {
  uint32_t bits = bits_of(value);
  uint32_t magnitude = bits & 0x7FFFFFFF;
  uint32_t subnormal = bits_of(float_of(magnitude) + 0x1p14f) - bits_of(0x1p14f);
  uint32_t normal = (magnitude + 0x7FFFF + (magnitude >> 20 & 1) - (120u << 23)) >> 20;
  normal = magnitude > bits_of(448.0f) ? 0x7E : normal;
  uint32_t code = magnitude < bits_of(0x1p-6f) ? subnormal : normal;
  code = magnitude > 0x7F800000 ? 0x7F : code;
  return (uint8_t)(code | bits >> 31 << 7);
}

BODY uint16_t encode_bf16_one(float value) {
  uint32_t bits = bits_of(value);
  uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
  return (uint16_t)((bits & 0x7FFFFFFF) > 0x7F800000 ? 0xFFFF : rounded);
}

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

static void NAME(divide_e4m3)(const float *values, float scale, void *codes, size_t n) {
  uint8_t *out = codes;
  for (size_t i = 0; i < n; i++) out[i] = encode_e4m3_one(values[i] / scale);
}

#undef SCALE_E4M3
