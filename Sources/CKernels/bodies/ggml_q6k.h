// Q6_K: 16 sub-blocks of 16.

BODY void NAME(q6_k_pack)(const uint8_t *codes, uint8_t *out) {
  for (int half = 0; half < 2; half++, codes += 128) {
    for (int i = 0; i < 64; i++) {
      out[64 * half + i] = (uint8_t)((codes[i] & 15) | codes[i + 64] << 4);
    }
    for (int i = 0; i < 32; i++) {
      out[128 + 32 * half + i] =
          (uint8_t)(codes[i] >> 4 | codes[i + 32] >> 4 << 2 | codes[i + 64] >> 4 << 4 |
                    codes[i + 96] >> 4 << 6);
    }
  }
}

BODY void NAME(q6_k)(const float *x, const float *importance, size_t blocks, uint8_t *out) {
  vf tile[16], w[16];
  float scales[16], inverses[16], step[16];
  uint8_t codes[256];
  for (size_t block = 0; block < blocks; block++, x += 256, out += 210) {
    for (int first = 0; first < 16; first += LANES) {
      transpose(x + 16 * first, 16, LANES, tile);
      if (importance) {
        transpose(importance + 256 * block + 16 * first, 16, LANES, w);
      } else {
        for (int i = 0; i < 16; i++) w[i] = tile[i] * tile[i];
      }
      vf inverse;
      store(scales + first, NAME(symmetric_search)(tile, w, 16, 32, &inverse));
      store(inverses + first, inverse);
    }
    float extreme = extreme1(scales, 16);
    if (__builtin_fabsf(extreme) < TINY) {
      __builtin_memset(out, 0, 210);
      continue;
    }
    float inverse = -128 / extreme, scale = store_half(1 / inverse, out + 208);
    for (int i = 0; i < 16; i++) {
      int code = nearest1(inverse * scales[i]);
      out[192 + i] = (uint8_t)(code < 127 ? code : 127);
      step[i] = scale * (int8_t)out[192 + i];
    }
    NAME(symmetric_block)(x, step, inverses, 32, codes);
    NAME(q6_k_pack)(codes, out);
  }
}

static void NAME(encode_q6_k)(const float *x, const float *w, size_t blocks, uint8_t *out) {
  (void)w;
  NAME(q6_k)(x, 0, blocks, out);
}

static void NAME(weigh_q6_k)(const float *x, const float *w, size_t blocks, uint8_t *out) {
  NAME(q6_k)(x, w, blocks, out);
}
