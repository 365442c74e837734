// Scale and codes of LANES sub-blocks of IQ1: the twin of SplitSearch.swift, with lanes across
// sub-blocks but for the choice of points.

typedef struct {
  // In ascending order: elements, their weights and places.
  vf x[32], weight[32];
  vi place[32];
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
// What a code counts in a cell, by the place of its element in two groups, whose cells are the
// lower and the upper half of a number.
static const int32_t NAME(split_powers)[16] = {
    1,       3,       9,       27,       81,       243,       729,       2187,
    1 << 16, 3 << 16, 9 << 16, 27 << 16, 81 << 16, 243 << 16, 729 << 16, 2187 << 16};
// The cells of two groups whose codes are all 2.
enum { SPLIT_TOP = 6560 | 6560 << 16 };
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
    b->place[i] = (vi){0} + i;
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
      for (int i = k & (p - 1); i + k < n; i++) {
        // Runs of k places, each k apart from the next, within one merging.
        int j = i + k;
        if (((i - (k & (p - 1))) & k) || ((i ^ j) & -(2 * p))) continue;
        vf low = b->x[i], high = b->x[j], weight = b->weight[i], other = b->weight[j];
        vi place = b->place[i], next = b->place[j];
        vi swap = (low > high) | ((low == high) & (place > next));
        b->x[i] = choose(swap, high, low);
        b->x[j] = choose(swap, low, high);
        b->weight[i] = choose(swap, other, weight);
        b->weight[j] = choose(swap, weight, other);
        b->place[i] = choose_int(swap, next, place);
        b->place[j] = choose_int(swap, place, next);
      }
    }
  }
}

// The sums of a split with `count` ways to shift it, of which each that is better is taken.
BODY void NAME(split_try)(
    NAME(split_batch) *b, const vf *products, const vf *squares, int count, int first,
    int second) {
  vi any = {0};
  for (int s = 0; s < count; s++) {
    any |= (squares[s] > 0) & (products[s] * products[s] > b->best * squares[s]);
  }
  if (!ANY(any)) return;
  for (int s = 0; s < count; s++) {
    vi better = (squares[s] > 0) & (products[s] * products[s] > b->best * squares[s]);
    vf scale = products[s] / squares[s];
    b->scale = choose(better, scale, b->scale);
    b->best = choose(better, scale * products[s], b->best);
    b->first = choose_int(better, (vi){0} + first, b->first);
    b->second = choose_int(better, (vi){0} + second, b->second);
    b->shift = choose_int(better, (vi){0} + s, b->shift);
  }
}

// What the two places of a split, the first and the second, give to its sums, for each way to shift.
typedef struct {
  vf products[33];
  vf ups[33][4], masses[33][4], downs[33][4];
} NAME(split_parts);

// The splits of n elements that may be the best with one of `ways` to shift, in order.
//
// A split is taken where it is better than the one taken before, so the last one that is taken
// comes near to the best. Those that do are found by reciprocals that are only nearly right, and
// the caller goes through them as the twin goes through all: the best is better, by far more than
// roundings, than any that is left out, so it does not matter what was taken before it.
BODY int NAME(split_near)(
    const NAME(split_parts) *p, vf mass, int n, int ways, uint8_t *firsts, uint8_t *seconds) {
  enum { each = 8, most_groups = 71 };
  int groups = ((n + 1) * (n + 2) / 2 + each - 1) / each, first = 0, second = 0;
  vf scores[most_groups][each], tops[most_groups], most = {0};
  uint8_t places[most_groups * each][2];
  for (int group = 0; group < groups; group++) {
    vf top = {0};
    for (int i = 0; i < each; i++) {
      vf score = {0};
      UNROLL for (int s = 0; s < ways; s++) {
        vf sum = p->products[second] - p->ups[first][s];
        vf square = p->masses[first][s] + p->downs[second][s];
        score = GREATER(sum * sum * NEAR_INVERSE(square), score);
      }
      top = GREATER(score, top);
      scores[group][i] = score;
      places[each * group + i][0] = (uint8_t)first;
      places[each * group + i][1] = (uint8_t)second;
      // The last split fills up the last group.
      int ends = second == n;
      first += ends & (first < n);
      second = ends ? first : second + 1;
    }
    tops[group] = top;
    most = GREATER(top, most);
  }
  // Elsewhere the reciprocals may be far from right.
  vi usual = (mass > 1e-25f) & (mass < 1e25f) & (most > 1e-25f) & (most < 1e25f);
  vf limit = choose(usual, most * 0.999f, splat(0));
  // Lists grow without branches, which nothing would predict. NaN is not below the limit either.
  uint8_t near[most_groups];
  int found = 0, count = 0;
  for (int group = 0; group < groups; group++) {
    near[found] = (uint8_t)group;
    found += ANY(~(tops[group] < limit));
  }
  for (int g = 0; g < found; g++) {
    for (int i = 0; i < each; i++) {
      firsts[count] = places[each * near[g] + i][0];
      seconds[count] = places[each * near[g] + i][1];
      count += ANY(~(scores[near[g]][i] < limit));
    }
  }
  return count;
}

// All splits of 32 elements, with one shift.
BODY void NAME(split_whole)(NAME(split_batch) *b) {
  enum { n = 32 };
  static const float shifts[2][3] = {{-0.875f, 0.125f, 1.125f}, {-1.125f, -0.125f, 0.875f}};
  NAME(split_parts) parts;
  vf products[n + 1], masses[n + 1];
  uint8_t firsts[568], seconds[568];
  products[0] = masses[0] = (vf){0};
  for (int i = 0; i < n; i++) {
    products[i + 1] = products[i] + b->weight[i] * b->x[i];
    masses[i + 1] = masses[i] + b->weight[i];
  }
  for (int i = 0; i <= n; i++) {
    parts.products[i] = products[i];
    UNROLL for (int s = 0; s < 2; s++) {
      float low = shifts[s][0], middle = shifts[s][1], high = shifts[s][2];
      parts.ups[i][s] = products[n] * high - products[i];
      parts.masses[i][s] =
          masses[n] * (high * high) + masses[i] * (low * low - middle * middle);
      parts.downs[i][s] = masses[i] * (middle * middle - high * high);
    }
  }
  int count = NAME(split_near)(&parts, masses[n], n, 2, firsts, seconds);
  for (int i = 0; i < count; i++) {
    vf product = products[n] - products[seconds[i]], mass = masses[n] - masses[seconds[i]];
    vf sums[2], squares[2];
    UNROLL for (int s = 0; s < 2; s++) {
      float low = shifts[s][0], middle = shifts[s][1], high = shifts[s][2];
      sums[s] = products[firsts[i]] * low +
                (products[seconds[i]] - products[firsts[i]]) * middle + product * high;
      squares[s] = masses[firsts[i]] * low * low +
                   (masses[seconds[i]] - masses[firsts[i]]) * middle * middle +
                   mass * high * high;
    }
    NAME(split_try)(b, sums, squares, 2, firsts[i], seconds[i]);
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
BODY void NAME(split_halves)(NAME(split_batch) *b) {
  NAME(split_sums) t;
  NAME(split_parts) parts;
  uint8_t firsts[160], seconds[160];
  NAME(split_prepare)(b, &t);
  for (int i = 0; i <= 16; i++) {
    parts.products[i] = t.products[0][i] + t.products[1][i];
    UNROLL for (int s = 0; s < 4; s++) {
      parts.ups[i][s] = t.top[0][s / 2] + t.top[1][s % 2] - parts.products[i];
      parts.masses[i][s] = t.firsts[0][s / 2][i] + t.firsts[1][s % 2][i];
      parts.downs[i][s] = t.seconds[0][s / 2][i] + t.seconds[1][s % 2][i];
    }
  }
  vf mass = t.masses[0][16] + t.masses[1][16];
  int count = NAME(split_near)(&parts, mass, 16, 4, firsts, seconds);
  for (int i = 0; i < count; i++) {
    vf products[4], squares[4];
    NAME(split_four)(&t, firsts[i], seconds[i], products, squares);
    NAME(split_try)(b, products, squares, 4, firsts[i], seconds[i]);
  }
}

// The word that is nearest to a cell's, for one group of one lane.
BODY int NAME(split_point)(
    const NAME(split_batch) *b, int group, int lane, int down, float margin, uint32_t cell,
    const struct fathom_grid *grid) {
  NAME(grid_group) g = {
      (const float *)(b->source + 8 * group) + lane, (const float *)(b->mass + 8 * group) + lane,
      (const float *)(b->pull + 8 * group) + lane,
      down ? NAME(split_down) : NAME(split_up),
      down ? NAME(split_down_second) : NAME(split_up_second), grid->lists, margin,
      {{{0}}}, {{{0}}}};
  NAME(grid_tables)(&g, 8);
  int sure;
  return NAME(grid_nearest)(&g, cell, ((const float *)&b->scale)[lane], 8, &sure);
}

// The cells of all groups, two in a number.
BODY void NAME(split_cells)(const NAME(split_batch) *b, int n, vi mirrored, vi *cells) {
  vf powers[TABLE_PARTS];
  for (int part = 0; part < TABLE_PARTS; part++) {
    powers[part] = load((const float *)NAME(split_powers) + LANES * part);
  }
  for (int pair = 0; pair < n / 16; pair++) cells[pair] = (vi){0};
  for (int i = 0; i < n; i++) {
    vi power = (vi)PERMUTE_16(powers, b->place[i]);
    vi part = (power & (b->first <= i)) + (power & (b->second <= i));
    for (int pair = 0; pair < n / 16; pair++) {
      cells[pair] += n == 16 ? part : part & (b->place[i] >> 4 == pair);
    }
  }
  for (int pair = 0; pair < n / 16; pair++) {
    cells[pair] = choose_int(mirrored, SPLIT_TOP - cells[pair], cells[pair]);
  }
}

// Points for all groups, and the scale that is best for them.
BODY void NAME(split_settle)(NAME(split_batch) *b, int n, const struct fathom_grid *grid) {
  vi mirrored = b->scale < 0, cells[2], moved = {0};
  vf product = {0}, square = {0}, codes = load(NAME(split_codes));
  b->scale = choose(mirrored, -b->scale, b->scale);
  b->shift = choose_int(mirrored, (n == 32 ? 1 : 3) - b->shift, b->shift);
  NAME(split_cells)(b, n, mirrored, cells);
  vi asked = ~(b->empty | b->odd);
  for (int group = 0; group < n / 8; group++) {
    vi down = n == 32 ? b->shift == 1 : group == 0 ? b->shift >= 2 : (b->shift & 1) == 1;
    vi numbers = (group % 2 ? cells[group / 2] >> 16 : cells[group / 2] & 0xFFFF) & asked;
    vi here, words;
    for (int lane = 0; lane < LANES; lane++) {
      here[lane] = (int32_t)grid->cells[numbers[lane]];
      words[lane] = grid->lists[((uint32_t)here[lane] >> 10) * 16];
    }
    vi off = asked & ((here & 1) == 0);
    vf margin = {0};
    for (int i = 8 * group; i < 8 * group + 8; i++) {
      vf most = 1.125f * b->scale + magnitude(b->source[i]);
      margin += b->mass[i] * most * most;
    }
    margin = (GRID_MARGIN * margin + GRID_LEAST) / b->scale;
    for (uint32_t left = MASK_BITS(off); left; left &= left - 1) {
      int lane = __builtin_ctz(left);
      words[lane] = NAME(split_point)(
          b, group, lane, down[lane], margin[lane], (uint32_t)here[lane], grid);
    }
    moved |= off;
    b->words[group] = words & asked;
    vf shift = choose(down, splat(-0.125f), splat(0.125f));
    UNROLL for (int i = 0; i < 8; i++) {
      vf q = PERMUTE(codes, words >> 2 * i) + shift, weighted = b->mass[8 * group + i] * q;
      product += weighted * b->source[8 * group + i];
      square += weighted * q;
    }
  }
  vi better = moved & (product > 0) & (square > 0);
  b->scale = choose(better, product / square, b->scale);
  b->odd |= ~b->empty & ~(b->scale >= 0);
}
