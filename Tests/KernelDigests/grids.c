// GGML's block types whose codes are points of a grid.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "ckernels.h"
#include "digests.h"
// The entries of Sources/Codecs/GGML/GridEntries.swift, which scripts/arm64 turns into C.
#include "grid_entries.h"

enum { MOST_CELLS = 6561, MOST_WORDS = 4000000, NO_POINT = 0xFFFF };

// A grid as PointGrid.swift makes it.
struct points {
  const uint16_t *entries;
  int count, elements, levels, shells;
  uint32_t cells[MOST_CELLS];
  uint16_t indices[65536];
  uint16_t *lists;
};

#define POINTS(name, elements, levels, shells) \
  {name, sizeof name / sizeof name[0], elements, levels, shells, {0}, {0}, NULL}

static struct points grids[] = {
    POINTS(iq2xxs, 8, 3, 2), POINTS(iq2xs, 8, 3, 2), POINTS(iq2s, 8, 3, 1),
    POINTS(iq3xxs, 4, 8, 2), POINTS(iq3s, 4, 8, 3),  POINTS(iq1, 8, 3, 3)};

static int bits_of_code(const struct points *p) { return p->levels > 4 ? 3 : 2; }

// Squared distances between half words.
static uint8_t halves[256 * 256];

static void measure_halves(const struct points *p) {
  const int bits = bits_of_code(p), most = (1 << bits) - 1, count = 1 << bits * p->elements / 2;
  for (int pair = 0; pair < count * count; pair++) {
    int sum = 0;
    for (int i = 0; i < p->elements / 2; i++) {
      int apart = (pair / count >> bits * i & most) - (pair % count >> bits * i & most);
      sum += apart * apart;
    }
    halves[pair] = (uint8_t)sum;
  }
}

// The entries at the least distances from a word, by distance and then by place.
static size_t list_nearest(const struct points *p, int word, uint16_t *list) {
  static uint8_t distances[4096];
  const int half = bits_of_code(p) * p->elements / 2, mask = (1 << half) - 1;
  const uint8_t *low = halves + ((word & mask) << half), *high = halves + (word >> half << half);
  uint8_t present[256] = {0};
  size_t length = 0;
  for (int i = 0; i < p->count; i++) {
    distances[i] = (uint8_t)(low[p->entries[i] & mask] + high[p->entries[i] >> half]);
    present[distances[i]] = 1;
  }
  for (int at = 0, shells = 0; at < 256 && shells < p->shells; at++) {
    shells += present[at];
    for (int i = 0; present[at] && i < p->count; i++) {
      if (distances[i] == at) list[length++] = p->entries[i];
    }
  }
  return length;
}

static void make_grid(struct points *p) {
  const int bits = bits_of_code(p);
  int cells = 1;
  size_t end = 0;
  p->lists = malloc(2 * MOST_WORDS);
  if (!p->lists) abort();
  measure_halves(p);
  memset(p->indices, 0xFF, sizeof p->indices);
  for (int i = 0; i < p->count; i++) p->indices[p->entries[i]] = (uint16_t)i;
  for (int i = 0; i < p->elements; i++) cells *= p->levels;
  for (int cell = 0; cell < cells; cell++) {
    uint16_t word = 0, *list = p->lists + end;
    size_t length = 1;
    for (int i = 0, rest = cell; i < p->elements; i++, rest /= p->levels) {
      word |= (uint16_t)(rest % p->levels << bits * i);
    }
    const int is_point = p->indices[word] != NO_POINT;
    list[0] = word;
    if (!is_point) length = list_nearest(p, word, list);
    p->cells[cell] = (uint32_t)(end / 16 << 10 | length << 1 | (size_t)is_point);
    for (end += length; end % 16 != 0; end++) p->lists[end] = list[length - 1];
  }
}

static const struct grid_type {
  struct block_type type;
  const struct points *points;
} types[] = {
    {{16, "IQ2_XXS", 256, 66, 1}, grids + 0}, {{17, "IQ2_XS", 256, 74, 1}, grids + 1},
    {{22, "IQ2_S", 256, 82, 0}, grids + 2},   {{18, "IQ3_XXS", 256, 98, 0}, grids + 3},
    {{21, "IQ3_S", 256, 110, 0}, grids + 4},  {{19, "IQ1_S", 256, 50, 1}, grids + 5},
    {{29, "IQ1_M", 256, 56, 0}, grids + 5}};
enum { TYPES = sizeof types / sizeof types[0], GRIDS = sizeof grids / sizeof grids[0] };

// What a kernel leaves to its twin stays as it is.
static size_t encode_ordinary(
    const struct block_type *type, int level, const float *x, const float *importance,
    size_t blocks, uint8_t *out) {
  const struct points *p = ((const struct grid_type *)type)->points;
  const struct fathom_grid grid = {p->cells, p->lists, p->indices};
  size_t left = 0;
  for (size_t done = 0; done < blocks; done++, left++) {
    done += fathom_grid_encoder(type->id, level)(
        x + 256 * done, importance ? importance + 256 * done : NULL, blocks - done, &grid,
        out + done * type->bytes);
    if (done == blocks) return left;
    memset(out + done * type->bytes, 0xA5, type->bytes);
  }
  return left;
}

static void check_types(int level) {
  for (uint32_t id = 0; id < 256; id++) {
    int known = 0;
    for (int i = 0; i < TYPES; i++) known |= types[i].type.id == id;
    if (!fathom_grid_encoder(id, level) == !known) continue;
    fprintf(stderr, "grids of type %u: a kernel is missing or not tried\n", id);
    exit(1);
  }
}

void digest_grids(int level) {
  for (int i = 0; i < GRIDS; i++) make_grid(grids + i);
  check_types(level);
  for (int i = 0; i < TYPES; i++) digest_encoder(&types[i].type, level, encode_ordinary);
}
