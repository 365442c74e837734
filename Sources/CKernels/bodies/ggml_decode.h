// Blocks → F32, in natural order; each product and sum rounds as the plain twin's does.

typedef int8_t NAME(codes8) __attribute__((vector_size(LANES)));
typedef uint8_t bytes16 __attribute__((vector_size(16)));

// x = code · scale − low, for n codes from −128 to 127; a `low` of zero changes nothing but −0,
// so there is a form without it.
BODY void NAME(spread)(const int8_t *codes, float scale, int n, float *x) {
  for (int i = 0; i < n; i += LANES) {
    NAME(codes8) part;
    __builtin_memcpy(&part, codes + i, LANES);
    store(x + i, __builtin_convertvector(part, vf) * scale);
  }
}

BODY void NAME(spread_offset)(const int8_t *codes, float scale, float low, int n, float *x) {
  for (int i = 0; i < n; i += LANES) {
    NAME(codes8) part;
    __builtin_memcpy(&part, codes + i, LANES);
    store(x + i, __builtin_convertvector(part, vf) * scale + low);
  }
}

// 32 codes of four bits in 16 bytes: code i low, code i + 16 high.
BODY void NAME(load_nibbles)(const uint8_t *in, int bias, int8_t *codes) {
  for (int i = 0; i < 16; i++) {
    codes[i] = (int8_t)((in[i] & 15) - bias);
    codes[i + 16] = (int8_t)((in[i] >> 4) - bias);
  }
}

BODY void NAME(load_five_bits)(const uint8_t *in, int bias, int8_t *codes) {
  uint32_t high;
  __builtin_memcpy(&high, in, 4);
  NAME(load_nibbles)(in + 4, bias, codes);
  for (int i = 0; i < 32; i++) codes[i] = (int8_t)(codes[i] + (int)(high >> i & 1) * 16);
}

static void NAME(decode_q4_0)(const uint8_t *in, size_t blocks, float *x) {
  int8_t codes[32];
  for (; blocks > 0; blocks--, in += 18, x += 32) {
    NAME(load_nibbles)(in + 2, 8, codes);
    NAME(spread)(codes, load_half(in), 32, x);
  }
}

static void NAME(decode_q4_1)(const uint8_t *in, size_t blocks, float *x) {
  int8_t codes[32];
  for (; blocks > 0; blocks--, in += 20, x += 32) {
    NAME(load_nibbles)(in + 4, 0, codes);
    NAME(spread_offset)(codes, load_half(in), load_half(in + 2), 32, x);
  }
}

static void NAME(decode_q5_0)(const uint8_t *in, size_t blocks, float *x) {
  int8_t codes[32];
  for (; blocks > 0; blocks--, in += 22, x += 32) {
    NAME(load_five_bits)(in + 2, 16, codes);
    NAME(spread)(codes, load_half(in), 32, x);
  }
}

static void NAME(decode_q5_1)(const uint8_t *in, size_t blocks, float *x) {
  int8_t codes[32];
  for (; blocks > 0; blocks--, in += 24, x += 32) {
    NAME(load_five_bits)(in + 4, 0, codes);
    NAME(spread_offset)(codes, load_half(in), load_half(in + 2), 32, x);
  }
}

static void NAME(decode_q8_0)(const uint8_t *in, size_t blocks, float *x) {
  for (; blocks > 0; blocks--, in += 34, x += 32) {
    NAME(spread)((const int8_t *)in + 2, load_half(in), 32, x);
  }
}

// 256 codes of two bits.
BODY void NAME(load_two_bits)(const uint8_t *in, int8_t *codes) {
  for (int half = 0; half < 2; half++, in += 32, codes += 128) {
    for (int i = 0; i < 32; i++) {
      UNROLL for (int j = 0; j < 4; j++) codes[32 * j + i] = (int8_t)(in[i] >> 2 * j & 3);
    }
  }
}

static void NAME(decode_q2_k)(const uint8_t *in, size_t blocks, float *x) {
  int8_t codes[256];
  for (; blocks > 0; blocks--, in += 84, x += 256) {
    float scale = load_half(in + 80), low = load_half(in + 82);
    NAME(load_two_bits)(in + 16, codes);
    for (int i = 0; i < 16; i++) {
      float step = scale * (float)(in[i] & 15), offset = low * (float)(in[i] >> 4);
      NAME(spread_offset)(codes + 16 * i, step, -offset, 16, x + 16 * i);
    }
  }
}

static void NAME(decode_q3_k)(const uint8_t *in, size_t blocks, float *x) {
  int8_t codes[256];
  for (; blocks > 0; blocks--, in += 110, x += 256) {
    float scale = load_half(in + 108);
    NAME(load_two_bits)(in + 32, codes);
    UNROLL for (int bit = 0; bit < 8; bit++) {
      for (int i = 0; i < 32; i++) {
        codes[32 * bit + i] = (int8_t)(codes[32 * bit + i] + (in[i] >> bit & 1) * 4 - 4);
      }
    }
    for (int i = 0; i < 16; i++) {
      int code = (i < 8 ? in[96 + i] & 15 : in[88 + i] >> 4) |
                 (in[104 + i % 4] >> 2 * (i / 4) & 3) << 4;
      NAME(spread)(codes + 16 * i, scale * (float)(code - 32), 16, x + 16 * i);
    }
  }
}

// Sub-block i of Q4_K or Q5_K, whose scales start at `in`.
BODY void NAME(spread_six_bits)(
    const uint8_t *in, int i, float scale, float low, const int8_t *codes, float *x) {
  const uint8_t *s = in + i;
  int scale_code = i < 4 ? s[0] & 63 : (s[4] & 15) | s[-4] >> 6 << 4;
  int low_code = i < 4 ? s[4] & 63 : s[4] >> 4 | s[0] >> 6 << 4;
  float step = scale * (float)scale_code, offset = low * (float)low_code;
  NAME(spread_offset)(codes, step, -offset, 32, x);
}

static void NAME(decode_q4_k)(const uint8_t *in, size_t blocks, float *x) {
  int8_t codes[64];
  for (; blocks > 0; blocks--, in += 144, x += 256) {
    float scale = load_half(in), low = load_half(in + 2);
    for (int pair = 0; pair < 4; pair++) {
      for (int i = 0; i < 32; i++) {
        codes[i] = (int8_t)(in[16 + 32 * pair + i] & 15);
        codes[32 + i] = (int8_t)(in[16 + 32 * pair + i] >> 4);
      }
      for (int i = 0; i < 2; i++) {
        int block = 2 * pair + i;
        NAME(spread_six_bits)(in + 4, block, scale, low, codes + 32 * i, x + 32 * block);
      }
    }
  }
}

static void NAME(decode_q5_k)(const uint8_t *in, size_t blocks, float *x) {
  int8_t codes[64];
  for (; blocks > 0; blocks--, in += 176, x += 256) {
    float scale = load_half(in), low = load_half(in + 2);
    for (int pair = 0; pair < 4; pair++) {
      for (int i = 0; i < 32; i++) {
        int code = in[48 + 32 * pair + i], high = in[16 + i] >> 2 * pair;
        codes[i] = (int8_t)((code & 15) | (high & 1) << 4);
        codes[32 + i] = (int8_t)(code >> 4 | (high & 2) << 3);
      }
      for (int i = 0; i < 2; i++) {
        int block = 2 * pair + i;
        NAME(spread_six_bits)(in + 4, block, scale, low, codes + 32 * i, x + 32 * block);
      }
    }
  }
}

static void NAME(decode_q6_k)(const uint8_t *in, size_t blocks, float *x) {
  int8_t codes[256];
  for (; blocks > 0; blocks--, in += 210, x += 256) {
    float scale = load_half(in + 208);
    for (int half = 0; half < 2; half++) {
      const uint8_t *low = in + 64 * half, *high = in + 128 + 32 * half;
      int8_t *target = codes + 128 * half;
      for (int i = 0; i < 32; i++) {
        target[i] = (int8_t)(((low[i] & 15) | (high[i] & 3) << 4) - 32);
        target[i + 32] = (int8_t)(((low[i + 32] & 15) | (high[i] >> 2 & 3) << 4) - 32);
        target[i + 64] = (int8_t)((low[i] >> 4 | (high[i] >> 4 & 3) << 4) - 32);
        target[i + 96] = (int8_t)((low[i + 32] >> 4 | (high[i] >> 6) << 4) - 32);
      }
    }
    for (int i = 0; i < 16; i++) {
      float step = scale * (float)(int8_t)in[192 + i];
      NAME(spread)(codes + 16 * i, step, 16, x + 16 * i);
    }
  }
}

// 32 codes in 16 bytes, each looked up in a table of small integers.
BODY void NAME(spread_table)(const uint8_t *in, const int8_t *table, float scale, float *x) {
  bytes16 values, codes, found[2];
  __builtin_memcpy(&values, table, 16);
  __builtin_memcpy(&codes, in, 16);
  found[0] = LOOK_UP_BYTES(values, codes & 15);
  found[1] = LOOK_UP_BYTES(values, codes >> 4);
  NAME(spread)((const int8_t *)found, scale, 32, x);
}

static const int8_t NAME(iq4_table)[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                           1,    13,   25,  38,  53,  69,  89,  113};
static const int8_t NAME(fp4_table)[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                           0, -1, -2, -3, -4, -6, -8, -12};

static void NAME(decode_iq4_nl)(const uint8_t *in, size_t blocks, float *x) {
  for (; blocks > 0; blocks--, in += 18, x += 32) {
    NAME(spread_table)(in + 2, NAME(iq4_table), load_half(in), x);
  }
}

static void NAME(decode_iq4_xs)(const uint8_t *in, size_t blocks, float *x) {
  for (; blocks > 0; blocks--, in += 136, x += 256) {
    float scale = load_half(in);
    int high = in[2] | in[3] << 8;
    for (int i = 0; i < 8; i++) {
      int code = (in[4 + i / 2] >> 4 * (i % 2) & 15) | (high >> 2 * i & 3) << 4;
      NAME(spread_table)(
          in + 8 + 16 * i, NAME(iq4_table), scale * (float)(code - 32), x + 32 * i);
    }
  }
}

static void NAME(decode_mxfp4)(const uint8_t *in, size_t blocks, float *x) {
  for (; blocks > 0; blocks--, in += 17, x += 32) {
    NAME(spread_table)(in + 1, NAME(fp4_table), NAME(half_power)(in[0]), x);
  }
}
