// Codes of 2 to 6 bits in an unbroken stream, lowest bits first: eight codes of b bits are b bytes.
// 64 codes at a time, eight to a lane of 64 bits, go from bytes to bits in three steps of pairs.

// By address, as not every level has registers of this size to pass.
typedef uint64_t octets __attribute__((vector_size(64)));

// The lowest `bits` of every `width`.
#define EACH(width, bits) \
  (~0ull / (~0ull >> (64 - (width))) * (~0ull >> (64 - (bits))))

// Halves of `width` bits, of which the lower `bits` are used, move together.
BODY void join_pairs(octets *x, int width, int bits) {
  uint64_t low = EACH(2 * width, bits), high = low << width;
  *x = (*x & low) | ((*x & high) >> (width - bits));
}

// The other way.
BODY void part_pairs(octets *x, int width, int bits) {
  uint64_t low = EACH(2 * width, bits), high = low << bits;
  *x = (*x & low) | ((*x & high) << (width - bits));
}

BODY void store_octets(const octets *x, int bits, uint8_t *out) {
  typedef uint32_t eight_words __attribute__((vector_size(32)));
  typedef uint16_t eight_halves __attribute__((vector_size(16)));
  if (bits == 4) {
    eight_words words = __builtin_convertvector(*x, eight_words);
    __builtin_memcpy(out, &words, 32);
  } else if (bits == 2) {
    eight_halves halves = __builtin_convertvector(*x, eight_halves);
    __builtin_memcpy(out, &halves, 16);
  } else {
    // What a store leaves beyond its lane is overwritten by the next; none may reach beyond the last
    // lane, where another row begins or the memory ends.
    UNROLL for (int lane = 0; lane < 6; lane++) {
      uint64_t word = (*x)[lane];
      __builtin_memcpy(out + bits * lane, &word, 8);
    }
    uint64_t word = (*x)[6];
    if (bits == 3) {
      __builtin_memcpy(out + bits * 6, &word, 3);
    } else {
      __builtin_memcpy(out + bits * 6, &word, 8);
    }
    word = (*x)[7];
    __builtin_memcpy(out + bits * 7, &word, (size_t)bits);
  }
}

// Bytes that load_octets reads: for odd numbers of bits more than the codes take.
BODY size_t octets_read(int bits) {
  return (size_t)(bits == 2 || bits == 4 ? 8 * bits : 7 * bits + 8);
}

BODY void load_octets(const uint8_t *in, int bits, octets *x) {
  typedef uint32_t eight_words __attribute__((vector_size(32)));
  typedef uint16_t eight_halves __attribute__((vector_size(16)));
  if (bits == 4) {
    eight_words words;
    __builtin_memcpy(&words, in, 32);
    *x = __builtin_convertvector(words, octets);
  } else if (bits == 2) {
    eight_halves halves;
    __builtin_memcpy(&halves, in, 16);
    *x = __builtin_convertvector(halves, octets);
  } else {
    UNROLL for (int lane = 0; lane < 8; lane++) {
      uint64_t word;
      __builtin_memcpy(&word, in + bits * lane, 8);
      (*x)[lane] = word;
    }
  }
}

BODY void pack_64(const uint8_t *codes, int bits, uint8_t *out) {
  octets x;
  __builtin_memcpy(&x, codes, 64);
  join_pairs(&x, 8, bits);
  join_pairs(&x, 16, 2 * bits);
  join_pairs(&x, 32, 4 * bits);
  store_octets(&x, bits, out);
}

BODY void unpack_64(const uint8_t *in, int bits, uint8_t *codes) {
  octets x;
  load_octets(in, bits, &x);
  part_pairs(&x, 32, 4 * bits);
  part_pairs(&x, 16, 2 * bits);
  part_pairs(&x, 8, bits);
  __builtin_memcpy(codes, &x, 64);
}

BODY void pack_codes(const uint8_t *codes, size_t n, int bits, uint8_t *out) {
  size_t i = 0;
  for (; i + 64 <= n; i += 64) pack_64(codes + i, bits, out + i / 8 * (size_t)bits);
  if (i == n) return;
  uint8_t rest[64] = {0}, packed[64];
  __builtin_memcpy(rest, codes + i, n - i);
  pack_64(rest, bits, packed);
  __builtin_memcpy(out + i / 8 * (size_t)bits, packed, ((n - i) * (size_t)bits + 7) / 8);
}

// `present` bytes may be read from `in` on; writes whole runs of 64 codes.
BODY void unpack_codes(
    const uint8_t *in, size_t present, size_t n, int bits, uint8_t *codes) {
  for (size_t i = 0; i < n; i += 64) {
    size_t start = i / 8 * (size_t)bits;
    uint8_t spare[64] = {0};
    const uint8_t *from = in + start;
    if (start + octets_read(bits) > present) {
      size_t rest = present - start;
      __builtin_memcpy(spare, from, rest < sizeof spare ? rest : sizeof spare);
      from = spare;
    }
    unpack_64(from, bits, codes + i);
  }
}
