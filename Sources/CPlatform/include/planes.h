#ifndef FATHOM_PLANES_H
#define FATHOM_PLANES_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// Cuts n numbers of 16 bits into two planes of n bytes. Each is rotated left by one bit before, so
/// that the sign comes last and the exponent of a BF16 number is the first plane, a byte each.
void fathom_split_16(const void *numbers, size_t n, uint8_t *planes);

/// Puts them together again.
void fathom_join_16(const uint8_t *planes, size_t n, void *numbers);

/// The same of numbers of 32 bits: four planes, the exponent of an F32 number first.
void fathom_split_32(const void *numbers, size_t n, uint8_t *planes);

/// Puts them together again.
void fathom_join_32(const uint8_t *planes, size_t n, void *numbers);

#pragma clang assume_nonnull end

#endif
