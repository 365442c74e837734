// Scale and codes of LANES sub-blocks of IQ1: the twin of SplitSearch.swift, with lanes across
// sub-blocks but for the choice of points.

typedef struct {
  // In ascending order: elements, their weights and places.
  vf x[32], weight[32], place[32];
  // In their own order.
  vf source[32], mass[32];
  // −2 · mass · source, for the tables of groups.
  vf pull[32];
  vf best, scale;
  vi first, second, shift, empty, odd;
  vi words[4];
} NAME(split_batch);

// Values of the codes, shifted up and down; and those of the second of a pair.
static const float NAME(split_up)[16] = {
    -0.875f, 0.125f, 1.125f, 0, -0.875f, 0.125f, 1.125f, 0,
    -0.875f, 0.125f, 1.125f, 0, -0.875f, 0.125f, 1.125f, 0};
static const float NAME(split_down)[16] = {
    -1.125f, -0.125f, 0.875f, 0, -1.125f, -0.125f, 0.875f, 0,
    -1.125f, -0.125f, 0.875f, 0, -1.125f, -0.125f, 0.875f, 0};
static const float NAME(split_up_second)[16] = {
    -0.875f, -0.875f, -0.875f, -0.875f, 0.125f, 0.125f, 0.125f, 0.125f,
    1.125f,  1.125f,  1.125f,  1.125f,  0,      0,      0,      0};
static const float NAME(split_down_second)[16] = {
    -1.125f, -1.125f, -1.125f, -1.125f, -0.125f, -0.125f, -0.125f, -0.125f,
    0.875f,  0.875f,  0.875f,  0.875f,  0,       0,       0,       0};
// What a code counts in a cell, by the place of its element in a group.
static const float NAME(split_powers)[16] = {1, 3, 9, 27, 81, 243, 729, 2187,
                                             1, 3, 9, 27, 81, 243, 729, 2187};
static const float NAME(split_codes)[16] = {-1, 0, 1, 0, -1, 0, 1, 0, -1, 0, 1, 0, -1, 0, 1, 0};

BODY void NAME(split_load)(
    NAME(split_batch) *b, const float *x, const float *importance, vf mean, int rows, int n,
    float tiny) {
  transpose(x, n, rows, b->source);
  if (importance) transpose(importance, n, rows, b->mass);
  vf extreme = {0};
  for (int i = 0; i < n; i++) {
    vf square = b->source[i] * b->source[i];
    b->mass[i] = importance ? b->mass[i] * __builtin_elementwise_sqrt(mean + square) : square;
    b->pull[i] = -2 * b->mass[i] * b->source[i];
    b->x[i] = b->source[i];
    b->weight[i] = b->mass[i];
    b->place[i] = splat((float)i);
    extreme = GREATER(magnitude(b->source[i]), extreme);
  }
  b->empty = extreme < tiny;
  // What is not looked at shall not look like a case of its own.
  for (int i = 0; i < n; i++) {
    b->x[i] = choose(b->empty, splat(1), b->x[i]);
    b->weight[i] = choose(b->empty, splat(1), b->weight[i]);
  }
}

// By size, those that are equal by their place.
BODY void NAME(split_order)(NAME(split_batch) *b, int n) {
  // Batcher's merging of odd and even places.
  for (int p = 1; p < n; p *= 2) {
    for (int k = p; k >= 1; k /= 2) {
      for (int j = k % p; j + k < n; j += 2 * k) {
        for (int i = j; i < j + k && i + k < n; i++) {
          if (i / (2 * p) != (i + k) / (2 * p)) continue;
          vi swap = (b->x[i] > b->x[i + k]) |
                    ((b->x[i] == b->x[i + k]) & (b->place[i] > b->place[i + k]));
          vf low = b->x[i], weight = b->weight[i], place = b->place[i];
          b->x[i] = choose(swap, b->x[i + k], low);
          b->x[i + k] = choose(swap, low, b->x[i + k]);
          b->weight[i] = choose(swap, b->weight[i + k], weight);
          b->weight[i + k] = choose(swap, weight, b->weight[i + k]);
          b->place[i] = choose(swap, b->place[i + k], place);
          b->place[i + k] = choose(swap, place, b->place[i + k]);
        }
      }
    }
  }
}

BODY void NAME(split_try)(
    NAME(split_batch) *b, vf product, vf square, int first, int second, int shift) {
  vi better = (square > 0) & (product * product > b->best * square);
  if (!ANY(better)) return;
  vf scale = product / square;
  b->scale = choose(better, scale, b->scale);
  b->best = choose(better, scale * product, b->best);
  b->first = choose_int(better, (vi){0} + first, b->first);
  b->second = choose_int(better, (vi){0} + second, b->second);
  b->shift = choose_int(better, (vi){0} + shift, b->shift);
}

// All splits of 32 elements, with one shift.
BODY void NAME(split_whole)(NAME(split_batch) *b) {
  enum { n = 32 };
  vf products[n + 1], masses[n + 1], tails[2][n + 1], squares[2][n + 1];
  products[0] = masses[0] = (vf){0};
  for (int i = 0; i < n; i++) {
    products[i + 1] = products[i] + b->weight[i] * b->x[i];
    masses[i + 1] = masses[i] + b->weight[i];
  }
  for (int i = 0; i <= n; i++) {
    vf product = products[n] - products[i], mass = masses[n] - masses[i];
    tails[0][i] = product * 1.125f;
    tails[1][i] = product * 0.875f;
    squares[0][i] = mass * 1.125f * 1.125f;
    squares[1][i] = mass * 0.875f * 0.875f;
  }
  for (int first = 0; first <= n; first++) {
    vf up = products[first] * -0.875f, down = products[first] * -1.125f;
    vf up_square = masses[first] * -0.875f * -0.875f;
    vf down_square = masses[first] * -1.125f * -1.125f;
    for (int second = first; second <= n; second++) {
      vf middle = (products[second] - products[first]) * 0.125f;
      vf square = (masses[second] - masses[first]) * 0.125f * 0.125f;
      NAME(split_try)(
          b, up + middle + tails[0][second], up_square + square + squares[0][second], first,
          second, 0);
      NAME(split_try)(
          b, down - middle + tails[1][second], down_square + square + squares[1][second], first,
          second, 1);
    }
  }
}

// What the halves of 16 elements give to a split: products and masses of those before it, and
// parts of the sums, of a half and a shift.
typedef struct {
  vf products[2][17], masses[2][17];
  vf firsts[2][2][17], seconds[2][2][17], top[2][2];
} NAME(split_sums);

BODY void NAME(split_prepare)(const NAME(split_batch) *b, NAME(split_sums) *t) {
  for (int h = 0; h < 2; h++) {
    t->products[h][0] = t->masses[h][0] = (vf){0};
    for (int i = 0; i < 16; i++) {
      vi here = h == 0 ? b->place[i] < 8 : b->place[i] >= 8;
      vf product = t->products[h][i], mass = t->masses[h][i];
      t->products[h][i + 1] = choose(here, product + b->weight[i] * b->x[i], product);
      t->masses[h][i + 1] = choose(here, mass + b->weight[i], mass);
    }
    t->top[h][0] = t->products[h][16] * 1.125f;
    t->top[h][1] = t->products[h][16] * 0.875f;
    for (int i = 0; i <= 16; i++) {
      vf mass = t->masses[h][i], all = t->masses[h][16];
      t->firsts[h][0][i] = all * 1.125f * 1.125f + mass * 0.75f;
      t->firsts[h][1][i] = all * 0.875f * 0.875f + mass * 1.25f;
      t->seconds[h][0][i] = mass * -1.25f;
      t->seconds[h][1][i] = mass * -0.75f;
    }
  }
}

// The sums of a split with all four ways to shift the halves.
BODY void NAME(split_four)(
    const NAME(split_sums) *t, int first, int second, vf *products, vf *squares) {
  vf product[2][2], square[2][2];
  UNROLL for (int h = 0; h < 2; h++) {
    vf sum = t->products[h][first] + t->products[h][second];
    UNROLL for (int s = 0; s < 2; s++) {
      product[h][s] = t->top[h][s] - sum;
      square[h][s] = t->firsts[h][s][first] + t->seconds[h][s][second];
    }
  }
  UNROLL for (int s = 0; s < 4; s++) {
    products[s] = product[0][s / 2] + product[1][s % 2];
    squares[s] = square[0][s / 2] + square[1][s % 2];
  }
}

// All splits of 16 elements whose halves have a shift each.
//
// A split is taken where it is better than the one taken before, so the last one that is taken
// comes near to the best. Those that do are found first, by reciprocals that are only nearly right,
// and then gone through as the twin goes through all: the best is better, by far more than
// roundings, than any that is left out, so it does not matter what was taken before it.
BODY void NAME(split_halves)(NAME(split_batch) *b) {
  NAME(split_sums) t;
  vf scores[17 * 18 / 2], products[4], squares[4], most = {0};
  NAME(split_prepare)(b, &t);
  int split = 0;
  for (int first = 0; first <= 16; first++) {
    for (int second = first; second <= 16; second++) {
      vf score = {0};
      NAME(split_four)(&t, first, second, products, squares);
      UNROLL for (int s = 0; s < 4; s++) {
        score = GREATER(products[s] * products[s] * NEAR_INVERSE(squares[s]), score);
      }
      most = GREATER(score, most);
      scores[split++] = score;
    }
  }
  vf mass = t.masses[0][16] + t.masses[1][16];
  // Elsewhere the reciprocals may be far from right.
  vi usual = (mass > 1e-25f) & (mass < 1e25f) & (most > 1e-25f) & (most < 1e25f);
  vf limit = choose(usual, most * 0.999f, splat(0));
  split = 0;
  for (int first = 0; first <= 16; first++) {
    for (int second = first; second <= 16; second++) {
      // NaN is not below the limit either.
      if (!ANY(~(scores[split++] < limit))) continue;
      NAME(split_four)(&t, first, second, products, squares);
      UNROLL for (int s = 0; s < 4; s++) {
        NAME(split_try)(b, products[s], squares[s], first, second, s);
      }
    }
  }
}

// The word that is nearest to a cell's, for one group of one lane.
BODY int NAME(split_point)(
    const NAME(split_batch) *b, int group, int lane, int down, uint32_t cell,
    const struct fathom_grid *grid) {
  NAME(grid_group) g = {
      (const float *)(b->source + 8 * group) + lane, (const float *)(b->mass + 8 * group) + lane,
      (const float *)(b->pull + 8 * group) + lane,
      down ? NAME(split_down) : NAME(split_up),
      down ? NAME(split_down_second) : NAME(split_up_second), grid->lists, 0, {{{0}}}, {{{0}}}};
  float scale = ((const float *)&b->scale)[lane], sum = 0;
  for (int i = 0; i < 8; i++) {
    float most = 1.125f * scale + __builtin_fabsf(g.x[i * LANES]);
    sum += g.weight[i * LANES] * most * most;
  }
  g.margin = (GRID_MARGIN * sum + GRID_LEAST) / scale;
  NAME(grid_tables)(&g, 8);
  int sure;
  return NAME(grid_nearest)(&g, cell, scale, 8, &sure);
}

// Points for all groups, and the scale that is best for them.
BODY void NAME(split_settle)(NAME(split_batch) *b, int n, const struct fathom_grid *grid) {
  vi mirrored = b->scale < 0;
  vf cells[4] = {{0}};
  b->scale = choose(mirrored, -b->scale, b->scale);
  b->shift = choose_int(mirrored, (n == 32 ? 1 : 3) - b->shift, b->shift);
  for (int i = 0; i < n; i++) {
    vi code = ((vi){0} + i >= b->first) & 1;
    code += ((vi){0} + i >= b->second) & 1;
    code = choose_int(mirrored, 2 - code, code);
    vi place = __builtin_convertvector(b->place[i], vi);
    vf part = to_float(code) * LOOK_UP(NAME(split_powers), place & 7, 0);
    for (int group = 0; group < n / 8; group++) {
      cells[group] += choose(place >> 3 == group, part, splat(0));
    }
  }
  vi moved = {0};
  vf product = {0}, square = {0}, codes = load(NAME(split_codes));
  for (int group = 0; group < n / 8; group++) {
    vi down = n == 32 ? b->shift == 1 : group == 0 ? b->shift >= 2 : (b->shift & 1) == 1;
    vi numbers = __builtin_convertvector(cells[group], vi);
    for (int lane = 0; lane < LANES; lane++) {
      b->words[group][lane] = 0;
      if (b->empty[lane] || b->odd[lane]) continue;
      uint32_t cell = grid->cells[numbers[lane]];
      moved[lane] |= cell & 1 ? 0 : -1;
      b->words[group][lane] =
          cell & 1 ? grid->lists[(cell >> 10) * 16]
                   : NAME(split_point)(b, group, lane, down[lane], cell, grid);
    }
    vf shift = choose(down, splat(-0.125f), splat(0.125f));
    UNROLL for (int i = 0; i < 8; i++) {
      vf weighted =
          b->mass[8 * group + i] * (PERMUTE(codes, b->words[group] >> 2 * i) + shift);
      product += weighted * b->source[8 * group + i];
      square += weighted * (PERMUTE(codes, b->words[group] >> 2 * i) + shift);
    }
  }
  vi better = moved & (product > 0) & (square > 0);
  b->scale = choose(better, product / square, b->scale);
  b->odd |= ~b->empty & ~(b->scale >= 0);
}
