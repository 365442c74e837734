// MXFP4 and NVFP4: E2M1 codes; scales are halved, as the values are doubled to integers.

// ⌊log2f(x)⌋ for a positive finite x; see `FP4.floorLog2`.
BODY int NAME(floor_log2)(float x) {
  int exponent;
  double fraction = 2 * __builtin_frexp(x, &exponent);
  int next = exponent;
  // 1 − fraction / 2 is the gap to the next power of two.
  double gap = 1 - fraction / 2;
  if (next == 0 || gap >= 0x1p-12) return next - 1;
  double distance = (gap + gap * gap / 2) * 1.4426950408889634;
  // Half the distance between numbers just below `next`.
  int size = next > 0 ? 31 - __builtin_clz((uint32_t)next) : 31 - __builtin_clz((uint32_t)-next);
  if (next > 0 && (next & (next - 1)) == 0) size--;
  return distance < __builtin_ldexp(1, size - 24) ? next : next - 1;
}

BODY float NAME(half_power)(int code) {
  return float_of(code < 2 ? 0x00200000u << code : (uint32_t)(code - 1) << 23);
}

BODY float NAME(half_e4m3)(int code) {
  if (code == 0 || code == 0x7F) return 0;
  int exponent = code >> 3 & 15, mantissa = code & 7;
  if (exponent == 0) return (float)mantissa * 0x1p-10f;
  return float_of((uint32_t)(exponent + 119) << 23 | (uint32_t)mantissa << 20);
}

BODY int NAME(e4m3_code)(float x) {
  if (!(x > 0)) return 0;
  uint32_t bits = bits_of(x < 448 ? x : 448);
  int exponent = (int)(bits >> 23) - 120;
  if (exponent <= 0) {
    int code = (int)(x * 512 + 0.5f);
    return code < 7 ? code : 7;
  }
  int code = (int)((uint32_t)exponent << 3) + (int)(bits >> 20 & 7) + (int)(bits >> 19 & 1);
  return code < 15 << 3 ? code : 0x7E;
}

// The codes of n elements, a multiple of 8, with the least error; of two as near the first.
BODY void NAME(fp4_codes)(const float *x, float scale, int n, uint8_t *codes) {
  typedef float v8 __attribute__((vector_size(32)));
  typedef int32_t i8 __attribute__((vector_size(32)));
  typedef uint8_t b8 __attribute__((vector_size(8)));
  static const float values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
  for (int i = 0; i < n; i += 8) {
    v8 part;
    __builtin_memcpy(&part, x + i, 32);
    v8 least = (v8)((i8)(0 * scale - part) & 0x7FFFFFFF);
    i8 best = {0};
    UNROLL for (int code = 1; code < 16; code++) {
      v8 error = (v8)((i8)(values[code] * scale - part) & 0x7FFFFFFF);
      i8 less = error < least;
      least = (v8)((less & (i8)error) | (~less & (i8)least));
      best = (less & code) | (~less & best);
    }
    b8 narrow = __builtin_convertvector(best, b8);
    __builtin_memcpy(codes + i, &narrow, 8);
  }
}

BODY float NAME(largest_of)(const float *x, int n) {
  typedef float v8 __attribute__((vector_size(32)));
  typedef int32_t i8 __attribute__((vector_size(32)));
  v8 largest = {0};
  for (int i = 0; i < n; i += 8) {
    v8 part;
    __builtin_memcpy(&part, x + i, 32);
    part = (v8)((i8)part & 0x7FFFFFFF);
    i8 more = part > largest;
    largest = (v8)((more & (i8)part) | (~more & (i8)largest));
  }
  float most = 0;
  for (int lane = 0; lane < 8; lane++) most = largest[lane] > most ? largest[lane] : most;
  return most;
}

static void NAME(encode_mxfp4)(const float *x, const float *w, size_t blocks, uint8_t *out) {
  (void)w;
  uint8_t codes[32];
  for (; blocks > 0; blocks--, x += 32, out += 17) {
    float most = NAME(largest_of)(x, 32);
    int has_exponent = most > 0 && most < __builtin_inff();
    out[0] = (uint8_t)(has_exponent ? NAME(floor_log2)(most) + 125 : 0);
    NAME(fp4_codes)(x, NAME(half_power)(out[0]), 32, codes);
    for (int i = 0; i < 16; i++) out[1 + i] = (uint8_t)(codes[i] | codes[i + 16] << 4);
  }
}

static void NAME(encode_nvfp4)(const float *x, const float *w, size_t blocks, uint8_t *out) {
  (void)w;
  uint8_t codes[16];
  for (; blocks > 0; blocks--, out += 36) {
    for (int part = 0; part < 4; part++, x += 16) {
      int code = NAME(e4m3_code)(NAME(largest_of)(x, 16) / 6);
      out[part] = (uint8_t)code;
      NAME(fp4_codes)(x, NAME(half_e4m3)(code), 16, codes);
      for (int i = 0; i < 8; i++) {
        out[4 + 8 * part + i] = (uint8_t)(codes[i] | codes[i + 8] << 4);
      }
    }
  }
}
