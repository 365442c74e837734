// Types of blocks, and the lines that ggml's own answers have too.
#ifndef FATHOM_DIGESTS_BLOCKS_H
#define FATHOM_DIGESTS_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

struct block_type {
  uint32_t id;
  const char *name;
  size_t elements, bytes;
  // Whether ggml has no answers without an importance.
  int is_weighted;
};

// What Tests/CodecsTests encodes of each set, for ggml's answers.
enum { COLUMNS = 512, ROWS = 8 };
// Blocks that leave groups of lanes half empty.
enum { FEW_BLOCKS = 11, LARGEST_BLOCK = 256 };

/// x (blocks), of one row where there is an importance → out; returns how many blocks are not as
/// ggml has them.
typedef size_t (*encode_blocks)(
    const struct block_type *type, int level, const float *x, const float *importance,
    size_t blocks, uint8_t *out);

/// Digests of all that a type's encoder makes.
void digest_encoder(const struct block_type *type, int level, encode_blocks encode);

#endif
