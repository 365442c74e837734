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

typedef struct {
  vf scale, low, inverse, used_low, best, weight, weighted, least, most;
  vi empty;
} NAME(offset_state);

BODY vf NAME(offset_error)(
    const vf *x, const vf *w, const vf *codes, vf scale, vf low, int n, int absolute) {
  vf error = {0};
  UNROLL for (int i = 0; i < n; i++) {
    vf difference = scale * codes[i] + low - x[i];
    error += w[i] * (absolute ? magnitude(difference) : difference * difference);
  }
  return error;
}

BODY void NAME(offset_sums)(
    const vf *x, const vf *w, vf *codes, vf inverse, vf low, int n, float limit, int how,
    vf sums[3]) {
  vf sum = {0}, square = {0}, product = {0};
  UNROLL for (int i = 0; i < n; i++) {
    vf code = code_of(inverse * (x[i] - low), 0, limit, how);
    codes[i] = code;
    vf part = w[i] * code;
    sum += part;
    square += part * code;
    product += part * x[i];
  }
  sums[0] = sum, sums[1] = square, sums[2] = product;
}

// Every code lies between those of the least and the most element: what do these need?
BODY int NAME(offset_how)(const NAME(offset_state) *s, vf inverse, float limit, int finite) {
  vf a = choose(s->empty, splat(0), inverse * (s->least - s->low));
  vf b = choose(s->empty, splat(0), inverse * (s->most - s->low));
  if (!finite) return EXACT;
  vf ca = (a + MAGIC) - MAGIC, cb = (b + MAGIC) - MAGIC;
  if (!ANY(~((ca >= 0) & (ca <= limit) & (cb >= 0) & (cb <= limit)))) return IDLE;
  vi near = (magnitude(a) <= MAGIC_LIMIT) & (magnitude(b) <= MAGIC_LIMIT);
  return ANY(~near) ? EXACT : BOUNDED;
}

BODY void NAME(offset_start)(
    NAME(offset_state) *s, const vf *x, const vf *w, vf *codes, const NAME(offsets) p,
    int finite) {
  vf low = x[0], high = x[0], weight = w[0], weighted = w[0] * x[0];
  for (int i = 1; i < p.count; i++) {
    low = smaller(x[i], low);
    high = larger(x[i], high);
    weight += w[i];
    weighted += w[i] * x[i];
  }
  s->least = low, s->most = high, s->weight = weight, s->weighted = weighted;
  s->low = s->used_low = choose(low > 0, splat(0), low);
  s->empty = s->most == s->low;
  s->inverse = (float)p.limit / (s->most - s->low);
  s->scale = 1 / s->inverse;
  vf sums[3];
  int how = NAME(offset_how)(s, s->inverse, (float)p.limit, finite);
  if (how == EXACT) {
    NAME(offset_sums)(x, w, codes, s->inverse, s->low, p.count, (float)p.limit, EXACT, sums);
  } else {
    NAME(offset_sums)(x, w, codes, s->inverse, s->low, p.count, (float)p.limit, BOUNDED, sums);
  }
  s->best = NAME(offset_error)(x, w, codes, s->scale, s->low, p.count, p.absolute);
}

BODY void NAME(offset_try)(
    NAME(offset_state) *s, const vf *x, const vf *w, vf *codes, const NAME(offsets) p,
    float numerator, int finite) {
  vf inverse = numerator / (s->most - s->low);
  float limit = (float)p.limit;
  vf sums[3];
  switch (NAME(offset_how)(s, inverse, limit, finite)) {
    case IDLE:
      NAME(offset_sums)(x, w, codes, inverse, s->low, p.count, limit, IDLE, sums);
      break;
    case BOUNDED:
      NAME(offset_sums)(x, w, codes, inverse, s->low, p.count, limit, BOUNDED, sums);
      break;
    default:
      NAME(offset_sums)(x, w, codes, inverse, s->low, p.count, limit, EXACT, sums);
  }
  vf determinant = s->weight * sums[1] - sums[0] * sums[0];
  vi usable = (determinant > 0) & ~s->empty;
  if (!ANY(usable)) return;
  vf scale = (s->weight * sums[2] - s->weighted * sums[0]) / determinant;
  vf low = (sums[1] * s->weighted - sums[0] * sums[2]) / determinant;
  vi above = low > 0;
  low = choose(above, splat(0), low);
  scale = choose(above, sums[2] / sums[1], scale);
  vf error = NAME(offset_error)(x, w, codes, scale, low, p.count, p.absolute);
  vi better = usable & (error < s->best);
  s->best = choose(better, error, s->best);
  s->inverse = choose(better, inverse, s->inverse);
  s->used_low = choose(better, s->low, s->used_low);
  s->scale = choose(better, scale, s->scale);
  s->low = choose(better, low, s->low);
}

BODY NAME(offset_found) NAME(offset_search)(
    const vf *x, const vf *w, const NAME(offsets) p) {
  vf codes[32];
  NAME(offset_state) s;
  int finite = !ANY(not_finite(x, p.count));
  NAME(offset_start)(&s, x, w, codes, p, finite);
  for (int step = 0; step <= p.last; step++) {
    NAME(offset_try)(&s, x, w, codes, p, p.start + p.step * step + p.limit, finite);
  }
  NAME(offset_found) found;
  found.scale = choose(s.empty, splat(0), s.scale);
  found.negated = -s.low;
  // An empty sub-block has no code but 0.
  found.inverse = choose(s.empty, splat(0), s.inverse);
  found.low = choose(s.empty, splat(0), s.used_low);
  return found;
}

// What is found for the sub-blocks of up to LANES blocks.
typedef struct {
  float scale[16 * LANES], negated[16 * LANES], inverse[16 * LANES], low[16 * LANES];
  float sum[16 * LANES];
} NAME(offset_chunk);

BODY void NAME(offset_keep)(
    NAME(offset_chunk) *c, int first, const NAME(offset_found) *found, vf sum) {
  store(c->scale + first, found->scale);
  store(c->negated + first, found->negated);
  store(c->inverse + first, found->inverse);
  store(c->low + first, found->low);
  store(c->sum + first, sum);
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
