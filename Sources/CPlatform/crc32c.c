#include "cplatform.h"

#include <string.h>
#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <arm_acle.h>
#include <sys/auxv.h>
#endif

// The polynomial of CRC-32C (RFC 3720), with its bits reversed.
static const uint32_t polynomial = 0x82F63B78;

// The product of two polynomials modulo the one above, bits reversed: bit 31 stands for 1.
static uint32_t product(uint32_t a, uint32_t b) {
  uint32_t sum = 0;
  for (uint32_t bit = 1u << 31; bit != 0; bit >>= 1) {
    if (a & bit) {
      sum ^= b;
    }
    b = b & 1 ? (b >> 1) ^ polynomial : b >> 1;
  }
  return sum;
}

uint32_t fathom_crc32c_joined(uint32_t first, uint32_t second, uint64_t count) {
  // Bytes behind it multiply the first part by x to the power of 8 for each of them.
  uint32_t power = 1u << 31;
  uint32_t square = 1u << 23;
  for (; count != 0; count >>= 1) {
    if (count & 1) {
      power = product(power, square);
    }
    square = product(square, square);
  }
  return product(power, first) ^ second;
}

static uint32_t update_plain(uint32_t state, const uint8_t *bytes, size_t count) {
  for (size_t i = 0; i < count; i++) {
    state ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) {
      state = state & 1 ? (state >> 1) ^ polynomial : state >> 1;
    }
  }
  return state;
}

#if defined(__x86_64__) || (defined(__aarch64__) && defined(__linux__))

#if defined(__x86_64__)
#define FATHOM_CRC __attribute__((target("sse4.2")))
#define STEP8(state, word) ((uint32_t)_mm_crc32_u64(state, word))
#define STEP1(state, byte) _mm_crc32_u8(state, byte)
static int is_supported(void) { return __builtin_cpu_supports("sse4.2"); }
#else
#define FATHOM_CRC __attribute__((target("crc")))
#define STEP8(state, word) __crc32cd(state, word)
#define STEP1(state, byte) __crc32cb(state, byte)
static int is_supported(void) { return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }
#endif

static uint64_t word_at(const uint8_t *bytes) {
  uint64_t word;
  memcpy(&word, bytes, 8);
  return word;
}

FATHOM_CRC static uint32_t update_fast(uint32_t state, const uint8_t *bytes, size_t count) {
  // An instruction takes three cycles and one can begin in each: three thirds go side by side.
  const size_t third = count / 3 & ~(size_t)7;
  if (third >= 4096) {
    uint32_t other = 0, last = 0;
    for (size_t i = 0; i < third; i += 8) {
      state = STEP8(state, word_at(bytes + i));
      other = STEP8(other, word_at(bytes + third + i));
      last = STEP8(last, word_at(bytes + 2 * third + i));
    }
    state = fathom_crc32c_joined(fathom_crc32c_joined(state, other, third), last, third);
    bytes += 3 * third;
    count -= 3 * third;
  }
  for (; count >= 8; bytes += 8, count -= 8) {
    state = STEP8(state, word_at(bytes));
  }
  for (; count > 0; bytes++, count--) {
    state = STEP1(state, *bytes);
  }
  return state;
}

#else

static int is_supported(void) { return 0; }
static uint32_t update_fast(uint32_t state, const uint8_t *bytes, size_t count) {
  return update_plain(state, bytes, count);
}

#endif

uint32_t fathom_crc32c(const void *bytes, size_t count, int plain) {
  const int fast = !plain && is_supported();
  return ~(fast ? update_fast(~0u, bytes, count) : update_plain(~0u, bytes, count));
}
