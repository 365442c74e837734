// Q4_0, Q4_1, Q5_0, Q5_1: blocks of 32.

// Without an importance: in natural order, as only minima and maxima are taken over a block.

// The place of the first element that the comparison holds for; 32 where there is none.
BODY int NAME(first_of)(const float *x, float value, int sizes) {
  for (int i = 0; i < 32; i += LANES) {
    vf part = load(x + i);
    uint32_t bits = MASK_BITS((sizes ? magnitude(part) : part) == value);
    if (bits != 0) return i + __builtin_ctz(bits);
  }
  return 32;
}

BODY float NAME(extreme32)(const float *x) {
  vf largest = {0};
  for (int i = 0; i < 32; i += LANES) largest = larger(magnitude(load(x + i)), largest);
  float most = 0;
  for (int lane = 0; lane < LANES; lane++) most = largest[lane] > most ? largest[lane] : most;
  return most == 0 ? 0 : x[NAME(first_of)(x, most, 1)];
}

BODY void NAME(range32)(const float *x, float *low, float *high) {
  vf least = splat(3.402823466e38f), most = splat(-3.402823466e38f);
  for (int i = 0; i < 32; i += LANES) {
    least = smaller(load(x + i), least);
    most = larger(load(x + i), most);
  }
  float a = least[0], b = most[0];
  for (int lane = 1; lane < LANES; lane++) {
    a = least[lane] < a ? least[lane] : a;
    b = most[lane] > b ? most[lane] : b;
  }
  // Of zeros the first is kept, with its sign.
  if (a == 0 || b == 0) {
    float zero = x[NAME(first_of)(x, 0, 0)];
    a = a == 0 ? zero : a;
    b = b == 0 ? zero : b;
  }
  *low = a, *high = b;
}

// (x − low) · inverse + bias without the fraction.
BODY void NAME(legacy_codes)(
    const float *x, float low, float inverse, float bias, int limit, uint8_t *codes) {
  typedef uint8_t bytes __attribute__((vector_size(LANES)));
  for (int i = 0; i < 32; i += LANES) {
    vi code = TRUNCATE((load(x + i) - low) * inverse + bias) & 255;
    code = choose_int(code < limit, code, (vi){0} + limit);
    bytes narrow = __builtin_convertvector(code, bytes);
    __builtin_memcpy(codes + i, &narrow, LANES);
  }
}

BODY void NAME(legacy_pack)(const uint8_t *codes, int limit, uint8_t *out) {
  if (limit > 15) {
    uint32_t high = 0;
    for (int i = 0; i < 32; i++) high |= (uint32_t)(codes[i] >> 4 & 1) << i;
    __builtin_memcpy(out, &high, 4);
    out += 4;
  }
  for (int i = 0; i < 16; i++) out[i] = (uint8_t)((codes[i] & 15) | codes[i + 16] << 4);
}

// Q4_0 with half = 8, Q5_0 with half = 16.
BODY void NAME(legacy_symmetric)(const float *x, size_t blocks, uint8_t *out, int half) {
  uint8_t codes[32];
  int bytes = half == 8 ? 18 : 22;
  for (; blocks > 0; blocks--, x += 32, out += bytes) {
    float scale = NAME(extreme32)(x) / (float)-half;
    store_half(scale, out);
    NAME(legacy_codes)(x, 0, inverse1(scale), (float)half + 0.5f, 2 * half - 1, codes);
    NAME(legacy_pack)(codes, 2 * half - 1, out + 2);
  }
}

// Q4_1 with limit = 15, Q5_1 with limit = 31.
BODY void NAME(legacy_offset)(const float *x, size_t blocks, uint8_t *out, int limit) {
  uint8_t codes[32];
  int bytes = limit == 15 ? 20 : 24;
  for (; blocks > 0; blocks--, x += 32, out += bytes) {
    float low, high;
    NAME(range32)(x, &low, &high);
    float scale = (high - low) / (float)limit;
    store_half(scale, out);
    store_half(low, out + 2);
    NAME(legacy_codes)(x, low, inverse1(scale), 0.5f, limit, codes);
    NAME(legacy_pack)(codes, limit, out + 4);
  }
}

// With an importance: a lane per block.

// x and importance · √(mean x² of the row + x²) of LANES blocks.
BODY void NAME(legacy_tile)(
    const float *x, const float *importance, int count, float mean, vf *tile, vf *w) {
  float spare[32 * LANES];
  transpose(NAME(whole_group)(x, 32, count, LANES, spare), 32, LANES, tile);
  transpose(NAME(whole_group)(importance, 32, count, LANES, spare), 32, LANES, w);
  for (int i = 0; i < 32; i++) {
    w[i] = w[i] * __builtin_elementwise_sqrt(mean + tile[i] * tile[i]);
  }
}

// The mean square of a row, in order.
BODY float NAME(row_mean)(const float *x, size_t n) {
  float sum = 0;
  for (size_t i = 0; i < n; i++) sum += x[i] * x[i];
  return sum / (float)n;
}

BODY void NAME(weigh_symmetric)(
    const float *x, const float *w, size_t blocks, uint8_t *out, int half) {
  vf tile[32], weights[32], inverse;
  float mean = NAME(row_mean)(x, 32 * blocks), scales[LANES], inverses[LANES];
  uint8_t codes[32];
  int bytes = half == 8 ? 18 : 22;
  for (size_t done = 0; done < blocks; done += LANES) {
    int count = blocks - done < LANES ? (int)(blocks - done) : LANES;
    NAME(legacy_tile)(x, w, count, mean, tile, weights);
    store(scales, NAME(symmetric_search)(tile, weights, 32, (float)half, &inverse));
    store(inverses, inverse);
    w += 32 * count;
    for (int block = 0; block < count; block++, x += 32, out += bytes) {
      int empty = !(__builtin_fabsf(NAME(extreme32)(x)) >= TINY);
      store_half(scales[block], out);
      NAME(symmetric_codes)(x, inverses[block], empty, 32, half, codes);
      NAME(legacy_pack)(codes, 2 * half - 1, out + 2);
    }
  }
}

BODY void NAME(weigh_offset)(
    const float *x, const float *w, size_t blocks, uint8_t *out, const NAME(offsets) p) {
  vf tile[32][BUNDLE], weights[32][BUNDLE], sum[BUNDLE], mean[BUNDLE];
  NAME(offset_found) found[BUNDLE];
  NAME(offset_chunk) c;
  float spare[32 * BUNDLE_LANES];
  uint8_t codes[32];
  int bytes = p.limit == 15 ? 20 : 24;
  EACH(k) mean[k] = splat(NAME(row_mean)(x, 32 * blocks));
  for (size_t done = 0; done < blocks; done += BUNDLE_LANES) {
    int count = blocks - done < BUNDLE_LANES ? (int)(blocks - done) : BUNDLE_LANES;
    const float *source = NAME(whole_group)(x, 32, count, BUNDLE_LANES, spare);
    NAME(transpose_bundle)(source, 32, BUNDLE_LANES, tile);
    source = NAME(whole_group)(w, 32, count, BUNDLE_LANES, spare);
    NAME(transpose_bundle)(source, 32, BUNDLE_LANES, weights);
    NAME(weigh_bundle)(tile, weights, mean, 32, sum);
    NAME(offset_search_32)(tile, weights, p, found);
    NAME(offset_keep)(&c, 0, found, sum);
    w += 32 * count;
    for (int block = 0; block < count; block++, x += 32, out += bytes) {
      store_half(c.scale[block], out);
      store_half(-c.negated[block], out + 2);
      for (int i = 0; i < 32; i++) {
        int code = nearest1(c.inverse[block] * (x[i] - c.low[block]));
        codes[i] = (uint8_t)bound1(code, 0, p.limit);
      }
      NAME(legacy_pack)(codes, p.limit, out + 4);
    }
  }
}

#define LEGACY(name, plain, argument, weigh, parameter) \
  static void NAME(encode_##name)( \
      const float *x, const float *w, size_t blocks, uint8_t *out) { \
    (void)w; \
    NAME(plain)(x, blocks, out, argument); \
  } \
  static void NAME(weigh_##name)( \
      const float *x, const float *w, size_t blocks, uint8_t *out) { \
    NAME(weigh)(x, w, blocks, out, parameter); \
  }

LEGACY(q4_0, legacy_symmetric, 8, weigh_symmetric, 8)
LEGACY(q5_0, legacy_symmetric, 16, weigh_symmetric, 16)
LEGACY(q4_1, legacy_offset, 15, weigh_offset, NAME(weighted_q4_k))
LEGACY(q5_1, legacy_offset, 31, weigh_offset, NAME(weighted_q5_k))
