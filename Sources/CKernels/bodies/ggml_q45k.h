// Q4_K and Q5_K: 8 sub-blocks of 32.

static const NAME(offsets) NAME(plain_q4_k) = {32, 15, 20, 0, -1, 0.1f};
static const NAME(offsets) NAME(plain_q5_k) = {32, 31, 15, 0, -0.5f, 0.1f};
static const NAME(offsets) NAME(weighted_q4_k) = {32, 15, 36, 0, -0.9f, 0.05f};
static const NAME(offsets) NAME(weighted_q5_k) = {32, 31, 36, 0, -0.9f, 0.05f};

// Weighs with √(mean x²) + |x|.
BODY void NAME(q45_k_search)(
    const float *x, int blocks, const NAME(offsets) p, NAME(offset_chunk) *c) {
  vf tile[32][BUNDLE], w[32][BUNDLE], sum[BUNDLE] = {{0}};
  NAME(offset_found) found[BUNDLE];
  for (int first = 0; first < 8 * blocks; first += BUNDLE_LANES) {
    NAME(transpose_bundle)(x + 32 * first, 32, 8 * blocks - first, tile);
    EACH(k) {
      vf squares = {0};
      for (int i = 0; i < 32; i++) squares += tile[i][k] * tile[i][k];
      vf mean = __builtin_elementwise_sqrt(squares / 32);
      for (int i = 0; i < 32; i++) w[i][k] = mean + magnitude(tile[i][k]);
    }
    NAME(offset_search_32)(tile, w, p, found);
    NAME(offset_keep)(c, first, found, sum);
  }
}

// Weighs with importance · √(σ² + x²), where σ² is twice the block's mean square.
BODY void NAME(q45_k_search_weighted)(
    const float *x, const float *importance, int blocks, const NAME(offsets) p,
    NAME(offset_chunk) *c) {
  vf tile[32][BUNDLE], w[32][BUNDLE], sum[BUNDLE], mean[BUNDLE];
  NAME(offset_found) found[BUNDLE];
  float squares[LANES], sigma[8 * LANES];
  sums_of_squares(x, 256, blocks, squares);
  for (int i = 0; i < 8 * LANES; i++) sigma[i] = i / 8 < blocks ? 2 * squares[i / 8] / 256 : 0;
  for (int first = 0; first < 8 * blocks; first += BUNDLE_LANES) {
    NAME(transpose_bundle)(x + 32 * first, 32, 8 * blocks - first, tile);
    NAME(transpose_bundle)(importance + 32 * first, 32, 8 * blocks - first, w);
    EACH(k) mean[k] = load(sigma + first + k * LANES);
    NAME(weigh_bundle)(tile, w, mean, 32, sum);
    NAME(offset_search_32)(tile, w, p, found);
    NAME(offset_keep)(c, first, found, sum);
  }
}

BODY void NAME(store_six_bits)(int scale, int low, int block, uint8_t *out) {
  if (block < 4) {
    out[block] = (uint8_t)scale;
    out[block + 4] = (uint8_t)low;
  } else {
    out[block + 4] = (uint8_t)((scale & 15) | low << 4);
    out[block - 4] |= (uint8_t)(scale >> 4 << 6);
    out[block] |= (uint8_t)(low >> 4 << 6);
  }
}

// Codes of the scales that follow from the largest.
BODY void NAME(q45_k_scales)(const float *scale, const float *negated, uint8_t *out) {
  float largest = 0, lowest = 0;
  for (int i = 0; i < 8; i++) {
    if (scale[i] > largest) largest = scale[i];
    if (negated[i] > lowest) lowest = negated[i];
  }
  float inverse = largest > 0 ? 63 / largest : 0, inverse_low = lowest > 0 ? 63 / lowest : 0;
  for (int i = 0; i < 8; i++) {
    int s = nearest1(inverse * scale[i]) & 255, m = nearest1(inverse_low * negated[i]) & 255;
    NAME(store_six_bits)(s < 63 ? s : 63, m < 63 ? m : 63, i, out + 4);
  }
  store_half(largest / 63, out);
  store_half(lowest / 63, out + 2);
}

BODY void NAME(q45_k_codes)(
    const float *x, const NAME(offset_chunk) *c, int block, int limit, const uint8_t *out,
    uint8_t *codes) {
  float scale = load_half(out), low = load_half(out + 2), step[8], offset[8];
  for (int i = 0; i < 8; i++) {
    const uint8_t *s = out + 4 + i;
    int scale_code = i < 4 ? s[0] & 63 : (s[4] & 15) | s[-4] >> 6 << 4;
    int low_code = i < 4 ? s[4] & 63 : s[4] >> 4 | s[0] >> 6 << 4;
    step[i] = scale * scale_code;
    offset[i] = low * low_code;
  }
  NAME(offset_codes)(
      x, step, offset, c->inverse + 8 * block, c->low + 8 * block, 32, limit, codes);
}

BODY void NAME(q45_k_pack)(const uint8_t *codes, int limit, uint8_t *out) {
  if (limit == 31) {
    for (int i = 0; i < 32; i++) {
      int high = 0;
      UNROLL for (int block = 0; block < 8; block++) {
        high |= codes[32 * block + i] >> 4 << block;
      }
      out[i] = (uint8_t)high;
    }
    out += 32;
  }
  for (int pair = 0; pair < 4; pair++, codes += 64, out += 32) {
    for (int i = 0; i < 32; i++) out[i] = (uint8_t)((codes[i] & 15) | codes[i + 32] << 4);
  }
}

BODY void NAME(q45_k)(
    const float *x, const float *importance, size_t blocks, uint8_t *out,
    const NAME(offsets) p, int bytes) {
  NAME(offset_chunk) c = {0};
  uint8_t codes[256], scale_codes[8 * LANES], low_codes[8 * LANES];
  float scales[LANES], lows[LANES];
  for (size_t done = 0; done < blocks; done += LANES) {
    int count = blocks - done < LANES ? (int)(blocks - done) : LANES;
    if (importance) {
      NAME(q45_k_search_weighted)(x, importance, count, p, &c);
      NAME(positive_chunk)(c.scale, c.sum, 8, 63, scale_codes, scales);
      NAME(positive_chunk)(c.negated, c.sum, 8, 63, low_codes, lows);
      importance += 256 * count;
    } else {
      NAME(q45_k_search)(x, count, p, &c);
    }
    for (int block = 0; block < count; block++, x += 256, out += bytes) {
      if (importance) {
        for (int i = 0; i < 8; i++) {
          int s = scale_codes[8 * block + i], m = low_codes[8 * block + i];
          // Q5_K bounds the codes that wrapped around, Q4_K stores them as they are.
          if (p.limit == 31) s = s < 63 ? s : 63, m = m < 63 ? m : 63;
          NAME(store_six_bits)(s, m, i, out + 4);
        }
        store_half(scales[block], out);
        store_half(lows[block], out + 2);
      } else {
        NAME(q45_k_scales)(c.scale + 8 * block, c.negated + 8 * block, out);
      }
      NAME(q45_k_codes)(x, &c, block, p.limit, out, codes);
      NAME(q45_k_pack)(codes, p.limit, out + 16);
    }
  }
}

static void NAME(encode_q4_k)(const float *x, const float *w, size_t blocks, uint8_t *out) {
  (void)w;
  NAME(q45_k)(x, 0, blocks, out, NAME(plain_q4_k), 144);
}

static void NAME(encode_q5_k)(const float *x, const float *w, size_t blocks, uint8_t *out) {
  (void)w;
  NAME(q45_k)(x, 0, blocks, out, NAME(plain_q5_k), 176);
}

static void NAME(weigh_q4_k)(const float *x, const float *w, size_t blocks, uint8_t *out) {
  NAME(q45_k)(x, w, blocks, out, NAME(weighted_q4_k), 144);
}

static void NAME(weigh_q5_k)(const float *x, const float *w, size_t blocks, uint8_t *out) {
  NAME(q45_k)(x, w, blocks, out, NAME(weighted_q5_k), 176);
}
