// IQ1_S and IQ1_M: blocks of 8 sub-blocks of 32, or 16 of 16, the twin of TernarySearch.swift.

// What was found for the sub-blocks of a chunk of LANES blocks.
typedef struct {
  float scale[16 * LANES];
  uint16_t words[16 * LANES][4];
  uint8_t shift[16 * LANES], empty[16 * LANES], odd[16 * LANES];
} NAME(split_found);

BODY void NAME(split_chunk)(
    const float *x, const float *importance, int blocks, int n, float tiny,
    const struct fathom_grid *grid, float *means, NAME(split_found) *f) {
  NAME(split_batch) b;
  int each = 256 / n;
  sums_of_squares(x, 256, blocks, means);
  for (int i = 0; i < blocks; i++) means[i] = 2 * means[i] / 256;
  for (int first = 0; first < each * blocks; first += LANES) {
    vf mean = {0};
    for (int lane = 0; lane < LANES; lane++) {
      if (first + lane < each * blocks) mean[lane] = means[(first + lane) / each];
    }
    NAME(split_load)(
        &b, x + n * first, importance ? importance + n * first : 0, mean, each * blocks - first, n,
        tiny);
    NAME(split_order)(&b, n);
    b.best = splat(-3.40282347e38f);
    b.scale = (vf){0};
    b.first = b.second = b.odd = (vi){0};
    b.shift = (vi){0} - 1;
    if (n == 32) {
      NAME(split_whole)(&b);
    } else {
      NAME(split_halves)(&b);
    }
    b.empty |= b.shift < 0;
    NAME(split_settle)(&b, n, grid);
    store(f->scale + first, b.scale);
    for (int lane = 0; lane < LANES; lane++) {
      f->shift[first + lane] = (uint8_t)b.shift[lane];
      f->empty[first + lane] = (uint8_t)b.empty[lane];
      f->odd[first + lane] = (uint8_t)b.odd[lane];
      if (b.empty[lane] || b.odd[lane]) continue;
      for (int group = 0; group < n / 8; group++) {
        f->words[first + lane][group] = (uint16_t)b.words[group][lane];
      }
    }
  }
}

// The largest scale; below 0 where the twin must do the block.
BODY float NAME(split_most)(NAME(split_found) *f, int first, int count) {
  float most = 0;
  for (int i = first; i < first + count; i++) {
    if (f->odd[i]) return -1;
    if (f->empty[i]) f->scale[i] = 0;
    most = most > f->scale[i] ? most : f->scale[i];
  }
  return most;
}

BODY void NAME(pack_iq1_s)(
    const NAME(split_found) *f, int first, float most, const uint16_t *indices, uint8_t *out) {
  float scale = most / 15, inverse = 1 / scale;
  __builtin_memset(out, 0, 50);
  for (int i = 0; i < 8; i++) {
    int block = first + i;
    uint16_t bits = 0;
    for (int group = 0; !f->empty[block] && group < 4; group++) {
      int point = indices[f->words[block][group]];
      out[2 + 4 * i + group] = (uint8_t)point;
      bits |= (uint16_t)(point >> 8 << 3 * group);
    }
    if (most > 0) {
      int code = bound1(nearest1(0.5f * (inverse * f->scale[block] - 1)), 0, 7);
      if (!f->empty[block] && f->shift[block]) code |= 8;
      bits |= (uint16_t)(code << 12);
    }
    __builtin_memcpy(out + 34 + 2 * i, &bits, 2);
  }
  if (most > 0) store_half(scale * 1.125f, out);
}

// The scale of the scales that is best for what a block holds; stores the codes of the scales.
BODY float NAME(split_scale)(
    const NAME(split_found) *f, int first, float scale, const float *x, const float *importance,
    float mean, uint16_t *steps) {
  float products[256], squares[256], inverse = 1 / scale, product = 0, square = 0;
  vf codes = load(NAME(split_codes));
  vi shifts;
  for (int lane = 0; lane < LANES; lane++) shifts[lane] = 2 * (lane % 8);
  for (int i = 0; i < 16; i++) {
    int block = first + i, empty = f->empty[block];
    int code = bound1(nearest1(0.5f * (inverse * f->scale[block] - 1)), 0, 7);
    steps[i / 4] |= (uint16_t)(code << 3 * (i % 4));
    // Both halves, or one after the other.
    for (int start = 0; start < 16; start += LANES) {
      vi words = {0};
      vf shift = splat(0.125f);
      for (int lane = 0; lane < LANES && !empty; lane++) {
        int half = (start + lane) / 8;
        words[lane] = f->words[block][half];
        if (half == 0 ? f->shift[block] >> 1 : f->shift[block] & 1) shift[lane] = -0.125f;
      }
      vf q = (PERMUTE(codes, words >> shifts) + shift) * (float)(2 * code + 1);
      vf value = load(x + 16 * i + start), square = value * value;
      vf weight = importance ? load(importance + 16 * i + start) *
                                   __builtin_elementwise_sqrt(mean + square)
                             : square;
      store(products + 16 * i + start, weight * q * value);
      store(squares + 16 * i + start, weight * q * q);
    }
  }
  for (int i = 0; i < 256; i++) {
    product += products[i];
    square += squares[i];
  }
  return square > 0 ? product / square : scale;
}

BODY void NAME(pack_iq1_m)(
    const NAME(split_found) *f, int first, float most, const float *x, const float *importance,
    float mean, const uint16_t *indices, uint8_t *out) {
  static const uint8_t shifts[4] = {0, 0x80, 0x08, 0x88};
  uint16_t steps[4] = {0};
  __builtin_memset(out, 0, 56);
  for (int i = 0; i < 16; i++) {
    if (f->empty[first + i]) continue;
    int one = indices[f->words[first + i][0]], other = indices[f->words[first + i][1]];
    out[2 * i] = (uint8_t)one;
    out[2 * i + 1] = (uint8_t)other;
    out[32 + i] = (uint8_t)(one >> 8 | other >> 8 << 4);
    if (most > 0) out[32 + i] |= shifts[f->shift[first + i]];
  }
  if (!(most > 0)) return;
  float scale =
      NAME(split_scale)(f, first, most / 15, x, importance, mean, steps) * 1.1125f;
  for (int i = 0; i < 4; i++) steps[i] |= (uint16_t)((half1(scale) >> 4 * i & 15) << 12);
  __builtin_memcpy(out + 48, steps, 8);
}

BODY size_t NAME(split_encode)(
    const float *x, const float *importance, size_t blocks, const struct fathom_grid *grid,
    uint8_t *out, int n, float tiny) {
  NAME(split_found) f;
  float means[LANES] = {0};
  int each = 256 / n;
  for (size_t done = 0; done < blocks;) {
    int count = blocks - done < LANES ? (int)(blocks - done) : LANES;
    int sound = NAME(grid_sound)(x, importance, blocks - done);
    if (sound == 0) return done;
    NAME(split_chunk)(x, importance, sound, n, tiny, grid, means, &f);
    for (int block = 0; block < sound; block++, done++, x += 256) {
      float most = NAME(split_most)(&f, each * block, each);
      if (most < 0) return done;
      if (n == 32) {
        NAME(pack_iq1_s)(&f, each * block, most, grid->indices, out);
      } else {
        NAME(pack_iq1_m)(
            &f, each * block, most, x, importance, means[block], grid->indices, out);
      }
      out += n == 32 ? 50 : 56;
      if (importance) importance += 256;
    }
    if (sound < count) return done;
  }
  return blocks;
}

static size_t NAME(encode_iq1_s)(
    const float *x, const float *importance, size_t blocks, const struct fathom_grid *grid,
    uint8_t *out) {
  return NAME(split_encode)(x, importance, blocks, grid, out, 32, 1e-12f);
}

static size_t NAME(encode_iq1_m)(
    const float *x, const float *importance, size_t blocks, const struct fathom_grid *grid,
    uint8_t *out) {
  return NAME(split_encode)(x, importance, blocks, grid, out, 16, 1e-7f);
}
