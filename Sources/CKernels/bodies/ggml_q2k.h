// Q2_K: 16 sub-blocks of 16.

static const NAME(offsets) NAME(plain_q2_k) = {16, 3, 15, 1, -0.5f, 0.1f};
static const NAME(offsets) NAME(weighted_q2_k) = {16, 3, 36, 0, -0.9f, 0.05f};

// Weighs with |x|, or with importance · √(σ² + x²), where σ² is the block's mean square.
BODY void NAME(q2_k_search)(
    const float *x, const float *importance, int blocks, const NAME(offsets) p,
    NAME(offset_chunk) *c) {
  vf tile[16][BUNDLE], w[16][BUNDLE], sum[BUNDLE] = {{0}}, mean[BUNDLE];
  NAME(offset_found) found[BUNDLE];
  float squares[LANES] = {0};
  if (importance) sums_of_squares(x, 256, blocks, squares);
  for (int first = 0; first < 16 * blocks; first += BUNDLE_LANES) {
    NAME(transpose_bundle)(x + 16 * first, 16, 16 * blocks - first, tile);
    if (importance) {
      NAME(transpose_bundle)(importance + 16 * first, 16, 16 * blocks - first, w);
      EACH(k) mean[k] = splat(squares[(first + k * LANES) / 16] / 256);
      NAME(weigh_bundle)(tile, w, mean, 16, sum);
    } else {
      for (int i = 0; i < 16; i++) EACH(k) w[i][k] = magnitude(tile[i][k]);
    }
    if (importance) {
      NAME(offset_search_16)(tile, w, p, found);
    } else {
      NAME(offset_search_16_absolute)(tile, w, p, found);
    }
    NAME(offset_keep)(c, first, found, sum);
  }
}

// Codes of the scales that follow from the largest.
BODY void NAME(q2_k_scales)(const float *scale, const float *negated, uint8_t *out) {
  float largest = 0, lowest = 0;
  for (int i = 0; i < 16; i++) {
    if (scale[i] > largest) largest = scale[i];
    if (negated[i] > lowest) lowest = negated[i];
  }
  float inverse = 15 / largest, inverse_low = 15 / lowest;
  for (int i = 0; i < 16; i++) {
    int code = largest > 0 ? nearest1(inverse * scale[i]) : 0;
    if (lowest > 0) code |= (int)((unsigned)nearest1(inverse_low * negated[i]) << 4);
    out[i] = (uint8_t)code;
  }
  store_half(largest > 0 ? largest / 15 : 0, out + 80);
  store_half(lowest > 0 ? lowest / 15 : 0, out + 82);
}

BODY void NAME(q2_k)(
    const float *x, const float *importance, size_t blocks, uint8_t *out,
    const NAME(offsets) p) {
  NAME(offset_chunk) c = {0};
  uint8_t codes[256], scale_codes[16 * LANES], low_codes[16 * LANES];
  float scales[LANES], lows[LANES], step[16], offset[16];
  for (size_t done = 0; done < blocks; done += LANES) {
    int count = blocks - done < LANES ? (int)(blocks - done) : LANES;
    NAME(q2_k_search)(x, importance, count, p, &c);
    if (importance) {
      NAME(positive_chunk)(c.scale, c.sum, 16, 15, scale_codes, scales);
      NAME(positive_chunk)(c.negated, c.sum, 16, 15, low_codes, lows);
      importance += 256 * count;
    }
    for (int block = 0; block < count; block++, x += 256, out += 84) {
      if (importance) {
        for (int i = 0; i < 16; i++) {
          out[i] = (uint8_t)(scale_codes[16 * block + i] | low_codes[16 * block + i] << 4);
        }
        store_half(scales[block], out + 80);
        store_half(lows[block], out + 82);
      } else {
        NAME(q2_k_scales)(c.scale + 16 * block, c.negated + 16 * block, out);
      }
      float scale = load_half(out + 80), low = load_half(out + 82);
      for (int i = 0; i < 16; i++) {
        step[i] = scale * (out[i] & 15);
        offset[i] = low * (out[i] >> 4);
      }
      NAME(offset_codes)(
          x, step, offset, c.inverse + 16 * block, c.low + 16 * block, 16, 3, codes);
      store_two_bits(codes, out + 16);
    }
  }
}

static void NAME(encode_q2_k)(const float *x, const float *w, size_t blocks, uint8_t *out) {
  (void)w;
  NAME(q2_k)(x, 0, blocks, out, NAME(plain_q2_k));
}

static void NAME(weigh_q2_k)(const float *x, const float *w, size_t blocks, uint8_t *out) {
  NAME(q2_k)(x, w, blocks, out, NAME(weighted_q2_k));
}
