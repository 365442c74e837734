// Q8_0: blocks of 32 in their natural order, as nothing but a maximum is taken over a block.

// A block with a NaN, where the order of comparisons decides.
static __attribute__((noinline)) void NAME(q8_0_slow)(const float *x, uint8_t *out) {
  float largest = 0;
  for (int i = 0; i < 32; i++) {
    float size = __builtin_fabsf(x[i]);
    largest = largest > size ? largest : size;
  }
  float scale = largest / 127, inverse = inverse1(scale);
  store_half(scale, out);
  for (int i = 0; i < 32; i++) {
    float code = __builtin_roundf(x[i] * inverse);
    // The maximum may be of the elements after the NaN alone: larger codes lose their high bits.
    out[2 + i] = __builtin_fabsf(code) < 0x1p31f ? (uint8_t)(int32_t)code : 0;
  }
}

static void NAME(encode_q8_0)(const float *x, const float *w, size_t blocks, uint8_t *out) {
  (void)w;
  // All codes become bytes at once, which takes fewer steps than a vector at a time.
  typedef int32_t whole __attribute__((vector_size(128)));
  typedef uint8_t bytes __attribute__((vector_size(32)));
  for (; blocks > 0; blocks--, x += 32, out += 34) {
    vi largest = {0}, codes[32 / LANES];
    for (int i = 0; i < 32; i += LANES) {
      vi size = (vi)magnitude(load(x + i));
      largest = choose_int(size > largest, size, largest);
    }
    int32_t bits = __builtin_reduce_max(largest);
    if (bits > 0x7F800000) {
      NAME(q8_0_slow)(x, out);
      continue;
    }
    float scale = float_of(bits) / 127, inverse = inverse1(scale);
    store_half(scale, out);
    for (int i = 0; i < 32; i += LANES) {
      // Half away from zero: adding the number below ½ before cutting is exact for codes.
      vf value = load(x + i) * inverse;
      vf half = (vf)(((vi)value & INT32_MIN) | 0x3EFFFFFF);
      codes[i / LANES] = TRUNCATE(value + half);
    }
    // What does not fit has −2³¹ for a code, whose low byte is zero.
    whole all;
    __builtin_memcpy(&all, codes, sizeof all);
    bytes narrow = __builtin_convertvector(all, bytes);
    __builtin_memcpy(out + 2, &narrow, sizeof narrow);
  }
}
