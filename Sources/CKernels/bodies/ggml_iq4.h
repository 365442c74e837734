// IQ4_NL and IQ4_XS: sub-blocks of 32 with a table of 16 unevenly spaced values.

static const float NAME(iq4_values)[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                           1,    13,   25,  38,  53,  69,  89,  113};

// Where the nearest value changes: the middles, as a binary tree whose node n has children 2n and
// 2n + 1. They are exact, because near a middle both distances are computed without rounding.
static const float NAME(iq4_tree)[16] = {0,    -4.5f,  -57,  45.5f, -93.5f, -28.5f, 19,  79,
                                         -115.5f, -74, -42,  -16,   7,      31.5f,  61,  101};

// The leaf of each lane, 16 + the code of the nearest value. NaN is not below any middle: 15.
BODY vi NAME(iq4_leaf)(vf x) {
  vi node = 2 - ~(x < NAME(iq4_tree)[1]);
  for (int level = 0; level < 3; level++) {
    vf middle = LOOK_UP(NAME(iq4_tree), node, level == 2);
    node = node + node - ~(x < middle);
  }
  return node;
}

BODY vf NAME(iq4_value)(vi leaf) { return LOOK_UP_16(NAME(iq4_values), leaf); }

BODY void NAME(iq4_sums)(
    const vf *x, const vf *w, const vf *inverse, int tries, vf *product, vf *square) {
  for (int t = 0; t < tries; t++) product[t] = square[t] = (vf){0};
  for (int i = 0; i < 32; i++) {
    UNROLL for (int t = 0; t < tries; t++) {
      vf value = NAME(iq4_value)(NAME(iq4_leaf)(inverse[t] * x[i]));
      vf part = w[i] * value;
      product[t] += part * x[i];
      square[t] += part * value;
    }
  }
}

// The best of 16 scales.
BODY vf NAME(iq4_search)(const vf *x, const vf *w) {
  vf extreme = extreme_of(x, 32), product[3], square[3], inverse[3];
  vi empty = magnitude(extreme) < TINY;
  inverse[0] = 1 / (-extreme / -127.0f);
  NAME(iq4_sums)(x, w, inverse, 1, product, square);
  vf scale = choose(square[0] > 0, product[0] / square[0], splat(0));
  vf best = scale * product[0];
  for (int step = -7; step <= 7; step += 3) {
    for (int t = 0; t < 3; t++) inverse[t] = (step + t - 127.0f) / extreme;
    NAME(iq4_sums)(x, w, inverse, 3, product, square);
    for (int t = 0; t < 3; t++) {
      vi better = (square[t] > 0) & (product[t] * product[t] > best * square[t]);
      vf candidate = product[t] / square[t];
      scale = choose(better, candidate, scale);
      best = choose(better, candidate * product[t], best);
    }
  }
  return choose(empty, splat(0), scale);
}

// Scales of `count` sub-blocks; σ² of each in `sigma`, where there is an importance.
BODY void NAME(iq4_scales)(
    const float *x, const float *importance, int count, const float *sigma, float *scales) {
  vf tile[32], w[32];
  for (int first = 0; first < count; first += LANES) {
    transpose(x + 32 * first, 32, count - first, tile);
    if (importance) {
      transpose(importance + 32 * first, 32, count - first, w);
      vf mean = load(sigma + first);
      for (int i = 0; i < 32; i++) {
        w[i] = w[i] * __builtin_elementwise_sqrt(mean + tile[i] * tile[i]);
      }
    } else {
      for (int i = 0; i < 32; i++) w[i] = tile[i] * tile[i];
    }
    store(scales + first, NAME(iq4_search)(tile, w));
  }
}

// 32 codes in 16 bytes, for values = x · inverse.
BODY void NAME(iq4_codes)(const float *x, float inverse, uint8_t *out) {
  uint8_t codes[32];
  for (int i = 0; i < 32; i += LANES) {
    vi leaf = NAME(iq4_leaf)(load(x + i) * inverse) & 15;
    typedef uint8_t bytes __attribute__((vector_size(LANES)));
    bytes narrow = __builtin_convertvector(leaf, bytes);
    __builtin_memcpy(codes + i, &narrow, LANES);
  }
  for (int i = 0; i < 16; i++) out[i] = (uint8_t)(codes[i] | codes[i + 16] << 4);
}

BODY void NAME(iq4_xs)(const float *x, const float *importance, size_t blocks, uint8_t *out) {
  float squares[LANES], sigma[8 * LANES], scales[8 * LANES];
  for (size_t done = 0; done < blocks; done += LANES) {
    int count = blocks - done < LANES ? (int)(blocks - done) : LANES;
    if (importance) {
      sums_of_squares(x, 256, count, squares);
      for (int i = 0; i < 8 * LANES; i++) {
        sigma[i] = i / 8 < count ? squares[i / 8] * (2.0f / 256) : 0;
      }
    }
    NAME(iq4_scales)(x, importance, 8 * count, sigma, scales);
    if (importance) importance += 256 * count;
    for (int block = 0; block < count; block++, x += 256, out += 136) {
      float scale = -extreme1(scales + 8 * block, 8) / 32, inverse = inverse1(scale);
      int high = 0;
      store_half(scale, out);
      for (int i = 0; i < 8; i++) {
        int code = bound1(nearest1(inverse * scales[8 * block + i]), -32, 31);
        NAME(iq4_codes)(x + 32 * i, inverse1(scale * code), out + 8 + 16 * i);
        code += 32;
        out[4 + i / 2] = (uint8_t)(i % 2 == 0 ? code & 15 : out[4 + i / 2] | code << 4);
        high |= code >> 4 << 2 * i;
      }
      out[2] = (uint8_t)high;
      out[3] = (uint8_t)(high >> 8);
    }
  }
}

BODY void NAME(iq4_nl)(const float *x, const float *importance, size_t blocks, uint8_t *out) {
  float sigma[LANES], scales[LANES], spare[32 * LANES], spare_weights[32 * LANES];
  for (size_t done = 0; done < blocks; done += LANES) {
    int count = blocks - done < LANES ? (int)(blocks - done) : LANES;
    const float *source = NAME(whole_group)(x, 32, count, LANES, spare), *weights = 0;
    if (importance) {
      weights = NAME(whole_group)(importance, 32, count, LANES, spare_weights);
      sums_of_squares(source, 32, LANES, sigma);
      for (int i = 0; i < LANES; i++) sigma[i] *= 2.0f / 32;
      importance += 32 * count;
    }
    NAME(iq4_scales)(source, weights, LANES, sigma, scales);
    for (int block = 0; block < count; block++, x += 32, out += 18) {
      store_half(scales[block], out);
      NAME(iq4_codes)(x, inverse1(scales[block]), out + 2);
    }
  }
}

static void NAME(encode_iq4_xs)(const float *x, const float *w, size_t blocks, uint8_t *out) {
  (void)w;
  NAME(iq4_xs)(x, 0, blocks, out);
}

static void NAME(weigh_iq4_xs)(const float *x, const float *w, size_t blocks, uint8_t *out) {
  NAME(iq4_xs)(x, w, blocks, out);
}

static void NAME(encode_iq4_nl)(const float *x, const float *w, size_t blocks, uint8_t *out) {
  (void)w;
  NAME(iq4_nl)(x, 0, blocks, out);
}

static void NAME(weigh_iq4_nl)(const float *x, const float *w, size_t blocks, uint8_t *out) {
  NAME(iq4_nl)(x, w, blocks, out);
}
