// x ≈ scale · code with −limit ≤ code < limit: the search of Q6_K, and with importance of Q3_K (for
// its scales too), Q4_0 and Q5_0.

typedef struct {
  vf scale, inverse, best, extreme;
} NAME(symmetric_state);

// Sums for `tries` candidates at a time, which share the loads.
BODY void NAME(symmetric_sums)(
    const vf *x, const vf *w, const vf *wx, const vf *inverse, int tries, int n, float limit,
    int how, vf *product, vf *square) {
  for (int t = 0; t < tries; t++) product[t] = square[t] = (vf){0};
  UNROLL for (int i = 0; i < n; i++) {
    UNROLL for (int t = 0; t < tries; t++) {
      vf code = code_of(inverse[t] * x[i], -limit, limit - 1, how);
      product[t] += wx[i] * code;
      square[t] += w[i] * code * code;
    }
  }
}

BODY void NAME(symmetric_tries)(
    NAME(symmetric_state) *s, const vf *x, const vf *w, const vf *wx, int step, int n,
    float limit, int how) {
  vf inverse[3], product[3], square[3];
  for (int t = 0; t < 3; t++) inverse[t] = -(limit + 0.1f * (step + t)) / s->extreme;
  NAME(symmetric_sums)(x, w, wx, inverse, 3, n, limit, how, product, square);
  for (int t = 0; t < 3; t++) {
    vi better = (square[t] > 0) & (product[t] * product[t] > s->best * square[t]);
    vf scale = product[t] / square[t];
    s->inverse = choose(better, inverse[t], s->inverse);
    s->scale = choose(better, scale, s->scale);
    s->best = choose(better, scale * product[t], s->best);
  }
}

BODY void NAME(symmetric_how)(
    NAME(symmetric_state) *s, const vf *x, const vf *w, const vf *wx, int n, float limit,
    int how) {
  vf product, square;
  NAME(symmetric_sums)(x, w, wx, &s->inverse, 1, n, limit, how, &product, &square);
  s->scale = choose(square != 0, product / square, splat(0));
  s->best = s->scale * product;
  for (int step = -9; step <= 7; step += 3) {
    // Steps are −9 … −1 and 1 … 9.
    if (step == 0) step = 1;
    NAME(symmetric_tries)(s, x, w, wx, step, n, limit, how);
  }
}

// The scale, and the inverse scale from which the codes follow; both 0 for an all-zero sub-block,
// whose codes are stored as 0 and not as `limit`.
BODY vf NAME(symmetric_search)(const vf *x, const vf *w, int n, float limit, vf *inverse) {
  vf wx[32];
  for (int i = 0; i < n; i++) wx[i] = w[i] * x[i];
  NAME(symmetric_state) s;
  s.extreme = extreme_of(x, n);
  vi empty = magnitude(s.extreme) < TINY;
  s.inverse = -limit / s.extreme;
  if (ANY(not_finite(x, n))) {
    NAME(symmetric_how)(&s, x, w, wx, n, limit, EXACT);
  } else {
    NAME(symmetric_how)(&s, x, w, wx, n, limit, BOUNDED);
  }
  *inverse = choose(empty, splat(0), s.inverse);
  return choose(empty, splat(0), s.scale);
}

// Codes of a sub-block whose stored scale is zero: those of the search.
BODY void NAME(symmetric_codes)(
    const float *x, float inverse, int empty, int n, int limit, uint8_t *codes) {
  for (int i = 0; i < n; i++) {
    int code = bound1(nearest1(inverse * x[i]), -limit, limit - 1) + limit;
    codes[i] = (uint8_t)(empty ? 0 : code);
  }
}

// Codes of 16 sub-blocks of 16 from the scales that are stored.
BODY void NAME(symmetric_block)(
    const float *x, const float *step, const float *inverse, int limit, uint8_t *codes) {
  for (int block = 0; block < 16; block++, x += 16, codes += 16) {
    if (step[block] == 0) {
      int empty = !(__builtin_fabsf(extreme1(x, 16)) >= TINY);
      NAME(symmetric_codes)(x, inverse[block], empty, 16, limit, codes);
    } else {
      float d = step[block];
      for (int i = 0; i < 16; i++) {
        codes[i] = (uint8_t)(bound1(nearest1(x[i] / d), -limit, limit - 1) + limit);
      }
    }
  }
}
