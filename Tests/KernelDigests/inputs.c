#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digests.h"

uint64_t next_random(struct random *random) {
  uint64_t z = random->state += 0x9E3779B97F4A7C15;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
  z = (z ^ z >> 27) * 0x94D049BB133111EB;
  return z ^ z >> 31;
}

enum {
  NORMAL, CAUCHY, SPARSE, CONSTANT, DENORMAL, HUGE, BITS, TIES, ZEROS, INFINITIES,
  ABOVE, BELOW, SCALED, OUTLIERS, NANS, ADJACENT, MIXED,
};

const char *const set_names[NUMBER_SETS] = {
    "normal", "cauchy", "sparse", "constant", "denormal", "huge", "bits", "ties", "zeros",
    "infinities", "above", "below", "scaled", "outliers", "nans", "adjacent", "mixed"};

static float from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

static float bell(uint64_t bits) {
  int32_t sum = -131070;
  for (int field = 0; field < 4; field++) sum += (int32_t)(bits >> 16 * field & 0xFFFF);
  return (float)sum * 0x1p-18f;
}

static float number(int set, struct random *random) {
  uint64_t bits = next_random(random);
  float value = bell(bits);
  uint32_t word = (uint32_t)bits;
  switch (set) {
    case CAUCHY:
      return (float)((int32_t)(bits >> 8 & 0xFFFF) - 0x8000) /
             (float)(1 + (int32_t)(bits >> 32 & 0xFFFF));
    case SPARSE: return (next_random(random) & 15) == 0 ? value : bits & 1 ? -0.0f : 0;
    case DENORMAL: return from_bits(word & 0x807FFFFF);
    case HUGE: return value * 0x1p127f;
    case BITS: return from_bits((word >> 23 & 255) == 255 ? word & ~0x40000000u : word);
    case TIES: return (float)((int32_t)(bits >> 20 & 31) - 16) * 0.5f;
    case ZEROS: return bits & 1 ? -0.0f : 0;
    case INFINITIES: {
      uint64_t chance = next_random(random) & 255;
      return chance == 0 ? from_bits(0x7F800000) : chance == 1 ? from_bits(0xFF800000) : value;
    }
    case ABOVE: return 1 + value * 0x1p-20f;
    case BELOW: return -1 + value * 0x1p-12f;
    case SCALED: return value * from_bits((uint32_t)(127 - (next_random(random) & 63)) << 23);
    case OUTLIERS: return (next_random(random) & 31) == 0 ? value * 64 : value;
    case NANS: return (next_random(random) & 127) == 0 ? from_bits(0x7FC00000) : value;
    case ADJACENT: return from_bits(0xBF800000 | (uint32_t)(bits >> 9 & 3));
    default: return value;
  }
}

void fill_set(int set, float *values, size_t count, uint64_t seed) {
  struct random random = {seed};
  float held = 0;
  for (size_t i = 0; i < count; i++) {
    if (set == CONSTANT && i % 48 == 0) held = bell(next_random(&random));
    if (set == MIXED && i % 16 == 0) {
      held = from_bits((uint32_t)(1 + next_random(&random) % 250) << 23);
    }
    values[i] = set == CONSTANT ? held : number(set, &random);
    if (set == MIXED) values[i] *= held;
  }
}

void fill_importance(float *weights, size_t count, uint64_t seed) {
  struct random random = {seed};
  for (size_t i = 0; i < count; i++) {
    uint64_t bits = next_random(&random);
    float root = (float)(int32_t)(bits & 0xFFFF) * 0x1p-14f;
    weights[i] = bits >> 60 == 0 ? 0 : root * root;
  }
}

void keep_finite(float *values, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (values[i] - values[i] != 0) values[i] = 1;
  }
}

const uint64_t no_digest = 0xCBF29CE484222325;

static uint64_t take(uint64_t before, uint32_t word, int bytes) {
  for (int i = 0; i < bytes; i++) before = (before ^ (word >> 8 * i & 255)) * 0x100000001B3;
  return before;
}

uint64_t digest(uint64_t before, const void *elements, size_t count, int kind) {
  const uint8_t *bytes = elements;
  const int size = kind == FLOATS ? 4 : kind == HALVES ? 2 : 1;
  const uint32_t infinite = kind == FLOATS ? 0x7F800000 : kind == HALVES ? 0x7C00 : 0x7E;
  const uint32_t sign = 1u << (8 * size - 1), none = kind == FLOATS ? 0x7FC00000 : infinite | 1;
  for (size_t i = 0; i < count; i++, bytes += size) {
    uint32_t word = 0;
    memcpy(&word, bytes, (size_t)size);
    if (kind != BYTES && (word & ~sign) > infinite) word = none;
    before = take(before, word, size);
  }
  return before;
}

enum { MARGIN = 64 };

void *make_room(size_t bytes) {
  void *room = malloc(bytes + MARGIN);
  if (!room) abort();
  memset(room, 0xA5, bytes + MARGIN);
  return room;
}

void free_room(void *room, size_t bytes, const char *kernel) {
  for (int i = 0; i < MARGIN; i++) {
    if (((uint8_t *)room)[bytes + (size_t)i] == 0xA5) continue;
    fprintf(stderr, "%s writes behind its result\n", kernel);
    exit(1);
  }
  free(room);
}

static uint8_t used[1024];

void use_entry(size_t offset) { used[offset / sizeof(void *)] = 1; }

void check_entries(
    const char *table, const void *entries, size_t bytes, const size_t *others, int tried) {
  const uint8_t *at = entries;
  for (size_t offset = 0; offset < bytes; offset += sizeof(void *)) {
    if (*others == offset) {
      others++;
      continue;
    }
    void *entry;
    memcpy(&entry, at + offset, sizeof entry);
    if (entry && (!tried || used[offset / sizeof(void *)])) continue;
    fprintf(stderr, "%s: entry %zu is %s\n", table, offset / sizeof(void *),
            entry ? "not tried" : "missing");
    exit(1);
  }
  memset(used, 0, sizeof used);
}
