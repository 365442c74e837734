// One code of a small floating-point format from or to its value, without branches.

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
