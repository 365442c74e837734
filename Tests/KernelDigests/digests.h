// One line for each kernel and kind of input, with a digest of what came out, to be compared
// between processors; see scripts/arm64.
#ifndef FATHOM_DIGESTS_H
#define FATHOM_DIGESTS_H

#include <stddef.h>
#include <stdint.h>

/// SplitMix64, as Tests/Support has it.
struct random {
  uint64_t state;
};

uint64_t next_random(struct random *random);

/// The sets of numbers that quantizers find hard: the twins of NumberSet.swift, in their order.
enum { NUMBER_SETS = 17 };
extern const char *const set_names[NUMBER_SETS];

/// The first numbers of a set.
void fill_set(int set, float *values, size_t count, uint64_t seed);
/// Weights as an importance matrix has them.
void fill_importance(float *weights, size_t count, uint64_t seed);
/// The same numbers; those that are infinite or none become 1.
void keep_finite(float *values, size_t count);

/// FNV-1a of 64 bits; a digest of several pieces starts with that of those before.
enum { BYTES, FLOATS, HALVES, EIGHTHS };
extern const uint64_t no_digest;

/// Takes in `count` elements. Where a calculation makes a NaN its sign is the processor's affair,
/// so those of F32, F16 and E4M3 (EIGHTHS) count as one; BYTES are taken as they are.
uint64_t digest(uint64_t before, const void *elements, size_t count, int kind);

/// Room for a result, with a margin behind it that no kernel may touch.
void *make_room(size_t bytes);
/// Frees it; ends the program where a kernel wrote into the margin.
void free_room(void *room, size_t bytes, const char *kernel);

/// Marks an entry of a table.
void use_entry(size_t offset);
/// Ends the program where an entry is missing, or, when all are said to be tried, was not marked.
/// `others` are the offsets of what needs neither, in ascending order, with SIZE_MAX behind them.
void check_entries(
    const char *table, const void *entries, size_t bytes, const size_t *others, int tried);

void digest_conversions(int level);
void digest_rows(int level);
void digest_groups(int level);
void digest_blocks(int level);
void digest_grids(int level);
void digest_files(void);

#endif
