#ifndef FATHOM_CKERNELS_H
#define FATHOM_CKERNELS_H

#include <stdint.h>

#include "ggml_kernels.h"

/// Instruction sets that a kernel may be asked to use.
enum { FATHOM_PLAIN = 0, FATHOM_AVX2 = 1, FATHOM_AVX512 = 2, FATHOM_NEON = 3 };

/// The best level that this processor (and its operating system) can run.
int fathom_best_level(void);

#endif
