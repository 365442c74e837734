#include <stdio.h>

#include "ckernels.h"
#include "digests.h"

// The levels that are compared: on x86-64 the one that tests hold to plain Swift on every machine.
static int level(void) {
#if defined(__aarch64__)
  return FATHOM_NEON;
#else
  return fathom_best_level() == FATHOM_PLAIN ? FATHOM_PLAIN : FATHOM_AVX2;
#endif
}

int main(void) {
  const struct fathom_kernels *kernels = fathom_kernels_at(level());
  const struct fathom_group_kernels *groups = fathom_groups_at(level());
  if (!kernels || !groups) {
    fprintf(stderr, "this processor has no vector kernels to compare with\n");
    return 1;
  }
  // Two are sizes, and neither level has a fast look-up.
  const size_t none = SIZE_MAX, others[] = {
      offsetof(struct fathom_kernels, look_up_16), offsetof(struct fathom_kernels, panel_columns),
      offsetof(struct fathom_kernels, block_rows), SIZE_MAX};
  fathom_reset_float_state();
  check_entries("kernels", kernels, sizeof *kernels, others, 0);
  digest_conversions(level());
  digest_rows(level());
  check_entries("kernels", kernels, sizeof *kernels, others, 1);
  check_entries("groups", groups, sizeof *groups, &none, 0);
  digest_groups(level());
  check_entries("groups", groups, sizeof *groups, &none, 1);
  digest_blocks(level());
  digest_grids(level());
  digest_files();
  return 0;
}
