// IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS and IQ3_S: blocks of 8 sub-blocks of 32, or 16 of 16.

static const NAME(grid_kind) NAME(kind_iq2_xxs) = {
    32, 8, 3, 6, RENEW_EVERY, 1, 1, 0, 0.1f, TINY, 1, 1};
static const NAME(grid_kind) NAME(kind_iq2_xs) = {
    16, 8, 3, 9, RENEW_MOVED, 0, 1, 0, 0.1f, TINY, 1, 1};
static const NAME(grid_kind) NAME(kind_iq2_s) = {
    16, 8, 3, 9, RENEW_MOVED, 0, 0, 1, 0.1f, 1e-8f, 2, 0.9875f};
static const NAME(grid_kind) NAME(kind_iq3_xxs) = {
    32, 4, 8, 15, RENEW_MOVED, 0, 1, 0, 0.2f, 1e-8f, 2, 1.0125f};
// Zero alone is tiny.
static const NAME(grid_kind) NAME(kind_iq3_s) = {
    32, 4, 8, 9, RENEW_EVERY_IF_MOVED, 0, 0, 0, 0.2f, 1.4e-45f, 2, 1.033f};

// What was found for the sub-blocks of a chunk of LANES blocks, each for itself.
typedef struct {
  float scale[16 * LANES];
  // The numbers of the points, and the signs of each 8 elements.
  uint16_t points[16 * LANES][8];
  uint8_t signs[16 * LANES][4];
  uint8_t empty[16 * LANES], odd[16 * LANES];
} NAME(grid_found);

// Whether a block's numbers are such that sums of them neither overflow nor are NaN.
BODY int NAME(grid_ordinary)(const float *x, const float *importance) {
  uint32_t most = 0, heaviest = 0;
  for (int i = 0; i < 256; i++) {
    uint32_t size = bits_of(x[i]) & 0x7FFFFFFF;
    most = size > most ? size : most;
  }
  for (int i = 0; importance && i < 256; i++) {
    // With the sign, which makes negative ones heavy.
    uint32_t size = bits_of(importance[i]);
    heaviest = size > heaviest ? size : heaviest;
  }
  return most <= bits_of(GRID_LARGEST) && heaviest <= bits_of(GRID_HEAVIEST);
}

// How many of the first blocks are such, LANES at most.
BODY int NAME(grid_sound)(const float *x, const float *importance, size_t blocks) {
  int sound = 0;
  while (sound < LANES && (size_t)sound < blocks &&
         NAME(grid_ordinary)(x + 256 * sound, importance ? importance + 256 * sound : 0)) {
    sound++;
  }
  return sound;
}

BODY void NAME(grid_keep)(
    const NAME(grid_batch) *b, int first, const uint16_t *indices, NAME(grid_found) *f,
    const NAME(grid_kind) k) {
  store(f->scale + first, b->scale);
  for (int lane = 0; lane < LANES; lane++) {
    f->empty[first + lane] = (uint8_t)b->empty[lane];
    f->odd[first + lane] = (uint8_t)b->odd[lane];
    for (int i = 0; i < k.count / 8; i++) f->signs[first + lane][i] = (uint8_t)b->signs[i][lane];
    if (b->empty[lane] || b->odd[lane]) continue;
    for (int i = 0; i < k.count / k.elements; i++) {
      f->points[first + lane][i] = indices[b->best[i][lane] & 0xFFFF];
    }
  }
}

typedef void (*NAME(grid_pack))(const NAME(grid_found) *f, int first, uint8_t *out);
typedef void (*NAME(grid_pack_scale))(int block, int code, uint8_t *out);

// A block from its sub-blocks, `first` on; 0 where the twin must do it.
BODY int NAME(grid_block)(
    const NAME(grid_found) *f, int first, int size, int clears, uint8_t *out,
    NAME(grid_pack) pack, NAME(grid_pack_scale) pack_scale, const NAME(grid_kind) k) {
  int blocks = 256 / k.count;
  float most = 0, codes[16];
  for (int i = first; i < first + blocks; i++) {
    if (f->odd[i]) return 0;
    codes[i - first] = f->empty[i] ? 0 : f->scale[i];
    most = most > codes[i - first] ? most : codes[i - first];
  }
  __builtin_memset(out, 0, (size_t)size);
  pack(f, first, out);
  if (most == 0) {
    __builtin_memset(out + 2, 0, (size_t)clears);
    return 1;
  }
  float scale = most / 31, inverse = 1 / scale;
  store_half(scale * k.stretch, out);
  for (int i = 0; i < blocks; i++) {
    pack_scale(i, bound1(nearest1(0.5f * (inverse * codes[i] - 1)), 0, 15), out);
  }
  return 1;
}

BODY size_t NAME(grid_encode)(
    const float *x, const float *importance, size_t blocks, const struct fathom_grid *grid,
    int size, int clears, uint8_t *out, NAME(grid_pack) pack,
    NAME(grid_pack_scale) pack_scale, const NAME(grid_kind) k) {
  NAME(grid_batch) b;
  NAME(grid_found) f;
  float squares[LANES] = {0};
  int each = 256 / k.count;
  for (size_t done = 0; done < blocks;) {
    int count = blocks - done < LANES ? (int)(blocks - done) : LANES;
    int sound = NAME(grid_sound)(x, importance, blocks - done);
    if (sound == 0) return done;
    sums_of_squares(x, 256, sound, squares);
    for (int first = 0; first < each * sound; first += LANES) {
      vf mean;
      for (int lane = 0; lane < LANES; lane++) {
        int block = (first + lane) / each;
        mean[lane] = block < sound ? k.spread * squares[block] / 256 : 0;
      }
      b.odd = (vi){0};
      NAME(grid_load)(
          &b, x + k.count * first, importance ? importance + k.count * first : 0, mean,
          each * sound - first, k);
      NAME(grid_search)(&b, grid, k);
      NAME(grid_keep)(&b, first, grid->indices, &f, k);
    }
    for (int block = 0; block < sound; block++, out += size) {
      if (!NAME(grid_block)(&f, each * block, size, clears, out, pack, pack_scale, k)) {
        return done + (size_t)block;
      }
    }
    done += (size_t)sound;
    if (sound < count) return done;
    x += 256 * sound;
    if (importance) importance += 256 * sound;
  }
  return blocks;
}

BODY void NAME(store_signs)(const uint8_t *signs, uint8_t *out) {
  uint32_t bits = signs[0] | (uint32_t)signs[1] << 7 | (uint32_t)signs[2] << 14 |
                  (uint32_t)signs[3] << 21;
  __builtin_memcpy(out, &bits, 4);
}

BODY void NAME(pack_iq2_xxs)(const NAME(grid_found) *f, int first, uint8_t *out) {
  for (int i = 0; i < 8; i++) {
    if (f->empty[first + i]) continue;
    for (int group = 0; group < 4; group++) {
      out[2 + 8 * i + group] = (uint8_t)f->points[first + i][group];
    }
    NAME(store_signs)(f->signs[first + i], out + 6 + 8 * i);
  }
}

BODY void NAME(pack_scale_iq2_xxs)(int block, int code, uint8_t *out) {
  out[9 + 8 * block] |= (uint8_t)(code << 4);
}

BODY void NAME(pack_iq2_xs)(const NAME(grid_found) *f, int first, uint8_t *out) {
  for (int i = 0; i < 32; i++) {
    int block = first + i / 2, point = f->points[block][i % 2];
    if (f->empty[block]) continue;
    out[2 + 2 * i] = (uint8_t)point;
    out[3 + 2 * i] = (uint8_t)(point >> 8 | f->signs[block][i % 2] << 1);
  }
}

BODY void NAME(pack_scale_iq2_xs)(int block, int code, uint8_t *out) {
  out[66 + block / 2] |= (uint8_t)(code << block % 2 * 4);
}

BODY void NAME(pack_iq2_s)(const NAME(grid_found) *f, int first, uint8_t *out) {
  for (int i = 0; i < 32; i++) {
    int block = first + i / 2, point = f->points[block][i % 2];
    if (f->empty[block]) continue;
    out[2 + i] = (uint8_t)point;
    out[34 + i] = f->signs[block][i % 2];
    out[66 + i / 4] |= (uint8_t)(point >> 8 << i % 4 * 2);
  }
}

BODY void NAME(pack_scale_iq2_s)(int block, int code, uint8_t *out) {
  out[74 + block / 2] |= (uint8_t)(code << block % 2 * 4);
}

BODY void NAME(pack_iq3_xxs)(const NAME(grid_found) *f, int first, uint8_t *out) {
  for (int i = 0; i < 8; i++) {
    if (f->empty[first + i]) continue;
    for (int group = 0; group < 8; group++) {
      out[2 + 8 * i + group] = (uint8_t)f->points[first + i][group];
    }
    NAME(store_signs)(f->signs[first + i], out + 66 + 4 * i);
  }
}

BODY void NAME(pack_scale_iq3_xxs)(int block, int code, uint8_t *out) {
  out[69 + 4 * block] |= (uint8_t)(code << 4);
}

// The twin says why places are counted.
BODY void NAME(pack_iq3_s)(const NAME(grid_found) *f, int first, uint8_t *out) {
  int stored = 0;
  for (int i = 0; i < 8; i++) {
    if (f->empty[first + i]) continue;
    for (int group = 0; group < 8; group++) {
      int point = f->points[first + i][group];
      out[2 + 8 * stored + group] = (uint8_t)point;
      out[66 + i] |= (uint8_t)(point >> 8 << group);
    }
    __builtin_memcpy(out + 74 + 4 * stored, f->signs[first + i], 4);
    stored++;
  }
}

BODY void NAME(pack_scale_iq3_s)(int block, int code, uint8_t *out) {
  out[106 + block / 2] |= (uint8_t)(code << block % 2 * 4);
}

#define GRID_ENCODER(type, size, clears) \
  static size_t NAME(encode_##type)( \
      const float *x, const float *importance, size_t blocks, const struct fathom_grid *grid, \
      uint8_t *out) { \
    return NAME(grid_encode)( \
        x, importance, blocks, grid, size, clears, out, NAME(pack_##type), \
        NAME(pack_scale_##type), NAME(kind_##type)); \
  }

GRID_ENCODER(iq2_xxs, 66, 64)
GRID_ENCODER(iq2_xs, 74, 64)
GRID_ENCODER(iq2_s, 82, 0)
GRID_ENCODER(iq3_xxs, 98, 96)
GRID_ENCODER(iq3_s, 110, 0)
