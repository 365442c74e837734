// GGML's block types that a kernel does wholly.
#include "blocks.h"

#include <stdio.h>
#include <stdlib.h>

#include "ckernels.h"
#include "digests.h"

static const struct block_type types[] = {
    {2, "Q4_0", 32, 18, 0},     {3, "Q4_1", 32, 20, 0},   {6, "Q5_0", 32, 22, 0},
    {7, "Q5_1", 32, 24, 0},     {8, "Q8_0", 32, 34, 0},   {10, "Q2_K", 256, 84, 0},
    {11, "Q3_K", 256, 110, 0},  {12, "Q4_K", 256, 144, 0}, {13, "Q5_K", 256, 176, 0},
    {14, "Q6_K", 256, 210, 0},  {20, "IQ4_NL", 32, 18, 0}, {23, "IQ4_XS", 256, 136, 0},
    {34, "TQ1_0", 256, 54, 0},  {35, "TQ2_0", 256, 66, 0}, {39, "MXFP4", 32, 17, 0},
    {40, "NVFP4", 64, 36, 0},   {41, "Q1_0", 128, 18, 0},  {42, "Q2_0", 64, 18, 0}};
enum { TYPES = sizeof types / sizeof types[0] };

// After `ggml` follows a line of ggml's own answers, after `own` what two processors must agree on.
static void show(
    const struct block_type *type, int set, int weighted, int is_own, const char *kind,
    uint64_t found) {
  printf(
      "%s %s %s %s%s %016llx\n", is_own ? "own" : "ggml", type->name, set_names[set],
      weighted ? "weighted" : "plain", kind, (unsigned long long)found);
}

// The bytes of each row of a matrix, or of all of it at a time.
static void encode_set(
    const struct block_type *type, int level, int set, int weighted, encode_blocks encode) {
  static float x[ROWS * COLUMNS], importance[COLUMNS];
  const size_t blocks = ROWS * COLUMNS / type->elements, bytes = blocks * type->bytes;
  const size_t row = weighted ? blocks / ROWS : blocks;
  uint8_t *out = make_room(bytes);
  size_t others = 0;
  fill_set(set, x, ROWS * COLUMNS, 11);
  fill_importance(importance, COLUMNS, 7);
  for (size_t at = 0; at < blocks; at += row) {
    others += encode(
        type, level, x + at * type->elements, weighted ? importance : NULL, row,
        out + at * type->bytes);
  }
  const int is_own = others != 0 || (type->is_weighted && !weighted);
  show(type, set, weighted, is_own, "", digest(no_digest, out, bytes, BYTES));
  free_room(out, bytes, type->name);
}

static void encode_few(
    const struct block_type *type, int level, int set, int weighted, encode_blocks encode) {
  static float x[FEW_BLOCKS * LARGEST_BLOCK], importance[FEW_BLOCKS * LARGEST_BLOCK];
  const size_t count = FEW_BLOCKS * type->elements, bytes = FEW_BLOCKS * type->bytes;
  uint8_t *out = make_room(bytes);
  fill_set(set, x, count, 12);
  fill_importance(importance, count, 8);
  encode(type, level, x, weighted ? importance : NULL, FEW_BLOCKS, out);
  show(type, set, weighted, 1, " few", digest(no_digest, out, bytes, BYTES));
  free_room(out, bytes, type->name);
}

void digest_encoder(const struct block_type *type, int level, encode_blocks encode) {
  for (int set = 0; set < NUMBER_SETS; set++) {
    for (int weighted = 0; weighted < 2; weighted++) {
      encode_set(type, level, set, weighted, encode);
      // Some sets are enough to see that empty lanes disturb none of the others.
      if (set % 3 == 0) encode_few(type, level, set, weighted, encode);
    }
  }
}

// Where infinite sums are divided the scale is a NaN, whose sign is the processor's. (A conversion
// refuses such weights.)
static size_t encode_wholly(
    const struct block_type *type, int level, const float *x, const float *importance,
    size_t blocks, uint8_t *out) {
  const int divides = type->id == 2 || type->id == 6 || type->id == 20;
  size_t others = 0;
  fathom_ggml_encoder(type->id, level, importance != NULL)(x, importance, blocks, out);
  for (size_t i = 0; divides && i < blocks; i++) {
    uint8_t *scale = out + i * type->bytes;
    if ((scale[1] & 0x7F) < 0x7C || ((scale[1] & 3) == 0 && scale[0] == 0)) continue;
    scale[1] &= 0x7F;
    others++;
  }
  return others;
}

static void decode(const struct block_type *type, int level) {
  enum { COUNT = 4096 };
  static uint8_t bytes[2 * COUNT];
  struct random random = {5};
  const size_t blocks = COUNT / type->elements;
  for (size_t i = 0; i < blocks * type->bytes; i++) bytes[i] = (uint8_t)next_random(&random);
  float *values = make_room(4 * COUNT);
  fathom_ggml_decoder(type->id, level)(bytes, blocks, values);
  printf(
      "ggml %s %016llx\n", type->name,
      (unsigned long long)digest(no_digest, values, COUNT, FLOATS));
  free_room(values, 4 * COUNT, type->name);
}

// Every kernel of the level is of a type above; NVFP4 is decoded by the plain twin alone.
static void check_types(int level) {
  for (uint32_t id = 0; id < 256; id++) {
    int known = 0, decoded = 0;
    for (int i = 0; i < TYPES; i++) {
      known |= types[i].id == id;
      decoded |= types[i].id == id && id != 40;
    }
    if (!fathom_ggml_encoder(id, level, false) == !known &&
        !fathom_ggml_encoder(id, level, true) == !known &&
        !fathom_ggml_decoder(id, level) == !decoded) {
      continue;
    }
    fprintf(stderr, "blocks of type %u: a kernel is missing or not tried\n", id);
    exit(1);
  }
}

void digest_blocks(int level) {
  check_types(level);
  for (int i = 0; i < TYPES; i++) {
    digest_encoder(types + i, level, encode_wholly);
    if (fathom_ggml_decoder(types[i].id, level)) decode(types + i, level);
  }
}
