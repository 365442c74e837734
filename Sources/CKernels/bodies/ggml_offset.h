// x ≈ scale · code − low: the search of Q2_K, Q4_K and Q5_K, and of Q4_1 and Q5_1 with importance.

// What a search tries; see `ScaleSearch.Offsets`.
typedef struct {
  int count, limit, last, absolute;
  float start, step;
} NAME(offsets);

// What it finds, and from which inverse scale and minimum the codes follow.
typedef struct {
  vf scale, negated, inverse, low;
} NAME(offset_found);

// Vectors that advance together, because each waits long for its sums.
#define PAIR 2
#define EACH(k) UNROLL for (int k = 0; k < PAIR; k++)
// Sub-blocks in a pair.
#define PAIR_LANES (PAIR * LANES)

typedef struct {
  vf scale, low, inverse, used_low, best, weight, weighted, least, most;
  vi empty;
} NAME(offset_state);

BODY void NAME(offset_error)(
    const vf x[][PAIR], const vf w[][PAIR], const vf codes[][PAIR], const vf *scale,
    const vf *low, int n, int absolute, vf *error) {
  EACH(k) error[k] = (vf){0};
  UNROLL for (int i = 0; i < n; i++) {
    EACH(k) {
      vf difference = scale[k] * codes[i][k] + low[k] - x[i][k];
      error[k] += w[i][k] * (absolute ? magnitude(difference) : difference * difference);
    }
  }
}

typedef struct {
  vf code[PAIR], square[PAIR], product[PAIR];
} NAME(offset_sums);

BODY NAME(offset_sums) NAME(offset_add)(
    const vf x[][PAIR], const vf w[][PAIR], vf codes[][PAIR], const vf *inverse,
    const NAME(offset_state) *s, int n, float limit, int how) {
  NAME(offset_sums) sums;
  EACH(k) sums.code[k] = sums.square[k] = sums.product[k] = (vf){0};
  UNROLL for (int i = 0; i < n; i++) {
    EACH(k) {
      vf code = code_of(inverse[k] * (x[i][k] - s[k].low), 0, limit, how);
      codes[i][k] = code;
      vf part = w[i][k] * code;
      sums.code[k] += part;
      sums.square[k] += part * code;
      sums.product[k] += part * x[i][k];
    }
  }
  return sums;
}

// Every code lies between those of the least and the most element: what do these need?
BODY int NAME(offset_how)(const NAME(offset_state) *s, const vf *inverse, float limit) {
  vi idle = ~(vi){0}, near = idle;
  EACH(k) {
    vf a = choose(s[k].empty, splat(0), inverse[k] * (s[k].least - s[k].low));
    vf b = choose(s[k].empty, splat(0), inverse[k] * (s[k].most - s[k].low));
    vf ca = (a + MAGIC) - MAGIC, cb = (b + MAGIC) - MAGIC;
    idle &= (ca >= 0) & (ca <= limit) & (cb >= 0) & (cb <= limit);
    near &= (magnitude(a) <= MAGIC_LIMIT) & (magnitude(b) <= MAGIC_LIMIT);
  }
  return !ANY(~idle) ? IDLE : ANY(~near) ? EXACT : BOUNDED;
}

BODY NAME(offset_sums) NAME(offset_codes_and_sums)(
    const vf x[][PAIR], const vf w[][PAIR], vf codes[][PAIR], const vf *inverse,
    const NAME(offset_state) *s, int n, float limit, int finite) {
  switch (finite ? NAME(offset_how)(s, inverse, limit) : EXACT) {
    case IDLE: return NAME(offset_add)(x, w, codes, inverse, s, n, limit, IDLE);
    case BOUNDED: return NAME(offset_add)(x, w, codes, inverse, s, n, limit, BOUNDED);
    default: return NAME(offset_add)(x, w, codes, inverse, s, n, limit, EXACT);
  }
}

BODY void NAME(offset_start)(
    NAME(offset_state) *s, const vf x[][PAIR], const vf w[][PAIR], vf codes[][PAIR],
    const NAME(offsets) p, int finite) {
  vf inverse[PAIR], scale[PAIR], lows[PAIR], error[PAIR];
  EACH(k) {
    vf low = x[0][k], high = x[0][k], weight = w[0][k], weighted = w[0][k] * x[0][k];
    for (int i = 1; i < p.count; i++) {
      low = smaller(x[i][k], low);
      high = larger(x[i][k], high);
      weight += w[i][k];
      weighted += w[i][k] * x[i][k];
    }
    s[k].least = low, s[k].most = high, s[k].weight = weight, s[k].weighted = weighted;
    s[k].low = s[k].used_low = lows[k] = choose(low > 0, splat(0), low);
    s[k].empty = s[k].most == s[k].low;
    s[k].inverse = inverse[k] = (float)p.limit / (s[k].most - s[k].low);
    s[k].scale = scale[k] = 1 / inverse[k];
  }
  NAME(offset_codes_and_sums)(x, w, codes, inverse, s, p.count, (float)p.limit, finite);
  NAME(offset_error)(x, w, codes, scale, lows, p.count, p.absolute, error);
  EACH(k) s[k].best = error[k];
}

BODY void NAME(offset_try)(
    NAME(offset_state) *s, const vf x[][PAIR], const vf w[][PAIR], vf codes[][PAIR],
    const NAME(offsets) p, float numerator, int finite) {
  vf inverse[PAIR], scale[PAIR], low[PAIR], error[PAIR];
  vi usable[PAIR];
  EACH(k) inverse[k] = numerator / (s[k].most - s[k].low);
  NAME(offset_sums) sums = NAME(offset_codes_and_sums)(
      x, w, codes, inverse, s, p.count, (float)p.limit, finite);
  EACH(k) {
    vf code = sums.code[k], square = sums.square[k], product = sums.product[k];
    vf determinant = s[k].weight * square - code * code;
    usable[k] = (determinant > 0) & ~s[k].empty;
    scale[k] = (s[k].weight * product - s[k].weighted * code) / determinant;
    low[k] = (square * s[k].weighted - code * product) / determinant;
    vi above = low[k] > 0;
    low[k] = choose(above, splat(0), low[k]);
    scale[k] = choose(above, product / square, scale[k]);
  }
  NAME(offset_error)(x, w, codes, scale, low, p.count, p.absolute, error);
  EACH(k) {
    vi better = usable[k] & (error[k] < s[k].best);
    s[k].best = choose(better, error[k], s[k].best);
    s[k].inverse = choose(better, inverse[k], s[k].inverse);
    s[k].used_low = choose(better, s[k].low, s[k].used_low);
    s[k].scale = choose(better, scale[k], s[k].scale);
    s[k].low = choose(better, low[k], s[k].low);
  }
}

BODY void NAME(offset_search)(
    const vf x[][PAIR], const vf w[][PAIR], const NAME(offsets) p,
    NAME(offset_found) found[PAIR]) {
  vf codes[32][PAIR];
  NAME(offset_state) s[PAIR];
  int finite = !ANY(not_finite(&x[0][0], PAIR * p.count));
  NAME(offset_start)(s, x, w, codes, p, finite);
  for (int step = 0; step <= p.last; step++) {
    NAME(offset_try)(s, x, w, codes, p, p.start + p.step * step + p.limit, finite);
  }
  EACH(k) {
    found[k].scale = choose(s[k].empty, splat(0), s[k].scale);
    found[k].negated = -s[k].low;
    // An empty sub-block has no code but 0.
    found[k].inverse = choose(s[k].empty, splat(0), s[k].inverse);
    found[k].low = choose(s[k].empty, splat(0), s[k].used_low);
  }
}

// The search for sub-blocks of 32, and of 16 with either kind of error: one copy for all limits.
#define OFFSET_SEARCH(name, n, kind) \
  static __attribute__((noinline)) void NAME(name)( \
      const vf x[][PAIR], const vf w[][PAIR], NAME(offsets) p, \
      NAME(offset_found) found[PAIR]) { \
    p.count = n; \
    p.absolute = kind; \
    NAME(offset_search)(x, w, p, found); \
  }

OFFSET_SEARCH(offset_search_32, 32, 0)
OFFSET_SEARCH(offset_search_16, 16, 0)
OFFSET_SEARCH(offset_search_16_absolute, 16, 1)

// x (PAIR_LANES, n), of which `rows` are there → tile (n).
BODY void NAME(transpose_pair)(const float *x, int n, int rows, vf tile[][PAIR]) {
  vf column[32];
  EACH(k) {
    transpose(x + k * LANES * n, n, rows - k * LANES, column);
    for (int i = 0; i < n; i++) tile[i][k] = column[i];
  }
}

// Weighs a tile with importance · √(mean + x²), in place of the importance; returns the sums.
BODY void NAME(weigh_pair)(const vf x[][PAIR], vf w[][PAIR], const vf *mean, int n, vf *sum) {
  EACH(k) sum[k] = (vf){0};
  for (int i = 0; i < n; i++) {
    EACH(k) {
      w[i][k] = w[i][k] * __builtin_elementwise_sqrt(mean[k] + x[i][k] * x[i][k]);
      sum[k] += w[i][k];
    }
  }
}

// What is found for the sub-blocks of up to LANES blocks.
typedef struct {
  float scale[16 * LANES], negated[16 * LANES], inverse[16 * LANES], low[16 * LANES];
  float sum[16 * LANES];
} NAME(offset_chunk);

BODY void NAME(offset_keep)(
    NAME(offset_chunk) *c, int first, const NAME(offset_found) *found, const vf *sum) {
  EACH(k) {
    int at = first + k * LANES;
    store(c->scale + at, found[k].scale);
    store(c->negated + at, found[k].negated);
    store(c->inverse + at, found[k].inverse);
    store(c->low + at, found[k].low);
    store(c->sum + at, sum[k]);
  }
}

// Codes of 256 elements from the scales that are stored, `step` and `offset` for each sub-block.
BODY void NAME(offset_codes)(
    const float *x, const float *step, const float *offset, const float *inverse,
    const float *low, int n, int limit, uint8_t *codes) {
  for (int block = 0; block < 256 / n; block++, x += n, codes += n) {
    if (step[block] == 0) {
      for (int i = 0; i < n; i++) {
        int code = nearest1(inverse[block] * (x[i] - low[block]));
        codes[i] = (uint8_t)bound1(code, 0, limit);
      }
    } else {
      float d = step[block], m = offset[block];
      for (int i = 0; i < n; i++) {
        codes[i] = (uint8_t)bound1(nearest1((x[i] + m) / d), 0, limit);
      }
    }
  }
}
