// BLAKE3 of 32 messages of equal length at once, in two vectors of 16 lanes for AVX-512.
//
// A step waits for the one before it, and each takes two cycles: sixteen messages leave half of the
// processor idle. The words of 32 fill all registers, so the compiler must neither keep a copy nor
// change the order of steps; hence they are spelled out as instructions, which are those of MIX in
// the order a + m, + b, d ^ a, turn, c + d, b ^ c, turn: the shortest way from one b to the next.

// Rows of four words in turn within each 128 bits, and 128 bits at a time.
#define WORDS_LOW(a, b) \
  __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define WORDS_HIGH(a, b) \
  __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define PAIRS_LOW(a, b) \
  __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define PAIRS_HIGH(a, b) \
  __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#define EVEN_QUARTERS(a, b) \
  __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
#define ODD_QUARTERS(a, b) \
  __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)

// The same as transpose_16, by instructions of which twice as many run in a cycle.
static inline __attribute__((always_inline)) void transpose_by_quarters(words_16 *rows) {
  words_16 t[16];
  UNROLL for (int i = 0; i < 16; i += 4) {
    words_16 a = WORDS_LOW(rows[i], rows[i + 1]), b = WORDS_HIGH(rows[i], rows[i + 1]);
    words_16 c = WORDS_LOW(rows[i + 2], rows[i + 3]), d = WORDS_HIGH(rows[i + 2], rows[i + 3]);
    t[i] = PAIRS_LOW(a, c);
    t[i + 1] = PAIRS_HIGH(a, c);
    t[i + 2] = PAIRS_LOW(b, d);
    t[i + 3] = PAIRS_HIGH(b, d);
  }
  UNROLL for (int i = 0; i < 4; i++) {
    words_16 a = EVEN_QUARTERS(t[i], t[i + 4]), b = ODD_QUARTERS(t[i], t[i + 4]);
    words_16 c = EVEN_QUARTERS(t[i + 8], t[i + 12]), d = ODD_QUARTERS(t[i + 8], t[i + 12]);
    rows[i] = EVEN_QUARTERS(a, c);
    rows[i + 4] = EVEN_QUARTERS(b, d);
    rows[i + 8] = ODD_QUARTERS(a, c);
    rows[i + 12] = ODD_QUARTERS(b, d);
  }
}

// One step of four quadruples of both vectors: of columns, or shifted to diagonals.
#define EACH(step) \
  UNROLL for (int half = 0; half < 2; half++) { \
    UNROLL for (int q = 0; q < 4; q++) { step; } \
  }
#define A v[half][q]
#define B v[half][4 + (q + shift) % 4]
#define C v[half][8 + (q + 2 * shift) % 4]
#define D v[half][12 + (q + 3 * shift) % 4]
#define IN_PLACE(instruction, kind, target, other) \
  __asm__ volatile(instruction " %1, %0, %0" : "+v"(target) : kind(other))
#define TURN_IN_PLACE(target, bits) __asm__ volatile("vprord $" bits ", %0, %0" : "+v"(target))
#define HALF_MIX(word, bits_of_d, bits_of_b) \
  EACH(IN_PLACE("vpaddd", "m", A, m[half][(word)[2 * q]])) \
  EACH(IN_PLACE("vpaddd", "v", A, B)) \
  EACH(IN_PLACE("vpxord", "v", D, A)) \
  EACH(TURN_IN_PLACE(D, bits_of_d)) \
  EACH(IN_PLACE("vpaddd", "v", C, D)) \
  EACH(IN_PLACE("vpxord", "v", B, C)) \
  EACH(TURN_IN_PLACE(B, bits_of_b))

// As hash_16.
static void hash_32(
    const uint8_t *bytes, size_t stride, int blocks, uint64_t counter, int step, uint32_t flags,
    uint32_t first, uint32_t last, uint8_t *values) {
  words_16 h[2][8], low[2], high[2];
  UNROLL for (int i = 0; i < 8; i++) h[0][i] = h[1][i] = (words_16){} + start[i];
  for (int lane = 0; lane < 32; lane++) {
    low[lane / 16][lane % 16] = (uint32_t)(counter + (uint64_t)(step * lane));
    high[lane / 16][lane % 16] = (uint32_t)((counter + (uint64_t)(step * lane)) >> 32);
  }
  for (int block = 0; block < blocks; block++) {
    words_16 m[2][16], v[2][16], none = {};
    UNROLL for (int half = 0; half < 2; half++) {
      UNROLL for (int lane = 0; lane < 16; lane++) {
        m[half][lane] =
            *(const stored_words_16 *)(bytes + (half * 16 + lane) * stride + block * 64);
      }
      transpose_by_quarters(m[half]);
    }
    uint32_t now = flags | (block == 0 ? first : 0) | (block == blocks - 1 ? last : 0);
    UNROLL for (int half = 0; half < 2; half++) {
      UNROLL for (int i = 0; i < 8; i++) v[half][i] = h[half][i];
      UNROLL for (int i = 0; i < 4; i++) v[half][8 + i] = none + start[i];
      v[half][12] = low[half];
      v[half][13] = high[half];
      v[half][14] = none + 64;
      v[half][15] = none + now;
    }
    UNROLL for (int round = 0; round < 7; round++) {
      UNROLL for (int shift = 0; shift < 2; shift++) {
        const uint8_t *word = schedule[round] + 8 * shift;
        HALF_MIX(word, "16", "12")
        HALF_MIX(word + 1, "8", "7")
      }
    }
    UNROLL for (int half = 0; half < 2; half++) {
      UNROLL for (int i = 0; i < 8; i++) h[half][i] = v[half][i] ^ v[half][i + 8];
    }
  }
  for (int lane = 0; lane < 32; lane++) {
    uint32_t value[8];
    for (int i = 0; i < 8; i++) value[i] = h[lane / 16][i][lane % 16];
    __builtin_memcpy(values + 32 * lane, value, 32);
  }
}
