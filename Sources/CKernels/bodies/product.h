// The inner loops of a matrix product, for LANES floats per vector and BLOCK_ROWS rows of the left
// matrix: two vectors of the panel against each row, in 2 · BLOCK_ROWS accumulators.
//
// Each element is one chain of fused multiply-adds in ascending order, whatever the level, so all
// levels give the same bits.

typedef float lanes __attribute__((ext_vector_type(LANES), aligned(4)));
enum { PANEL = 2 * LANES };

BODY void multiply_rows(
    const size_t rows, const float *left, size_t apart, const float *panel, size_t depth, float *c,
    size_t stride, int add) {
  // A processor adds once or twice a distance to an address as it reads.
  const float *group[BLOCK_ROWS / 3] = {left};
  UNROLL for (size_t g = 1; g < BLOCK_ROWS / 3; g++) group[g] = group[g - 1] + 3 * apart;
  lanes sums[BLOCK_ROWS][2];
  UNROLL for (size_t r = 0; r < rows; r++) {
    sums[r][0] = sums[r][1] = (lanes)(0.0f);
    // The rows of c lie far apart and come from a slower cache; they are wanted at the end.
    for (size_t j = 0; j < PANEL; j += 16) __builtin_prefetch(c + r * stride + j, 1);
  }
  for (size_t k = 0; k < depth; k++) {
    lanes b0 = *(const lanes *)(panel + k * PANEL);
    lanes b1 = *(const lanes *)(panel + k * PANEL + LANES);
    UNROLL for (size_t r = 0; r < rows; r++) {
      lanes a = (lanes)(group[r / 3][r % 3 * apart + k]);
      sums[r][0] = __builtin_elementwise_fma(a, b0, sums[r][0]);
      sums[r][1] = __builtin_elementwise_fma(a, b1, sums[r][1]);
    }
  }
  UNROLL for (size_t r = 0; r < rows; r++) {
    lanes *out = (lanes *)(c + r * stride);
    out[0] = add ? out[0] + sums[r][0] : sums[r][0];
    out[1] = add ? out[1] + sums[r][1] : sums[r][1];
  }
}

// As many rows as there are, each number of them with accumulators in registers.
static void NAME(multiply_full)(
    const float *left, size_t apart, size_t rows, const float *panel, size_t depth, float *c,
    size_t stride, int add) {
#define CASE(n) \
  case n: return multiply_rows(n, left, apart, panel, depth, c, stride, add)
  switch (rows) {
    CASE(1);
    CASE(2);
    CASE(3);
    CASE(4);
    CASE(5);
    CASE(6);
#if BLOCK_ROWS == 12
    CASE(7);
    CASE(8);
    CASE(9);
    CASE(10);
    CASE(11);
    CASE(12);
#endif
  }
#undef CASE
}

static void NAME(multiply)(
    const float *left, size_t apart, size_t rows, const float *panel, size_t columns,
    size_t depth, float *c, size_t stride, int add) {
  if (columns == PANEL) {
    return NAME(multiply_full)(left, apart, rows, panel, depth, c, stride, add);
  }
  float edge[BLOCK_ROWS * PANEL];
  NAME(multiply_full)(left, apart, rows, panel, depth, edge, PANEL, 0);
  for (size_t r = 0; r < rows; r++) {
    for (size_t j = 0; j < columns; j++) {
      float sum = edge[r * PANEL + j];
      c[r * stride + j] = add ? c[r * stride + j] + sum : sum;
    }
  }
}

// Transposes LANES × LANES values: each perfect shuffle of the rows moves one bit of the row
// number to the column number.
BODY void transpose(lanes rows[LANES]) {
  UNROLL for (int bit = 1; bit < LANES; bit *= 2) {
    lanes next[LANES];
    UNROLL for (int i = 0; i < LANES / 2; i++) {
      next[2 * i] = ZIP_LOW(rows[i], rows[i + LANES / 2]);
      next[2 * i + 1] = ZIP_HIGH(rows[i], rows[i + LANES / 2]);
    }
    UNROLL for (int i = 0; i < LANES; i++) rows[i] = next[i];
  }
}

static void NAME(pack_transposed)(
    const float *b, size_t stride, size_t columns, size_t depth, float *panel) {
  size_t whole = depth / LANES * LANES;
  for (size_t first = 0; first < PANEL; first += LANES) {
    size_t count = columns < first ? 0 : columns - first;
    for (size_t k = 0; k < whole; k += LANES) {
      lanes rows[LANES];
      UNROLL for (size_t r = 0; r < LANES; r++) {
        rows[r] = r < count ? *(const lanes *)(b + (first + r) * stride + k) : (lanes)(0.0f);
      }
      transpose(rows);
      UNROLL for (size_t r = 0; r < LANES; r++) {
        *(lanes *)(panel + (k + r) * PANEL + first) = rows[r];
      }
    }
    for (size_t k = whole; k < depth; k++) {
      for (size_t r = 0; r < LANES; r++) {
        panel[k * PANEL + first + r] = r < count ? b[(first + r) * stride + k] : 0;
      }
    }
  }
}

static void NAME(pack_straight)(
    const float *b, size_t stride, size_t columns, size_t depth, float *panel) {
  for (size_t k = 0; k < depth; k++) {
    for (size_t j = 0; j < PANEL; j++) {
      panel[k * PANEL + j] = j < columns ? b[k * stride + j] : 0;
    }
  }
}
