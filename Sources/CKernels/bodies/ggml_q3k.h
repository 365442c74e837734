// Q3_K: 16 sub-blocks of 16.

// Vectors that advance together, because each waits long for its divisions.
#define WIDE 4
// Blocks that fill them.
#define Q3_K_BLOCKS (WIDE * LANES / 16)

typedef struct {
  vf x[16][WIDE], wx[16][WIDE], codes[16][WIDE];
  vf product[WIDE], square[WIDE];
} NAME(q3_k_state);

BODY vf NAME(q3_k_code)(vf x) { return to_float(bounded_int(nearest_int(x), -4, 3)); }

BODY void NAME(q3_k_start)(NAME(q3_k_state) *s, vi *empty) {
  for (int k = 0; k < WIDE; k++) {
    vf column[16];
    for (int i = 0; i < 16; i++) column[i] = s->x[i][k];
    vf extreme = extreme_of(column, 16), inverse = -4.0f / extreme;
    empty[k] = magnitude(extreme) < TINY;
    vf product = {0}, square = {0};
    for (int i = 0; i < 16; i++) {
      vf x = column[i], w = x * x, code = NAME(q3_k_code)(inverse * x);
      s->codes[i][k] = code;
      s->wx[i][k] = w * x;
      product += s->wx[i][k] * code;
      square += w * code * code;
    }
    s->product[k] = product, s->square[k] = square;
  }
}

// Tries each element's best code in turn; whether any lane changed.
BODY int NAME(q3_k_refine)(NAME(q3_k_state) *s) {
  vi changed = {0};
  for (int i = 0; i < 16; i++) {
    UNROLL for (int k = 0; k < WIDE; k++) {
      vf x = s->x[i][k], w = x * x, wx = s->wx[i][k], old = s->codes[i][k];
      vf product = s->product[k] - wx * old, square = s->square[k] - w * old * old;
      vi usable = product > 0;
      vf code = NAME(q3_k_code)(x * square / product);
      product += wx * code;
      square += w * code * code;
      vi better = usable & (code != old) & (square > 0) &
                  (product * product * s->square[k] > s->product[k] * s->product[k] * square);
      s->codes[i][k] = choose(better, code, old);
      s->product[k] = choose(better, product, s->product[k]);
      s->square[k] = choose(better, square, s->square[k]);
      changed |= better;
    }
  }
  return ANY(changed);
}

// Codes + 4 in natural order, and scales, of up to Q3_K_BLOCKS blocks.
BODY void NAME(q3_k_search)(const float *x, int blocks, float *scales, uint8_t *codes) {
  NAME(q3_k_state) s;
  vf tile[16];
  vi empty[WIDE];
  for (int k = 0; k < WIDE; k++) {
    transpose(x + 16 * LANES * k, 16, 16 * blocks - LANES * k, tile);
    for (int i = 0; i < 16; i++) s.x[i][k] = tile[i];
  }
  NAME(q3_k_start)(&s, empty);
  for (int round = 0; round < 5; round++) {
    if (!NAME(q3_k_refine)(&s)) break;
  }
  for (int k = 0; k < WIDE; k++) {
    vi found = ~empty[k] & (s.square[k] > 0);
    store(scales + LANES * k, choose(found, s.product[k] / s.square[k], splat(0)));
    for (int i = 0; i < 16; i++) {
      vi code = __builtin_convertvector(s.codes[i][k], vi) + 4;
      code = choose_int(empty[k], (vi){0}, code);
      for (int lane = 0; lane < LANES; lane++) {
        codes[16 * (LANES * k + lane) + i] = (uint8_t)code[lane];
      }
    }
  }
}

BODY void NAME(q3_k_add_scale)(int code, int block, uint8_t *out) {
  out[block % 8] |= (uint8_t)((code & 15) << (block < 8 ? 0 : 4));
  out[8 + block % 4] |= (uint8_t)(code >> 4 << 2 * (block / 4));
}

// Codes of the scales that follow from the largest; returns the scale of the scales.
BODY float NAME(q3_k_scales)(const float *scales, uint8_t *scale_codes) {
  float extreme = extreme1(scales, 16), inverse = -32 / extreme;
  for (int i = 0; i < 16; i++) {
    // The integer is cut to a byte before it is bounded. A block of zeros stores no 32.
    int code = (int8_t)nearest1(inverse * scales[i]);
    scale_codes[i] = (uint8_t)(extreme == 0 ? 0 : bound1(code, -32, 31) + 32);
  }
  return extreme == 0 ? 0 : 1 / inverse;
}

// Stores a block; codes + 4 are replaced where the stored scale of a sub-block is not zero.
BODY void NAME(q3_k_store)(
    const float *x, const uint8_t *scale_codes, float scale, uint8_t *codes, uint8_t *out) {
  float stored = store_half(scale, out + 108);
  __builtin_memset(out + 96, 0, 12);
  for (int block = 0; block < 16; block++) {
    NAME(q3_k_add_scale)(scale_codes[block], block, out + 96);
    float step = stored * (scale_codes[block] - 32);
    if (step == 0) continue;
    for (int i = 16 * block; i < 16 * block + 16; i++) {
      codes[i] = (uint8_t)(bound1(nearest1(x[i] / step), -4, 3) + 4);
    }
  }
  for (int i = 0; i < 32; i++) {
    int mask = 0;
    UNROLL for (int bit = 0; bit < 8; bit++) mask |= codes[32 * bit + i] >> 2 << bit;
    out[i] = (uint8_t)mask;
  }
  for (int i = 0; i < 256; i++) codes[i] &= 3;
  store_two_bits(codes, out + 32);
}

static void NAME(encode_q3_k)(const float *x, const float *w, size_t blocks, uint8_t *out) {
  (void)w;
  float scales[16 * Q3_K_BLOCKS];
  uint8_t codes[256 * Q3_K_BLOCKS], scale_codes[16];
  for (size_t done = 0; done < blocks; done += Q3_K_BLOCKS) {
    int count = blocks - done < Q3_K_BLOCKS ? (int)(blocks - done) : Q3_K_BLOCKS;
    NAME(q3_k_search)(x, count, scales, codes);
    for (int block = 0; block < count; block++, x += 256, out += 110) {
      float scale = NAME(q3_k_scales)(scales + 16 * block, scale_codes);
      NAME(q3_k_store)(x, scale_codes, scale, codes + 256 * block, out);
    }
  }
}

// Scales, inverse scales and sums of weights of the sub-blocks of up to LANES blocks.
BODY void NAME(q3_k_weigh)(
    const float *x, const float *importance, int blocks, float *scales, float *inverses,
    float *sums) {
  vf tile[16], w[16];
  float squares[LANES];
  sums_of_squares(x, 256, blocks, squares);
  for (int first = 0; first < 16 * blocks; first += LANES) {
    transpose(x + 16 * first, 16, LANES, tile);
    transpose(importance + 16 * first, 16, LANES, w);
    vf mean = splat(2 * squares[first / 16] / 256), sum = {0}, inverse;
    for (int i = 0; i < 16; i++) {
      w[i] = w[i] * __builtin_elementwise_sqrt(mean + tile[i] * tile[i]);
      sum += w[i];
    }
    store(scales + first, NAME(symmetric_search)(tile, w, 16, 4, &inverse));
    store(inverses + first, inverse);
    store(sums + first, sum);
  }
}

// The scales' own codes, of LANES blocks.
BODY void NAME(q3_k_scale_search)(
    const float *scales, const float *sums, uint8_t *scale_codes, float *found) {
  vf x[16], w[16], inverse;
  for (int i = 0; i < 16; i++) {
    for (int lane = 0; lane < LANES; lane++) {
      x[i][lane] = scales[16 * lane + i];
      w[i][lane] = sums[16 * lane + i];
    }
  }
  vi empty = magnitude(extreme_of(x, 16)) < TINY;
  store(found, NAME(symmetric_search)(x, w, 16, 32, &inverse));
  for (int i = 0; i < 16; i++) {
    vi code = bounded_int(nearest_int(inverse * x[i]), -32, 31) + 32;
    code = choose_int(empty, (vi){0}, code);
    for (int lane = 0; lane < LANES; lane++) scale_codes[16 * lane + i] = (uint8_t)code[lane];
  }
}

static void NAME(weigh_q3_k)(const float *x, const float *w, size_t blocks, uint8_t *out) {
  float scales[16 * LANES] = {0}, inverses[16 * LANES], sums[16 * LANES] = {0}, found[LANES];
  uint8_t codes[256], scale_codes[16 * LANES];
  for (size_t done = 0; done < blocks; done += LANES) {
    int count = blocks - done < LANES ? (int)(blocks - done) : LANES;
    NAME(q3_k_weigh)(x, w, count, scales, inverses, sums);
    NAME(q3_k_scale_search)(scales, sums, scale_codes, found);
    w += 256 * count;
    for (int block = 0; block < count; block++, x += 256, out += 110) {
      for (int i = 0; i < 16; i++) {
        const float *part = x + 16 * i;
        int empty = !(__builtin_fabsf(extreme1(part, 16)) >= TINY);
        NAME(symmetric_codes)(part, inverses[16 * block + i], empty, 16, 4, codes + 16 * i);
      }
      NAME(q3_k_store)(x, scale_codes + 16 * block, found[block], codes, out);
    }
  }
}
