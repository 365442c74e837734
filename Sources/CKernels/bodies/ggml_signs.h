// Q1_0, blocks of 128 signs, and Q2_0, blocks of 64 codes of −1, 0 and 1.

// The magnitudes of a block are added up in order, so each lane has a block; signs are those of
// neighbours.
static void NAME(encode_q1_0)(const float *x, const float *w, size_t blocks, uint8_t *out) {
  (void)w;
  float spare[128 * LANES], means[LANES];
  vf tile[128];
  while (blocks > 0) {
    int count = blocks < LANES ? (int)blocks : LANES;
    transpose(NAME(whole_group)(x, 128, count, LANES, spare), 128, LANES, tile);
    vf sum = {0};
    for (int i = 0; i < 128; i++) sum += magnitude(tile[i]);
    store(means, sum / 128);
    for (int block = 0; block < count; block++, x += 128, out += 18) {
      store_half(means[block], out);
      for (int i = 0; i < 128; i += LANES) {
        uint32_t set = MASK_BITS(load(x + i) >= 0);
        __builtin_memcpy(out + 2 + i / 8, &set, LANES / 8);
      }
    }
    blocks -= (size_t)count;
  }
}

static void NAME(decode_q1_0)(const uint8_t *in, size_t blocks, float *x) {
  vi places;
  for (int lane = 0; lane < LANES; lane++) places[lane] = lane;
  for (; blocks > 0; blocks--, in += 18, x += 128) {
    vi scale = (vi)splat(load_half(in));
    for (int i = 0; i < 128; i += LANES) {
      uint32_t set = 0;
      __builtin_memcpy(&set, in + 2 + i / 8, LANES / 8);
      store(x + i, (vf)(scale ^ (((vi){0} + (int32_t)~set) >> places) << 31));
    }
  }
}

// A block with a NaN, which is never the largest.
static __attribute__((noinline)) void NAME(q2_0_slow)(const float *x, uint8_t *out) {
  float scale = __builtin_fabsf(extreme1(x, 64)), inverse = inverse1(scale);
  store_half(scale, out);
  for (int i = 0; i < 64; i += 4) {
    int codes = 0;
    for (int j = 0; j < 4; j++) {
      float code = __builtin_roundf(x[i + j] * inverse) + 1;
      codes |= (code >= 3 && code < 0x1p31f ? 3 : code > 0 && code < 3 ? (int)code : 0) << 2 * j;
    }
    out[2 + i / 4] = (uint8_t)codes;
  }
}

static void NAME(encode_q2_0)(const float *x, const float *w, size_t blocks, uint8_t *out) {
  (void)w;
  typedef int32_t whole __attribute__((vector_size(256)));
  typedef uint8_t bytes __attribute__((vector_size(64)));
  typedef uint32_t fours __attribute__((vector_size(64)));
  for (; blocks > 0; blocks--, x += 64, out += 18) {
    vi largest = {0}, codes[64 / LANES];
    for (int i = 0; i < 64; i += LANES) {
      vi size = (vi)magnitude(load(x + i));
      largest = choose_int(size > largest, size, largest);
    }
    int32_t bits = __builtin_reduce_max(largest);
    if (bits > 0x7F800000) {
      NAME(q2_0_slow)(x, out);
      continue;
    }
    float scale = float_of(bits), inverse = inverse1(scale);
    store_half(scale, out);
    for (int i = 0; i < 64; i += LANES) {
      // As for Q8_0; what does not fit, which an infinite inverse makes, is the lowest code.
      vf value = load(x + i) * inverse;
      vf half = (vf)(((vi)value & INT32_MIN) | 0x3EFFFFFF);
      codes[i / LANES] = bounded_int(TRUNCATE(value + half) + 1, 0, 3);
    }
    whole all;
    __builtin_memcpy(&all, codes, sizeof all);
    fours word = (fours)__builtin_convertvector(all, bytes);
    bytes16 narrow = __builtin_convertvector(
        (word | word >> 6 | word >> 12 | word >> 18) & 255, bytes16);
    __builtin_memcpy(out + 2, &narrow, sizeof narrow);
  }
}

static void NAME(decode_q2_0)(const uint8_t *in, size_t blocks, float *x) {
  typedef uint32_t fours __attribute__((vector_size(64)));
  typedef int8_t signs __attribute__((vector_size(64)));
  for (; blocks > 0; blocks--, in += 18, x += 64) {
    bytes16 packed;
    __builtin_memcpy(&packed, in + 2, sizeof packed);
    fours word = __builtin_convertvector(packed, fours);
    signs codes = (signs)((word | word << 6 | word << 12 | word << 18) & 0x03030303) - 1;
    int8_t plain[64];
    __builtin_memcpy(plain, &codes, sizeof plain);
    NAME(spread)(plain, load_half(in), 64, x);
  }
}
