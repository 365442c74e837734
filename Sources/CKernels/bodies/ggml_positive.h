// x ≈ scale · code with codes from 0 up, for the scales of LANES blocks at a time. Codes are bytes
// that wrap around, while sums are taken of the code before it wraps.

BODY vf NAME(positive_inverse)(const vf *x, const vf *w, int n, float limit, vf largest) {
  vf inverse = limit / largest, best = {0}, scale = 1 / inverse;
  for (int i = 0; i < n; i++) {
    vf difference = x[i] - scale * to_float(nearest_int(inverse * x[i]) & 255);
    best += w[i] * difference * difference;
  }
  for (int step = -4; step <= 4; step++) {
    if (step == 0) continue;
    vf candidate = (0.1f * step + limit) / largest, error = {0};
    scale = 1 / candidate;
    for (int i = 0; i < n; i++) {
      vi code = nearest_int(candidate * x[i]);
      code = choose_int(code < (int)limit, code, (vi){0} + (int)limit);
      vf difference = x[i] - scale * to_float(code);
      error += w[i] * difference * difference;
    }
    vi better = error < best;
    best = choose(better, error, best);
    inverse = choose(better, candidate, inverse);
  }
  return inverse;
}

// Returns the scales; codes (n) of the lanes.
BODY vf NAME(positive_search)(const vf *x, const vf *w, int n, int limit, vi *codes) {
  vf largest = {0}, product = {0}, square = {0};
  for (int i = 0; i < n; i++) largest = choose(largest > x[i], largest, x[i]);
  vi empty = largest < TINY;
  vf inverse = NAME(positive_inverse)(x, w, n, (float)limit, largest);
  for (int i = 0; i < n; i++) {
    vi code = nearest_int(inverse * x[i]);
    code = choose_int(code < limit, code, (vi){0} + limit);
    codes[i] = code & 255;
    product += w[i] * x[i] * to_float(code);
    square += w[i] * to_float(code) * to_float(code);
  }
  for (int round = 0; round < 5; round++) {
    vi changed = {0};
    for (int i = 0; i < n; i++) {
      vf old = to_float(codes[i]);
      vf other_product = product - w[i] * x[i] * old;
      vf other_square = square - w[i] * old * old;
      vi usable = (other_product > 0) & (other_square > 0);
      vi code = nearest_int(x[i] * other_square / other_product);
      code = choose_int(code < limit, code, (vi){0} + limit);
      other_product += w[i] * x[i] * to_float(code);
      other_square += w[i] * to_float(code) * to_float(code);
      vi better = usable & (code != codes[i]) &
                  (other_product * other_product * square > product * product * other_square);
      codes[i] = choose_int(better, code & 255, codes[i]);
      product = choose(better, other_product, product);
      square = choose(better, other_square, square);
      changed |= better;
    }
    if (!ANY(changed)) break;
  }
  for (int i = 0; i < n; i++) codes[i] = choose_int(empty, (vi){0}, codes[i]);
  return choose(~empty & (square > 0), product / square, splat(0));
}

// values (LANES, n) of a chunk → codes (LANES, n) and a scale per block.
BODY void NAME(positive_chunk)(
    const float *values, const float *sums, int n, int limit, uint8_t *codes, float *scales) {
  vf x[16], w[16];
  vi found[16];
  for (int i = 0; i < n; i++) {
    for (int lane = 0; lane < LANES; lane++) {
      x[i][lane] = values[lane * n + i];
      w[i][lane] = sums[lane * n + i];
    }
  }
  store(scales, NAME(positive_search)(x, w, n, limit, found));
  for (int i = 0; i < n; i++) {
    for (int lane = 0; lane < LANES; lane++) codes[lane * n + i] = (uint8_t)found[i][lane];
  }
}
