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

typedef float NAME(v8) __attribute__((vector_size(32)));
typedef int32_t NAME(i8) __attribute__((vector_size(32)));
typedef float NAME(v8_any) __attribute__((vector_size(32), aligned(4), may_alias));

// Half away from zero: adding the number below ½ before cutting is exact for codes.
BODY __m256i NAME(q8_0_codes)(NAME(v8) x, NAME(v8) inverse) {
  NAME(v8) value = x * inverse;
  NAME(i8) sign = (NAME(i8))value & (int)0x80000000;
  NAME(v8) half = (NAME(v8))(sign | 0x3EFFFFFF);
  __m256i code = _mm256_cvttps_epi32((__m256)(value + half));
  // What does not fit converts to −2³¹, whose low byte is zero; packing would saturate it.
  return _mm256_andnot_si256(_mm256_cmpeq_epi32(code, _mm256_set1_epi32(INT32_MIN)), code);
}

static void NAME(encode_q8_0)(const float *x, const float *w, size_t blocks, uint8_t *out) {
  (void)w;
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  for (; blocks > 0; blocks--, x += 32, out += 34) {
    NAME(v8) v[4];
    __m256i largest = _mm256_setzero_si256();
    for (int i = 0; i < 4; i++) {
      v[i] = *(const NAME(v8_any) *)(x + 8 * i);
      largest = _mm256_max_epi32(largest, (__m256i)((NAME(i8))v[i] & 0x7FFFFFFF));
    }
    __m128i most = _mm_max_epi32(
        _mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
    most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0x4E));
    most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0xB1));
    uint32_t bits = (uint32_t)_mm_cvtsi128_si32(most);
    if (bits > 0x7F800000) {
      NAME(q8_0_slow)(x, out);
      continue;
    }
    float scale = float_of(bits) / 127, single = inverse1(scale);
    NAME(v8) inverse = (NAME(v8)){0} + single;
    store_half(scale, out);
    __m256i low = _mm256_packs_epi32(
        NAME(q8_0_codes)(v[0], inverse), NAME(q8_0_codes)(v[1], inverse));
    __m256i high = _mm256_packs_epi32(
        NAME(q8_0_codes)(v[2], inverse), NAME(q8_0_codes)(v[3], inverse));
    __m256i codes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
    _mm256_storeu_si256((__m256i *)(out + 2), codes);
  }
}
