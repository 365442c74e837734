#ifndef FATHOM_CPLATFORM_H
#define FATHOM_CPLATFORM_H

#include <stdint.h>

/// Starts writing back a window of a file, or waits for it, so that a long sequential write
/// never leaves gigabytes of dirty pages to a last fsync. Returns 0 or an errno value.
/// Glibc's Swift module does not export sync_file_range, hence this wrapper.
int fathom_write_behind(int descriptor, int64_t offset, int64_t count, int wait);

#endif
