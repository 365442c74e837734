// TQ1_0 and TQ2_0, blocks of 256 codes of −1, 0 and 1: the twins of Ternary.swift.

// The scale of a block and its codes, 0 to 2 where the block has no NaN.
BODY void NAME(ternary_codes)(const float *x, uint8_t *codes, uint8_t *scale) {
  vi largest = {0};
  for (int i = 0; i < 256; i += LANES) {
    vi size = (vi)magnitude(load(x + i));
    largest = choose_int(size > largest, size, largest);
  }
  int32_t bits = __builtin_reduce_max(largest);
  float most = float_of(bits);
  if (bits > 0x7F800000) {
    // As the twin goes on from a NaN: to whatever comes next.
    most = 0;
    for (int i = 0; i < 256; i++) {
      float size = __builtin_fabsf(x[i]);
      most = most > size ? most : size;
    }
  }
  store_half(most, scale);
  float inverse = inverse1(most);
  if (bits <= 0x7F800000) {
    // Nothing is above the scale, but for what an infinite inverse makes: that counts as 0.
    for (int i = 0; i < 256; i++) {
      float value = x[i] * inverse;
      codes[i] = (uint8_t)(1 + (value >= 0.5f && value < 2) - (value <= -0.5f && value > -2));
    }
    return;
  }
  for (int i = 0; i < 256; i++) {
    float value = x[i] * inverse;
    int sound = __builtin_fabsf(value) < 0x1p62f;
    codes[i] = sound ? (uint8_t)((int64_t)__builtin_roundf(value) + 1) : 1;
  }
}

// Bytes of `digits` codes each, `step` apart, the first the most significant of five.
BODY void NAME(ternary_pack)(const uint8_t *codes, int step, int digits, uint8_t *out) {
  for (int byte = 0; byte < step; byte++) {
    uint8_t number = 0;
    UNROLL for (int digit = 0; digit < 5; digit++) {
      uint8_t code = digit < digits ? codes[byte + digit * step] : 0;
      number = (uint8_t)(3 * number + code);
    }
    out[byte] = (uint8_t)(((uint32_t)number * 256 + 242) / 243);
  }
}

BODY void NAME(ternary_unpack)(const uint8_t *in, int step, int digits, int8_t *codes) {
  for (int byte = 0; byte < step; byte++) {
    uint8_t rest = in[byte];
    UNROLL for (int digit = 0; digit < digits; digit++) {
      codes[byte + digit * step] = (int8_t)((rest * 3 >> 8) - 1);
      rest = (uint8_t)(rest * 3);
    }
  }
}

static void NAME(encode_tq1_0)(const float *x, const float *w, size_t blocks, uint8_t *out) {
  (void)w;
  uint8_t codes[256];
  for (; blocks > 0; blocks--, x += 256, out += 54) {
    NAME(ternary_codes)(x, codes, out + 52);
    NAME(ternary_pack)(codes, 32, 5, out);
    NAME(ternary_pack)(codes + 160, 16, 5, out + 32);
    NAME(ternary_pack)(codes + 240, 4, 4, out + 48);
  }
}

static void NAME(decode_tq1_0)(const uint8_t *in, size_t blocks, float *x) {
  int8_t codes[256];
  for (; blocks > 0; blocks--, in += 54, x += 256) {
    NAME(ternary_unpack)(in, 32, 5, codes);
    NAME(ternary_unpack)(in + 32, 16, 5, codes + 160);
    NAME(ternary_unpack)(in + 48, 4, 4, codes + 240);
    NAME(spread)(codes, load_half(in + 52), 256, x);
  }
}

static void NAME(encode_tq2_0)(const float *x, const float *w, size_t blocks, uint8_t *out) {
  (void)w;
  uint8_t codes[256];
  for (; blocks > 0; blocks--, x += 256, out += 66) {
    NAME(ternary_codes)(x, codes, out + 64);
    for (int i = 0; i < 256; i++) codes[i] &= 3;
    store_two_bits(codes, out);
  }
}

static void NAME(decode_tq2_0)(const uint8_t *in, size_t blocks, float *x) {
  int8_t codes[256];
  for (; blocks > 0; blocks--, in += 66, x += 256) {
    for (int half = 0; half < 2; half++) {
      UNROLL for (int digit = 0; digit < 4; digit++) {
        int8_t *target = codes + 128 * half + 32 * digit;
        for (int i = 0; i < 32; i++) {
          target[i] = (int8_t)((in[32 * half + i] >> 2 * digit & 3) - 1);
        }
      }
    }
    NAME(spread)(codes, load_half(in + 64), 256, x);
  }
}
