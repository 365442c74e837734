// The point of a grid that is nearest to a group of 8 or 4 elements, one of those in a list.
//
// The twin adds up w · (scale · q − x)² in order, point by point. Here lanes are points, or scales,
// and the sum is taken as scale · Σ w q² − 2 Σ w q x, where a few look-ups in tables of the group
// give the parts. That is not the twin's number, so it decides only where the nearest point is
// nearer than the next by more than both roundings together; otherwise the twin's sum is taken.

// 16 numbers, for two codes of 2 bits or one of 3.
enum { TABLE_PARTS = 16 / LANES };

// How far apart two sums must be, in terms of Σ w (scale · q + |x|)². With u = 2⁻²⁴ the twin's sum
// is wrong by 13 u of that at the most (4 for the difference, 2 for its square, 7 for adding up),
// the one here by 6 u (3 in the tables, 2 for adding up, 1 for the scale): for two points 38 u.
#define GRID_MARGIN 2.5e-6f
// The same where numbers are so small that roundings are absolute.
#define GRID_LEAST 1e-40f

static const float NAME(grid_first)[16] = {1, 3, 5, 7, 1, 3, 5, 7, 1, 3, 5, 7, 1, 3, 5, 7};
static const float NAME(grid_second)[16] = {1, 1, 1, 1, 3, 3, 3, 3, 5, 5, 5, 5, 7, 7, 7, 7};
static const float NAME(grid_eight)[16] = {1, 3, 5, 7, 9, 11, 13, 15, 1, 3, 5, 7, 9, 11, 13, 15};

static const float NAME(lane_numbers)[16] = {0, 1, 2,  3,  4,  5,  6,  7,
                                             8, 9, 10, 11, 12, 13, 14, 15};

// A number in all lanes. (`splat` adds it to zeros.)
BODY vf NAME(in_all)(float value) {
  vf all;
  UNROLL for (int lane = 0; lane < LANES; lane++) all[lane] = value;
  return all;
}

// A group: elements and their weights, a stride of LANES apart, and its tables.
typedef struct {
  const float *x, *weight;
  // −2 · weight · x.
  const float *pull;
  // Values of the codes: of 8 elements the first and the second of a pair, of 4 each.
  const float *first, *second;
  const uint16_t *lists;
  float margin;
  vf square[4][TABLE_PARTS], product[4][TABLE_PARTS];
} NAME(grid_group);

BODY void NAME(grid_tables)(NAME(grid_group) *g, int elements) {
  UNROLL for (int i = 0; i < 4; i++) {
    UNROLL for (int part = 0; part < TABLE_PARTS; part++) {
      if (elements == 8) {
        vf a = NAME(in_all)(g->weight[2 * i * LANES]);
        vf b = NAME(in_all)(g->weight[(2 * i + 1) * LANES]);
        vf ax = NAME(in_all)(g->pull[2 * i * LANES]);
        vf bx = NAME(in_all)(g->pull[(2 * i + 1) * LANES]);
        vf p = load(g->first + LANES * part), q = load(g->second + LANES * part);
        g->square[i][part] = __builtin_elementwise_fma(a, p * p, b * (q * q));
        g->product[i][part] = __builtin_elementwise_fma(ax, p, bx * q);
      } else if (part == 0) {
        vf q = load(g->first);
        g->square[i][0] = NAME(in_all)(g->weight[i * LANES]) * (q * q);
        g->product[i][0] = NAME(in_all)(g->pull[i * LANES]) * q;
      }
    }
  }
}

// What the tables say of words, one to a lane.
BODY vf NAME(grid_distances)(const vf (*table)[TABLE_PARTS], vi words, int elements) {
  if (elements == 8) {
    return (PERMUTE_16(table[0], words) + PERMUTE_16(table[1], words >> 4)) +
           (PERMUTE_16(table[2], words >> 8) + PERMUTE_16(table[3], words >> 12));
  }
  return (PERMUTE(table[0][0], words) + PERMUTE(table[1][0], words >> 3)) +
         (PERMUTE(table[2][0], words >> 6) + PERMUTE(table[3][0], words >> 9));
}

// The twin's choice by the twin's sums.
static __attribute__((noinline)) int NAME(grid_exact)(
    const NAME(grid_group) *g, uint32_t cell, float scale, int elements) {
  const uint16_t *list = g->lists + (cell >> 10) * 16;
  int count = cell >> 1 & 511, found = list[0], bits = elements == 8 ? 2 : 3;
  float best = 3.40282347e38f;
  vf q = load(g->first);
  for (int start = 0; start < count; start += LANES) {
    vi words = WIDEN(list + start);
    vf sum = {0};
    for (int i = 0; i < elements; i++) {
      vf difference = scale * PERMUTE(q, words >> bits * i) - g->x[i * LANES];
      sum += g->weight[i * LANES] * difference * difference;
    }
    sum = choose(load(NAME(lane_numbers)) < (float)(count - start), sum, splat(3.40282347e38f));
    float least = LEAST(sum);
    if (least < best) {
      best = least;
      found = list[start + __builtin_ctz(BITS_AT_MOST(sum, NAME(in_all)(least)))];
    }
  }
  return found;
}

// The nearest point; *sure where it is so by more than the margin.
BODY int NAME(grid_nearest)(
    const NAME(grid_group) *g, uint32_t cell, float scale, int elements, int *sure) {
  const uint16_t *list = g->lists + (cell >> 10) * 16;
  int count = cell >> 1 & 511, place = 0;
  uint32_t bits;
  vf table[4][TABLE_PARTS], last = splat(__builtin_inff());
  UNROLL for (int i = 0; i < 4; i++) {
    UNROLL for (int part = 0; part < (elements == 8 ? TABLE_PARTS : 1); part++) {
      table[i][part] =
          __builtin_elementwise_fma(NAME(in_all)(scale), g->square[i][part], g->product[i][part]);
    }
  }
  vf lanes = load(NAME(lane_numbers));
  if (count <= LANES) {
    last = choose(lanes < (float)count, NAME(grid_distances)(table, WIDEN(list), elements), last);
    bits = BITS_AT_MOST(last, NAME(in_all)(LEAST(last) + g->margin));
  } else {
    vf sums[512 / LANES], least = last;
    int start = 0, seen = 0;
    for (; start + LANES < count; start += LANES) {
      vf sum = NAME(grid_distances)(table, WIDEN(list + start), elements);
      least = LESSER(sum, least);
      sums[start / LANES] = sum;
    }
    vf sum = NAME(grid_distances)(table, WIDEN(list + start), elements);
    sums[start / LANES] = choose(lanes < (float)(count - start), sum, last);
    vf limit = NAME(in_all)(LEAST(LESSER(sums[start / LANES], least)) + g->margin);
    bits = 0;
    for (start = 0; start < count; start += LANES) {
      uint32_t here = BITS_AT_MOST(sums[start / LANES], limit);
      if (!here) continue;
      seen++;
      bits = here;
      place = start;
    }
    if (seen != 1) bits = 0;
  }
  *sure = bits && !(bits & (bits - 1));
  return *sure ? list[place + __builtin_ctz(bits)]
               : NAME(grid_exact)(g, cell, scale, elements);
}
