// Packed codes → values: unpacked some at a time, then corrected and scaled block by block.

// Codes that are unpacked at a time, whole runs of 64.
#define CODES_AT_ONCE 256

enum { SCALED, SHIFTED, BIASED };

static const float NAME(e2m1_values)[16] = {
    0,     0.5f,  1,  1.5f,  2,  3,  4,  6,
    -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};

BODY vf value_of(vb codes, int kind, int how, float scale, float offset) {
  vi whole = __builtin_convertvector(codes, vi);
  vf value = kind == FATHOM_CODE_F4 ? LOOK_UP_16(NAME(e2m1_values), whole) : to_float(whole);
  if (how == SHIFTED) return (value - offset) * scale;
  value = value * scale;
  return how == BIASED ? value + offset : value;
}

BODY void scale_codes(
    const uint8_t *codes, int kind, int how, float scale, float offset, size_t n,
    float *values) {
  size_t i = 0;
  vb part;
  for (; i + LANES <= n; i += LANES) {
    __builtin_memcpy(&part, codes + i, LANES);
    store(values + i, value_of(part, kind, how, scale, offset));
  }
  if (i == n) return;
  part = (vb){0};
  __builtin_memcpy(&part, codes + i, n - i);
  vf rest = value_of(part, kind, how, scale, offset);
  __builtin_memcpy(values + i, &rest, sizeof(float) * (n - i));
}

BODY void decode_run(
    const uint8_t *codes, const int kind, size_t n, const struct fathom_code_grid *grid,
    float *values, const int how) {
  const int bits = kind == FATHOM_CODE_F4 ? 4 : kind;
  uint8_t unpacked[CODES_AT_ONCE];
  size_t block = 0, end = grid->first;
  for (size_t start = 0; start < n; start += CODES_AT_ONCE) {
    size_t count = n - start < CODES_AT_ONCE ? n - start : CODES_AT_ONCE;
    const uint8_t *from = codes + start / 8 * (size_t)bits, *bytes = from;
    if (bits != 8) {
      size_t present = ((n - start) * (size_t)bits + 7) / 8;
      unpack_codes(from, present, count, bits, unpacked);
      bytes = unpacked;
    }
    for (size_t at = 0; at < count;) {
      if (start + at == end) {
        block++;
        end += grid->block;
      }
      size_t upto = end - start < count ? end - start : count;
      float offset = how == SHIFTED  ? grid->zeros[block * grid->zero_step]
                     : how == BIASED ? grid->biases[block]
                                     : 0;
      scale_codes(
          bytes + at, kind, how, grid->scales[block], offset, upto - at, values + start + at);
      at = upto;
    }
  }
}

BODY void decode_kind(
    const uint8_t *codes, const int kind, size_t n, const struct fathom_code_grid *grid,
    float *values) {
  if (grid->zeros) {
    decode_run(codes, kind, n, grid, values, SHIFTED);
  } else if (grid->biases) {
    decode_run(codes, kind, n, grid, values, BIASED);
  } else {
    decode_run(codes, kind, n, grid, values, SCALED);
  }
}

static void NAME(decode_codes)(
    const uint8_t *codes, int kind, size_t n, const struct fathom_code_grid *grid,
    float *values) {
  switch (kind) {
    case FATHOM_CODE_F4: decode_kind(codes, FATHOM_CODE_F4, n, grid, values); break;
    case 2: decode_kind(codes, 2, n, grid, values); break;
    case 3: decode_kind(codes, 3, n, grid, values); break;
    case 4: decode_kind(codes, 4, n, grid, values); break;
    case 5: decode_kind(codes, 5, n, grid, values); break;
    case 6: decode_kind(codes, 6, n, grid, values); break;
    default: decode_kind(codes, 8, n, grid, values); break;
  }
}
