// The code of each of n values, one to a byte: the twins of `GroupArithmetic.code`. Divisions are
// real ones, since a product with the reciprocal rounds elsewhere.

typedef uint32_t vu __attribute__((vector_size(4 * LANES)));
typedef uint8_t vb __attribute__((vector_size(LANES)));

BODY void store_codes(vu codes, uint8_t *out, size_t count) {
  vb bytes = __builtin_convertvector(codes, vb);
  __builtin_memcpy(out, &bytes, count);
}

// Rounded to the type whose arithmetic is used. Not for NaN.
BODY vf rounded(vf x, int precision) {
  if (precision == FATHOM_F16) return HALF_OF(x);
  if (precision == FATHOM_BF16) {
    vu bits = (vu)x;
    return (vf)((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000);
  }
  return x;
}

BODY vu code_affine(vf x, float scale, float bias, float most) {
  vf ratio = larger((x - bias) / scale, splat(0));
  return (vu)(smaller(ratio, splat(most)) + MAGIC) & 0xFF;
}

BODY vu code_integer(vf x, float scale, float zero, float half, int shifts, int precision) {
  vf ratio = rounded(x / scale, precision);
  if (shifts) ratio = rounded(ratio + zero, precision);
  ratio = smaller(larger(ratio, splat(-half)), splat(half - 1));
  return ((vu)(ratio + MAGIC) + (uint32_t)half) & 0xFF;
}

// Ties to the even code; zero keeps the sign of a number that is not zero.
BODY vu code_e2m1_even(vf x, float scale, int precision) {
  vu bits = (vu)rounded(x / scale, precision), size = bits & 0x7FFFFFFF;
  // Below 1 the codes count halves: adding what has such steps lets the addition round.
  vu below = (vu)((vf)size + 0x1.8p22f) - bits_of(0x1.8p22f);
  vu above = ((size + 0x1FFFFF + (size >> 22 & 1)) >> 22) - 252;
  vu code = (vu)choose_int(size < bits_of(1.0f), (vi)below, (vi)above);
  code = (vu)choose_int(code < 7, (vi)code, (vi){0} + 7);
  return code | ((bits >> 28 & 8) & (vu)(size != 0));
}

// Ties towards zero, which has no sign.
BODY vu code_e2m1_first(vf x, float scale, int precision) {
  vu bits = (vu)rounded(x / scale, precision), size = bits & 0x7FFFFFFF;
  vu below = -(vu)((vf)size > 0.25f) - (vu)((vf)size > 0.75f);
  vu above = ((size + 0x1FFFFF) >> 22) - 252;
  vu code = (vu)choose_int(size < bits_of(1.0f), (vi)below, (vi)above);
  code = (vu)choose_int(code < 7, (vi)code, (vi){0} + 7);
  return code | ((bits >> 28 & 8) & (vu)(code != 0));
}

// See SmallFloat.encode.
BODY vu code_e4m3(vf x, float scale, int precision) {
  vu bits = (vu)rounded(x / scale, precision), size = bits & 0x7FFFFFFF;
  vu below = (vu)((vf)size + 0x1p14f) - bits_of(0x1p14f);
  vu above = (size + 0x7FFFF + (size >> 20 & 1) - (120u << 23)) >> 20;
  above = (vu)choose_int(size > bits_of(448.0f), (vi){0} + 0x7E, (vi)above);
  vu code = (vu)choose_int(size < bits_of(0x1p-6f), (vi)below, (vi)above);
  return code | (bits >> 24 & 0x80);
}

// What mlx takes for numbers so large that differences from codes are alike: the first least one.
BODY uint8_t code_e2m1_huge(float x) {
  static const float magnitudes[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  uint8_t best = 0;
  float least = __builtin_fabsf(x);
  for (uint8_t code = 1; code < 16; code++) {
    float number = code < 8 ? magnitudes[code] : -magnitudes[code - 8];
    float difference = __builtin_fabsf(x - number);
    if (difference < least) {
      best = code;
      least = difference;
    }
  }
  return best;
}

// The codes of a group by a formula of `part`: whole vectors, then one that zeros fill up.
#define CODES(out, values, n, formula)                              \
  do {                                                              \
    size_t at = 0;                                                  \
    for (; at + LANES <= (n); at += LANES) {                        \
      vf part = load((values) + at);                                \
      store_codes(formula, (out) + at, LANES);                      \
    }                                                               \
    if (at < (n)) {                                                 \
      vf part = {0};                                                \
      __builtin_memcpy(&part, (values) + at, 4 * ((n) - at));       \
      store_codes(formula, (out) + at, (n) - at);                   \
    }                                                               \
  } while (0)
