// BLAKE3 of LANES messages of equal length at once: lane i holds message i. A file includes this
// once per width, with LANES, NAME, ZIP_LOW and ZIP_HIGH, and a target attribute around it.

typedef uint32_t NAME(words) __attribute__((vector_size(4 * LANES)));
typedef uint32_t NAME(stored_words) __attribute__((vector_size(4 * LANES), aligned(1), may_alias));

// LANES vectors as rows of a square → its columns: each step moves the highest bit of the row's
// number to the lowest of the column's, and as many steps as the number has bits exchange the two.
static inline __attribute__((always_inline)) void NAME(transpose)(NAME(words) * rows) {
  for (int step = 1; step < LANES; step *= 2) {
    NAME(words) next[LANES];
    UNROLL for (int i = 0; i < LANES / 2; i++) {
      next[2 * i] = ZIP_LOW(rows[i], rows[i + LANES / 2]);
      next[2 * i + 1] = ZIP_HIGH(rows[i], rows[i + LANES / 2]);
    }
    UNROLL for (int i = 0; i < LANES; i++) rows[i] = next[i];
  }
}

// The messages are `stride` bytes apart and `blocks` blocks long; their counters are `step` apart.
static void NAME(hash)(
    const uint8_t *bytes, size_t stride, int blocks, uint64_t counter, int step, uint32_t flags,
    uint32_t first, uint32_t last, uint8_t *values) {
  NAME(words) h[8], low, high;
  UNROLL for (int i = 0; i < 8; i++) h[i] = (NAME(words)){} + start[i];
  for (int lane = 0; lane < LANES; lane++) {
    low[lane] = (uint32_t)(counter + (uint64_t)(step * lane));
    high[lane] = (uint32_t)((counter + (uint64_t)(step * lane)) >> 32);
  }
  for (int block = 0; block < blocks; block++) {
    NAME(words) m[16];
    UNROLL for (int part = 0; part < 16; part += LANES) {
      UNROLL for (int lane = 0; lane < LANES; lane++) {
        m[part + lane] = *(const NAME(stored_words) *)(bytes + lane * stride + block * 64 + 4 * part);
      }
      NAME(transpose)(m + part);
    }
    uint32_t now = flags | (block == 0 ? first : 0) | (block == blocks - 1 ? last : 0);
    NAME(words) none = {};
    NAME(words) v[16] = {
        h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], none + start[0], none + start[1],
        none + start[2], none + start[3], low, high, none + 64, none + now};
    ROUNDS(v, m);
    UNROLL for (int i = 0; i < 8; i++) h[i] = v[i] ^ v[i + 8];
  }
  for (int lane = 0; lane < LANES; lane++) {
    uint32_t value[8];
    for (int i = 0; i < 8; i++) value[i] = h[i][lane];
    __builtin_memcpy(values + 32 * lane, value, 32);
  }
}
