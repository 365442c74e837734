#ifndef FATHOM_BLAKE3_H
#define FATHOM_BLAKE3_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// Instruction sets that the hash may be asked to use; the plain one is always there.
enum { FATHOM_HASH_PLAIN = 0, FATHOM_HASH_AVX2 = 1, FATHOM_HASH_AVX512 = 2 };

/// Sizes that BLAKE3 fixes, in bytes: of a chunk (a leaf of its tree) and of a chaining value.
enum { FATHOM_HASH_CHUNK = 1024, FATHOM_HASH_VALUE = 32 };
/// Most chunks that are hashed in one call.
enum { FATHOM_HASH_PIECE_CHUNKS = 1024 };

/// The best level that this processor and its operating system can run.
int fathom_hash_best_level(void);

/// BLAKE3 of a piece of a message: 1 to FATHOM_HASH_PIECE_CHUNKS chunks, of which only the last of
/// the message may be short. `first` is the number of the piece's first chunk in the message, a
/// multiple of the power of two that the piece's chunks fill. With `root` the piece is the whole
/// message and `value` its hash; else `value` is the chaining value of that part of the tree.
void fathom_hash_piece(
  int level, const void *_Nullable bytes, size_t count, uint64_t first, int root,
  unsigned char *value);

/// Joins the chaining values of `count` parts of equal size, at least two, of which only the last
/// may be shorter. Overwrites `values` (count × FATHOM_HASH_VALUE); the first one is the result.
void fathom_hash_join(int level, unsigned char *values, size_t count, int root);

#pragma clang assume_nonnull end

#endif
