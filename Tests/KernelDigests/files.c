// CPlatform's arithmetic: hashes, and numbers cut into planes.
#include <stdio.h>
#include <string.h>

#include "cplatform.h"
#include "digests.h"

enum { BYTES_IN = 70000 };
static uint8_t bytes[BYTES_IN];

static void show(const char *name, uint64_t found) {
  printf("file %s %016llx\n", name, (unsigned long long)found);
}

static void check_sums(void) {
  for (int plain = 0; plain < 2; plain++) {
    uint64_t crc = no_digest, sha = no_digest;
    for (size_t n = 0; n < BYTES_IN; n += n < 70 ? 1 : 9973) {
      uint32_t sum = fathom_crc32c(bytes + n % 7, n - n % 7, plain), state[8] = {1, 2, 3};
      crc = digest(crc, &sum, 4, BYTES);
      sum = fathom_crc32c_joined(sum, sum ^ 5, n);
      crc = digest(crc, &sum, 4, BYTES);
      fathom_sha256_blocks(state, bytes + n % 7, (n - n % 7) / 64, plain);
      sha = digest(sha, state, sizeof state, BYTES);
    }
    show(plain ? "plain crc32c" : "crc32c", crc);
    show(plain ? "plain sha256" : "sha256", sha);
  }
}

static void hash_pieces(int level) {
  uint64_t found = no_digest;
  for (size_t n = 1; n < BYTES_IN; n = 2 * n + 1) {
    uint8_t values[64];
    fathom_hash_piece(level, bytes, n, 0, 1, values);
    fathom_hash_piece(level, bytes, n, 1 << 20, 0, values + 32);
    found = digest(found, values, 64, BYTES);
    fathom_hash_join(level, values, 2, 1);
    found = digest(found, values, 32, BYTES);
  }
  show("blake3", found);
}

static void cut(
    const char *name, size_t size, void (*split)(const void *, size_t, uint8_t *),
    void (*join)(const uint8_t *, size_t, void *)) {
  uint64_t found = no_digest;
  for (size_t n = 0; n <= 5000; n = n < 70 ? n + 1 : 3 * n) {
    uint8_t *planes = make_room(size * n), *back = make_room(size * n);
    split(bytes + 1, n, planes);
    join(planes, n, back);
    found = digest(found, planes, size * n, BYTES);
    found = digest(found, back, size * n, BYTES);
    free_room(planes, size * n, name);
    free_room(back, size * n, name);
  }
  show(name, found);
}

void digest_files(void) {
  struct random random = {23};
  for (size_t i = 0; i < BYTES_IN; i++) bytes[i] = (uint8_t)(next_random(&random) >> 40);
  check_sums();
  hash_pieces(fathom_hash_best_level());
  cut("planes of 16 bits", 2, fathom_split_16, fathom_join_16);
  cut("planes of 32 bits", 4, fathom_split_32, fathom_join_32);
}
