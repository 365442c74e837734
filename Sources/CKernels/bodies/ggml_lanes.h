// Vectors whose lanes are sub-blocks: each lane goes through the plain twin's steps in its order,
// so nothing is reassociated and every byte agrees. Included once per level, with LANES set.
#pragma clang fp contract(off)

typedef float vf __attribute__((vector_size(4 * LANES)));
typedef int32_t vi __attribute__((vector_size(4 * LANES)));
typedef float vf_any __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

// Below this magnitude a sub-block counts as all zero.
#define TINY 1e-15f
// 1.5 · 2²³: adding it leaves the nearest integer in the lowest bits.
#define MAGIC 12582912.0f
// The largest magnitude for which that gives the nearest integer.
#define MAGIC_LIMIT 4194303.0f

BODY vf splat(float value) { return (vf){0} + value; }
BODY vf load(const float *at) { return *(const vf_any *)at; }
BODY void store(float *at, vf value) { *(vf_any *)at = value; }

// mask ? a : b for each lane.
BODY vf choose(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); }
BODY vi choose_int(vi mask, vi a, vi b) { return (mask & a) | (~mask & b); }
BODY vf magnitude(vf x) { return (vf)((vi)x & 0x7FFFFFFF); }

// The operand order of the twin's comparisons: it decides which zero and which NaN survives.
BODY vf smaller(vf x, vf than) { return choose(x < than, x, than); }
BODY vf larger(vf x, vf than) { return choose(x > than, x, than); }

// The twin's nearest integer, garbage beyond MAGIC_LIMIT included.
BODY vi nearest_int(vf x) { return ((vi)(x + MAGIC) & 0x007FFFFF) - 0x00400000; }
BODY vf to_float(vi x) { return __builtin_convertvector(x, vf); }
BODY vi bounded_int(vi x, int low, int high) {
  vi a = choose_int(x < high, x, (vi){0} + high);
  return choose_int(a > low, a, (vi){0} + low);
}

// How codes are found. IDLE: the ends of the range were seen to need no bounds; BOUNDED: they do;
// EXACT: some lane leaves the range of the nearest integer, so its garbage must be reproduced.
enum { IDLE, BOUNDED, EXACT };

BODY vf code_of(vf x, float low, float high, int how) {
  if (how == EXACT) return to_float(bounded_int(nearest_int(x), (int)low, (int)high));
  // Zeros may be negative, which no sum of codes shows.
  vf code = __builtin_elementwise_roundeven(x);
  if (how == IDLE) return code;
  return larger(smaller(code, splat(high)), splat(low));
}

// rows of 8 → 8 vectors of a column each, `out_step` floats apart.
BODY void transpose8(const float *in, size_t in_step, float *out, size_t out_step) {
  typedef float v8 __attribute__((vector_size(32)));
  typedef float v8_any __attribute__((vector_size(32), aligned(4), may_alias));
  v8 a[8], b[8];
  for (int i = 0; i < 8; i++) a[i] = *(const v8_any *)(in + i * in_step);
  for (int i = 0; i < 4; i++) {
    b[2 * i] = __builtin_shufflevector(a[2 * i], a[2 * i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    b[2 * i + 1] = __builtin_shufflevector(a[2 * i], a[2 * i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  for (int i = 0; i < 2; i++) {
    for (int j = 0; j < 2; j++) {
      v8 low = b[4 * i + j], high = b[4 * i + j + 2];
      a[4 * i + 2 * j] = __builtin_shufflevector(low, high, 0, 1, 8, 9, 4, 5, 12, 13);
      a[4 * i + 2 * j + 1] = __builtin_shufflevector(low, high, 2, 3, 10, 11, 6, 7, 14, 15);
    }
  }
  for (int i = 0; i < 4; i++) {
    *(v8_any *)(out + i * out_step) =
        __builtin_shufflevector(a[i], a[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    *(v8_any *)(out + (i + 4) * out_step) =
        __builtin_shufflevector(a[i], a[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

// x (LANES, n) → tile (n), one lane per row. Rows from `rows` on are not there and read as zero.
BODY void transpose(const float *x, int n, int rows, vf *tile) {
  float *out = (float *)tile;
  for (int row = 0; row < LANES; row += 8) {
    for (int column = 0; column < n; column += 8) {
      float *target = out + column * LANES + row;
      if (row < rows) {
        transpose8(x + row * n + column, n, target, LANES);
      } else {
        for (int i = 0; i < 8; i++) __builtin_memset(target + i * LANES, 0, 32);
      }
    }
  }
}

// Lanes whose elements are not all finite numbers.
BODY vi not_finite(const vf *x, int n) {
  vi largest = {0};
  for (int i = 0; i < n; i++) {
    vi bits = (vi)x[i] & 0x7FFFFFFF;
    largest = choose_int(bits > largest, bits, largest);
  }
  return largest >= 0x7F800000;
}

// The first of the elements with the largest magnitude.
BODY vf extreme_of(const vf *x, int n) {
  vf largest = {0}, extreme = {0};
  for (int i = 0; i < n; i++) {
    vf size = magnitude(x[i]);
    vi more = size > largest;
    largest = choose(more, size, largest);
    extreme = choose(more, x[i], extreme);
  }
  return extreme;
}

// `wanted` runs of n numbers: x itself, or where it has fewer a copy that zeros fill up.
BODY const float *NAME(whole_group)(
    const float *x, int n, int count, int wanted, float *spare) {
  if (count == wanted) return x;
  __builtin_memcpy(spare, x, sizeof(float) * (size_t)(n * count));
  __builtin_memset(spare + n * count, 0, sizeof(float) * (size_t)(n * (wanted - count)));
  return spare;
}
