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

// Vectors that are searched side by side.
#define BUNDLE 4
#define EACH(k) UNROLL for (int k = 0; k < BUNDLE; k++)
// Sub-blocks in a bundle.
#define BUNDLE_LANES (BUNDLE * LANES)

typedef struct {
  vf scale, low, inverse, used_low, best, weight, weighted, least, most;
  vi empty;
} NAME(offset_state);

// What a step tries with one vector.
typedef struct {
  vf codes[32], inverse, scale, low;
  vi usable;
} NAME(offset_trial);

BODY vf NAME(offset_error)(
    const vf x[][BUNDLE], const vf w[][BUNDLE], const vf *codes, vf scale, vf low, int k, int n,
    int absolute) {
  vf error = {0};
  UNROLL for (int i = 0; i < n; i++) {
    vf difference = scale * codes[i] + low - x[i][k];
    error += w[i][k] * (absolute ? magnitude(difference) : difference * difference);
  }
  return error;
}

typedef struct {
  vf code, square, product;
} NAME(offset_sums);

BODY NAME(offset_sums) NAME(offset_add)(
    const vf x[][BUNDLE], const vf w[][BUNDLE], vf *codes, vf inverse, vf low, int k, int n,
    float limit, int how) {
  NAME(offset_sums) sums = {{0}, {0}, {0}};
  UNROLL for (int i = 0; i < n; i++) {
    vf code = code_of(inverse * (x[i][k] - low), 0, limit, how);
    codes[i] = code;
    vf part = w[i][k] * code;
    sums.code += part;
    sums.square += part * code;
    sums.product += part * x[i][k];
  }
  return sums;
}

// Every code lies between those of the least and the most element: what do these need?
BODY int NAME(offset_how)(const NAME(offset_state) *s, vf inverse, float limit) {
  vf a = choose(s->empty, splat(0), inverse * (s->least - s->low));
  vf b = choose(s->empty, splat(0), inverse * (s->most - s->low));
  vf ca = __builtin_elementwise_roundeven(a), cb = __builtin_elementwise_roundeven(b);
  vi idle = (ca >= 0) & (ca <= limit) & (cb >= 0) & (cb <= limit);
  vi near = (magnitude(a) <= MAGIC_LIMIT) & (magnitude(b) <= MAGIC_LIMIT);
  return !ANY(~idle) ? IDLE : ANY(~near) ? EXACT : BOUNDED;
}

BODY NAME(offset_sums) NAME(offset_codes_and_sums)(
    const vf x[][BUNDLE], const vf w[][BUNDLE], vf *codes, vf inverse,
    const NAME(offset_state) *s, int k, int n, float limit, int finite) {
  switch (finite ? NAME(offset_how)(s, inverse, limit) : EXACT) {
    case IDLE: return NAME(offset_add)(x, w, codes, inverse, s->low, k, n, limit, IDLE);
    case BOUNDED: return NAME(offset_add)(x, w, codes, inverse, s->low, k, n, limit, BOUNDED);
    default: return NAME(offset_add)(x, w, codes, inverse, s->low, k, n, limit, EXACT);
  }
}

BODY void NAME(offset_start)(
    NAME(offset_state) *s, vf *codes, const vf x[][BUNDLE], const vf w[][BUNDLE], int k,
    const NAME(offsets) p, int finite) {
  vf low = x[0][k], high = x[0][k], weight = w[0][k], weighted = w[0][k] * x[0][k];
  for (int i = 1; i < p.count; i++) {
    low = smaller(x[i][k], low);
    high = larger(x[i][k], high);
    weight += w[i][k];
    weighted += w[i][k] * x[i][k];
  }
  s->least = low, s->most = high, s->weight = weight, s->weighted = weighted;
  s->low = s->used_low = choose(low > 0, splat(0), low);
  s->empty = s->most == s->low;
  s->inverse = (float)p.limit / (s->most - s->low);
  s->scale = 1 / s->inverse;
  NAME(offset_codes_and_sums)(x, w, codes, s->inverse, s, k, p.count, (float)p.limit, finite);
  s->best = NAME(offset_error)(x, w, codes, s->scale, s->low, k, p.count, p.absolute);
}

BODY void NAME(offset_try)(
    NAME(offset_trial) *t, const NAME(offset_state) *s, const vf x[][BUNDLE],
    const vf w[][BUNDLE], int k, const NAME(offsets) p, float numerator, int finite) {
  t->inverse = numerator / (s->most - s->low);
  NAME(offset_sums) sums = NAME(offset_codes_and_sums)(
      x, w, t->codes, t->inverse, s, k, p.count, (float)p.limit, finite);
  vf code = sums.code, square = sums.square, product = sums.product;
  vf determinant = s->weight * square - code * code;
  t->usable = (determinant > 0) & ~s->empty;
  vf scale = (s->weight * product - s->weighted * code) / determinant;
  vf low = (square * s->weighted - code * product) / determinant;
  vi above = low > 0;
  t->low = choose(above, splat(0), low);
  t->scale = choose(above, product / square, scale);
}

BODY void NAME(offset_take)(
    NAME(offset_state) *s, const NAME(offset_trial) *t, const vf x[][BUNDLE],
    const vf w[][BUNDLE], int k, const NAME(offsets) p) {
  vf error = NAME(offset_error)(x, w, t->codes, t->scale, t->low, k, p.count, p.absolute);
  vi better = t->usable & (error < s->best);
  s->best = choose(better, error, s->best);
  s->inverse = choose(better, t->inverse, s->inverse);
  s->used_low = choose(better, s->low, s->used_low);
  s->scale = choose(better, t->scale, s->scale);
  s->low = choose(better, t->low, s->low);
}

// The search of `team` vectors from `first` on. One waits long for its sums and what follows from
// them, and meanwhile the processor is at the next: so each does all of a half step, in turn.
BODY void NAME(offset_steps)(
    NAME(offset_state) *s, const vf x[][BUNDLE], const vf w[][BUNDLE], int first, int team,
    const NAME(offsets) p, int finite) {
  NAME(offset_trial) trials[BUNDLE];
  for (int k = 0; k < team; k++) {
    NAME(offset_start)(&s[first + k], trials[k].codes, x, w, first + k, p, finite);
  }
  for (int step = 0; step <= p.last; step++) {
    float numerator = p.start + p.step * step + p.limit;
    for (int k = 0; k < team; k++) {
      NAME(offset_try)(&trials[k], &s[first + k], x, w, first + k, p, numerator, finite);
    }
    UNROLL for (int k = 0; k < team; k++) {
      NAME(offset_take)(&s[first + k], &trials[k], x, w, first + k, p);
    }
  }
}

BODY void NAME(offset_search)(
    const vf x[][BUNDLE], const vf w[][BUNDLE], const NAME(offsets) p,
    NAME(offset_found) found[BUNDLE]) {
  NAME(offset_state) s[BUNDLE];
  int finite = !ANY(not_finite(&x[0][0], BUNDLE * p.count));
  // As many as the first cache has room for, and no more than give each other time.
  int team = p.count == 32 ? 2 : BUNDLE;
  for (int first = 0; first < BUNDLE; first += team) {
    NAME(offset_steps)(s, x, w, first, team, p, finite);
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
      const vf x[][BUNDLE], const vf w[][BUNDLE], NAME(offsets) p, \
      NAME(offset_found) found[BUNDLE]) { \
    p.count = n; \
    p.absolute = kind; \
    NAME(offset_search)(x, w, p, found); \
  }

OFFSET_SEARCH(offset_search_32, 32, 0)
OFFSET_SEARCH(offset_search_16, 16, 0)
OFFSET_SEARCH(offset_search_16_absolute, 16, 1)

// x (BUNDLE_LANES, n), of which `rows` are there → tile (n).
BODY void NAME(transpose_bundle)(const float *x, int n, int rows, vf tile[][BUNDLE]) {
  vf column[32];
  EACH(k) {
    transpose(x + k * LANES * n, n, rows - k * LANES, column);
    for (int i = 0; i < n; i++) tile[i][k] = column[i];
  }
}

// Weighs a tile with importance · √(mean + x²), in place of the importance; returns the sums.
BODY void NAME(weigh_bundle)(const vf x[][BUNDLE], vf w[][BUNDLE], const vf *mean, int n, vf *sum) {
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
