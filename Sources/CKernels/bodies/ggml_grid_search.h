// Scale and codes of LANES sub-blocks: the twin of GridSearch.swift, with lanes across sub-blocks,
// and in the choice of points across steps.

enum { RENEW_EVERY, RENEW_EVERY_IF_MOVED, RENEW_MOVED };

// What GridSearch says of a type.
typedef struct {
  int count, elements, levels, last, renewal, fits, even, adds_mean;
  float step, tiny, spread, stretch;
} NAME(grid_kind);

// Steps fill up whole transposes of 8.
enum { GRID_STEPS = 32, MOVED = 1 << 16 };

// Numbers beyond these are the twin's: its sums might overflow, or lose all their digits.
#define GRID_LARGEST 1e9f
#define GRID_HEAVIEST 1e12f
#define GRID_SMALLEST 1e-20f

typedef struct {
  vf x[32], weight[32], root[32], product[32];
  // −2 · root · x, for the tables of groups.
  vf pull[32];
  // The largest element and the largest magnitude.
  vf largest, extreme;
  vi signs[4], empty, odd;
  // First the cells of each step's groups, then their words, with MOVED.
  vi words[GRID_STEPS][8];
  vf scales[GRID_STEPS], margin[8];
  // What was found.
  vf scale;
  vi best[8];
} NAME(grid_batch);

// Elements without their signs, their weights and roots.
BODY void NAME(grid_load)(
    NAME(grid_batch) *b, const float *x, const float *importance, vf mean, int rows,
    const NAME(grid_kind) k) {
  vf source[32];
  transpose(x, k.count, rows, source);
  if (importance) transpose(importance, k.count, rows, b->weight);
  vi seven = (vi){0} + (k.even ? 127 : 255);
  b->extreme = splat(0);
  for (int i = 0; i < k.count; i++) {
    vf square = source[i] * source[i];
    b->weight[i] = importance     ? b->weight[i] * __builtin_elementwise_sqrt(mean + square)
                   : k.adds_mean ? 0.25f * mean + square
                                 : square;
    b->root[i] = __builtin_elementwise_sqrt(b->weight[i]);
    b->extreme = GREATER(magnitude(source[i]), b->extreme);
  }
  for (int group = 0; group < k.count / 8; group++) {
    vi bits = {0}, parity = {0}, place = {0};
    vf least = {0};
    for (int i = 0; i < 8; i++) {
      vf value = source[8 * group + i], loss = b->weight[8 * group + i] * value * value;
      vi negative = ~(value >= 0);
      b->x[8 * group + i] = choose(negative, -value, value);
      bits |= negative & 1 << i;
      parity ^= negative;
      vi less = i == 0 ? ~(vi){0} : loss < least;
      least = choose(less, loss, least);
      place = choose_int(less, (vi){0} + i, place);
    }
    for (int i = 0; k.even && i < 8; i++) {
      vi turned = parity & (place == i);
      b->x[8 * group + i] = choose(turned, -b->x[8 * group + i], b->x[8 * group + i]);
      bits ^= turned & 1 << i;
    }
    b->signs[group] = bits & seven;
  }
  b->largest = b->x[0];
  for (int i = 1; i < k.count; i++) b->largest = GREATER(b->largest, b->x[i]);
  for (int i = 0; i < k.count; i++) {
    b->product[i] = b->weight[i] * b->x[i];
    b->pull[i] = -2 * b->root[i] * b->x[i];
  }
}

// The cells of all groups at a scale's inverse.
BODY void NAME(grid_cells)(
    const NAME(grid_batch) *b, vf inverse, vi *cells, const NAME(grid_kind) k) {
  // All is doubled, which saves halving: the nearest even number is twice the nearest one to a half.
  vf top = splat((float)(2 * (k.levels - 1)));
  for (int group = 0; group < k.count / k.elements; group++) {
    vf cell = {0};
    UNROLL for (int i = k.elements - 1; i >= 0; i--) {
      vf code = ((inverse * b->x[k.elements * group + i] - 1) + 2 * MAGIC) - 2 * MAGIC;
      cell = cell * (float)k.levels + GREATER(LESSER(code, top), splat(0));
    }
    cells[group] = __builtin_convertvector(0.5f * cell, vi);
  }
}

// By how much the sums of each group's points must differ, at scales from `small` to `large`.
BODY void NAME(grid_margins)(
    NAME(grid_batch) *b, vf small, vf large, const NAME(grid_kind) k) {
  for (int group = 0; group < k.count / k.elements; group++) {
    vf sum = {0};
    for (int i = k.elements * group; i < k.elements * (group + 1); i++) {
      vf most = large * (float)(2 * k.levels - 1) + magnitude(b->x[i]);
      sum += b->root[i] * most * most;
    }
    b->margin[group] = (GRID_MARGIN * sum + GRID_LEAST) / small;
  }
}

// Σ w x q and Σ w q² in order.
BODY void NAME(grid_sums)(
    const NAME(grid_batch) *b, const vi *words, vf *product, vf *square,
    const NAME(grid_kind) k) {
  vf values = load(k.elements == 8 ? NAME(grid_first) : NAME(grid_eight)), p = {0}, s = {0};
  int bits = k.elements == 8 ? 2 : 3;
  for (int group = 0; group < k.count / k.elements; group++) {
    UNROLL for (int i = 0; i < k.elements; i++) {
      vf q = PERMUTE(values, words[group] >> bits * i);
      int place = k.elements * group + i;
      p += b->product[place] * q;
      s += b->weight[place] * q * q;
    }
  }
  *product = p;
  *square = s;
}

BODY void NAME(grid_open)(
    const NAME(grid_batch) *b, int group, int lane, const uint16_t *lists, NAME(grid_group) *g,
    const NAME(grid_kind) k) {
  g->x = (const float *)(b->x + k.elements * group) + lane;
  g->weight = (const float *)(b->root + k.elements * group) + lane;
  g->pull = (const float *)(b->pull + k.elements * group) + lane;
  g->first = k.elements == 8 ? NAME(grid_first) : NAME(grid_eight);
  g->second = NAME(grid_second);
  g->lists = lists;
  g->margin = ((const float *)(b->margin + group))[lane];
  NAME(grid_tables)(g, k.elements);
}

// A tile of steps, `stride` floats apart: (steps, LANES) → rows (LANES, GRID_STEPS), or back.
BODY void NAME(grid_to_rows)(const float *tile, size_t stride, int steps, float *rows) {
  for (int step = 0; step < steps; step += 8) {
    for (int lane = 0; lane < LANES; lane += 8) {
      transpose8(
          tile + step * stride + lane, stride, rows + lane * GRID_STEPS + step, GRID_STEPS);
    }
  }
}

BODY void NAME(grid_from_rows)(const float *rows, int steps, float *tile, size_t stride) {
  for (int step = 0; step < steps; step += 8) {
    for (int lane = 0; lane < LANES; lane += 8) {
      transpose8(
          rows + lane * GRID_STEPS + step, GRID_STEPS, tile + step * stride + lane, stride);
    }
  }
}

// Words of `steps` steps of one cell, and anything for what fills up a vector: lanes are steps, and
// the points of the list come one after the other.
BODY void NAME(grid_sweep)(
    const NAME(grid_group) *g, uint32_t cell, const float *scales, int steps, float *words,
    int elements) {
  const uint16_t *list = g->lists + (cell >> 10) * 16;
  int count = cell >> 1 & 511;
  vf lanes = load(NAME(lane_numbers)), endless = splat(__builtin_inff());
  // Bits of words are moved as if they were numbers.
  _Alignas(64) float squares[512], products[512], points[512];
  for (int start = 0; start < count; start += LANES) {
    vi point = WIDEN(list + start);
    vf product = NAME(grid_distances)(g->product, point, elements);
    store(points + start, (vf)(point | MOVED));
    store(squares + start, NAME(grid_distances)(g->square, point, elements));
    // What fills up a list is endlessly far.
    store(products + start, choose(lanes < (float)(count - start), product, endless));
  }
  for (int at = 0; at < steps; at += LANES) {
    vf scale = load(scales + at), best = endless, second = endless, found = {0};
    // Lists of groups of 4 are short.
    const int together = elements == 4 ? 2 : 4;
    for (int i = 0; i < count; i += together) {
      UNROLL for (int j = i; j < i + together; j++) {
        vf sum = __builtin_elementwise_fma(
            scale, NAME(in_all)(squares[j]), NAME(in_all)(products[j]));
        found = choose(sum < best, NAME(in_all)(points[j]), found);
        second = LESSER(GREATER(sum, best), second);
        best = LESSER(sum, best);
      }
    }
    store(words + at, found);
    uint32_t unsure = MASK_BITS(lanes < (float)(steps - at)) &
                      BITS_AT_MOST(second, best + g->margin);
    for (; unsure; unsure &= unsure - 1) {
      int step = at + __builtin_ctz(unsure);
      int32_t word = MOVED | NAME(grid_exact)(g, cell, scales[step], elements);
      __builtin_memcpy(words + step, &word, 4);
    }
  }
}

// cells of all steps → words, for one group of one lane.
BODY void NAME(grid_walk)(
    const NAME(grid_group) *g, const uint32_t *cells, const int32_t *numbers,
    const float *scales, float *words, const NAME(grid_kind) k) {
  int steps = 2 * k.last + 1;
  uint32_t past = 1u << steps;
  for (int first = 0, end; first < steps; first = end) {
    int32_t number = numbers[first];
    uint32_t others = 0;
    for (int at = 0; at < steps; at += LANES) {
      others |= MASK_BITS(*(const vi *)(numbers + at) != number) << at;
    }
    end = __builtin_ctz((others & ~0u << first) | past);
    uint32_t cell = cells[number];
    if (cell & 1) {
      vi word = (vi){0} + g->lists[(cell >> 10) * 16];
      for (int i = first; i < end; i += LANES) store(words + i, (vf)word);
    } else if (end == first + 1 || (int)(cell >> 1 & 511) > 16 * (end - first)) {
      for (int i = first, sure; i < end; i++) {
        int32_t word = MOVED | NAME(grid_nearest)(g, cell, scales[i], k.elements, &sure);
        __builtin_memcpy(words + i, &word, 4);
      }
    } else {
      NAME(grid_sweep)(g, cell, scales + first, end - first, words + first, k.elements);
    }
  }
}

// The same for all groups of the lanes that are asked for.
BODY void NAME(grid_walks)(
    NAME(grid_batch) *b, uint32_t lanes, const struct fathom_grid *grid,
    const NAME(grid_kind) k) {
  _Alignas(64) float cells[LANES * GRID_STEPS];
  // Steps of one cell are read and written in whole vectors, beyond the end of the last row too.
  _Alignas(64) float scales[LANES * (GRID_STEPS + 1)], words[LANES * (GRID_STEPS + 1)];
  int steps = 2 * k.last + 1;
  NAME(grid_to_rows)((const float *)b->scales, LANES, GRID_STEPS, scales);
  store(scales + LANES * GRID_STEPS, b->scales[0]);
  for (int group = 0; group < k.count / k.elements; group++) {
    float *tile = (float *)&b->words[0][group];
    NAME(grid_to_rows)(tile, 8 * LANES, steps, cells);
    for (uint32_t left = lanes; left; left &= left - 1) {
      int lane = __builtin_ctz(left), row = lane * GRID_STEPS;
      NAME(grid_group) g;
      NAME(grid_open)(b, group, lane, grid->lists, &g, k);
      NAME(grid_walk)(
          &g, grid->cells, (const int32_t *)cells + row, scales + row, words + row, k);
    }
    NAME(grid_from_rows)(words, steps, tile, 8 * LANES);
  }
}

// Groups that are chosen anew with the scale that was found, and the scale after that.
BODY void NAME(grid_renew)(
    NAME(grid_batch) *b, const struct fathom_grid *grid, vi moved, const NAME(grid_kind) k) {
  vi renewed = (b->scale > 0) & ~b->empty & ~b->odd;
  if (k.renewal != RENEW_EVERY) renewed &= moved != 0;
  if (!ANY(renewed)) return;
  b->odd |= renewed & ~(b->scale * 1e6f > b->extreme);
  vi cells[8];
  NAME(grid_cells)(b, 1 / b->scale, cells, k);
  NAME(grid_margins)(b, b->scale, b->scale, k);
  for (int group = 0; group < k.count / k.elements; group++) {
    vi chosen = renewed & ~b->odd;
    if (k.renewal == RENEW_MOVED) chosen &= (b->best[group] & MOVED) != 0;
    int32_t *words = (int32_t *)(b->best + group);
    for (uint32_t left = MASK_BITS(chosen); left; left &= left - 1) {
      int lane = __builtin_ctz(left), sure;
      uint32_t cell = grid->cells[((const int32_t *)(cells + group))[lane]];
      if (cell & 1) {
        words[lane] = grid->lists[(cell >> 10) * 16];
        continue;
      }
      NAME(grid_group) g;
      NAME(grid_open)(b, group, lane, grid->lists, &g, k);
      words[lane] = NAME(grid_nearest)(
          &g, cell, ((const float *)&b->scale)[lane], k.elements, &sure);
    }
  }
  vf product, square;
  NAME(grid_sums)(b, b->best, &product, &square, k);
  b->scale = choose(renewed & (square > 0), product / square, b->scale);
}

// Scale, words and signs of the sub-blocks that are loaded.
BODY void NAME(grid_search)(
    NAME(grid_batch) *b, const struct fathom_grid *grid, const NAME(grid_kind) k) {
  int groups = k.count / k.elements, steps = 2 * k.last + 1;
  float top = (float)(2 * k.levels - 1);
  vf range = b->largest, start = b->largest / top, best = {0};
  b->empty = b->largest < k.tiny;
  if (k.fits) {
    vi codes[32];
    start = NAME(positive_search)(b->x, b->weight, k.count, k.levels + 1, codes);
    range = start * (float)k.levels;
    b->empty |= range <= 0;
  }
  b->odd |= ~b->empty & ~((b->largest > GRID_SMALLEST) & (range * 1e5f > b->extreme));
  for (int t = 0; t < steps; t++) {
    vf inverse = (top + (float)(t - k.last) * k.step) / range;
    b->scales[t] = 1 / inverse;
    NAME(grid_cells)(b, inverse, b->words[t], k);
  }
  // What fills up vectors of steps is computed too, and must not be slow.
  for (int t = steps; t < GRID_STEPS; t++) b->scales[t] = b->scales[0];
  NAME(grid_margins)(b, b->scales[steps - 1], b->scales[0], k);
  uint32_t lanes = MASK_BITS(~b->empty & ~b->odd);
  NAME(grid_walks)(b, lanes, grid, k);
  vi moved = (vi){0} + (k.renewal == RENEW_EVERY_IF_MOVED);
  for (int group = 0; group < groups; group++) b->best[group] = (vi){0};
  b->scale = start;
  for (int t = 0; t < steps; t++) {
    vf product, square;
    NAME(grid_sums)(b, b->words[t], &product, &square, k);
    vi better = (square > 0) & (product * product > best * square);
    if (!ANY(better)) continue;
    vf scale = product / square;
    b->scale = choose(better, scale, b->scale);
    best = choose(better, scale * product, best);
    vi now = {0};
    for (int group = 0; group < groups; group++) {
      b->best[group] = choose_int(better, b->words[t][group], b->best[group]);
      now |= b->words[t][group] & MOVED;
    }
    moved = choose_int(better, now, moved);
  }
  NAME(grid_renew)(b, grid, moved, k);
  vi negative = b->scale < 0;
  b->scale = choose(negative, -b->scale, b->scale);
  for (int i = 0; i < k.count / 8; i++) b->signs[i] ^= negative & (k.even ? 127 : 255);
  b->odd |= ~b->empty & ~(b->scale >= 0);
}
