// What happens once per block, in natural order: plain C, vectorized by the compiler where it can.

BODY int nearest1(float x) {
  return (int)(bits_of(x + MAGIC) & 0x007FFFFF) - 0x00400000;
}

BODY int bound1(int x, int low, int high) {
  int a = x < high ? x : high;
  return a > low ? a : low;
}

// The bits of x as F16; NaN has one pattern for each sign.
BODY uint16_t half1(float x) {
  uint32_t bits = bits_of(x);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return (uint16_t)((bits >> 16 & 0x8000) | 0x7E00);
  return __builtin_bit_cast(uint16_t, (_Float16)x);
}

BODY float load_half(const uint8_t *in) {
  _Float16 half;
  __builtin_memcpy(&half, in, 2);
  return (float)half;
}

// Stores x as F16 and returns what that holds.
BODY float store_half(float x, uint8_t *out) {
  uint16_t bits = half1(x);
  __builtin_memcpy(out, &bits, 2);
  return load_half(out);
}

BODY float inverse1(float x) { return x == 0 ? 0 : 1 / x; }

// The first of the numbers with the largest magnitude.
BODY float extreme1(const float *x, int n) {
  float largest = 0, extreme = 0;
  for (int i = 0; i < n; i++) {
    float size = __builtin_fabsf(x[i]);
    if (size > largest) {
      largest = size;
      extreme = x[i];
    }
  }
  return extreme;
}

// 256 codes of two bits in 64 bytes.
BODY void store_two_bits(const uint8_t *codes, uint8_t *out) {
  for (int half = 0; half < 2; half++, codes += 128, out += 32) {
    for (int i = 0; i < 32; i++) {
      out[i] = (uint8_t)(codes[i] | codes[i + 32] << 2 | codes[i + 64] << 4 | codes[i + 96] << 6);
    }
  }
}

// Σ x² of each of `count` ≤ LANES runs of n numbers, each in order, one lane per run.
BODY void sums_of_squares(const float *x, int n, int count, float *sums) {
  float tile[64];
  for (int first = 0; first < count; first += 8) {
    typedef float v8 __attribute__((vector_size(32)));
    v8 sum = {0};
    for (int column = 0; column < n; column += 8) {
      if (first + 8 <= count) {
        transpose8(x + (size_t)first * n + column, n, tile, 8);
      } else {
        for (int row = 0; row < 8; row++) {
          int present = first + row < count ? first + row : count - 1;
          for (int i = 0; i < 8; i++) tile[8 * i + row] = x[(size_t)present * n + column + i];
        }
      }
      for (int i = 0; i < 8; i++) {
        v8 value;
        __builtin_memcpy(&value, tile + 8 * i, 32);
        sum += value * value;
      }
    }
    __builtin_memcpy(sums + first, &sum, 32);
  }
}
