#ifndef FATHOM_CPLATFORM_H
#define FATHOM_CPLATFORM_H

#include <stdint.h>

#include "blake3.h"

/// Starts writing back a window of a file, or waits for it, so that a long sequential write
/// never leaves gigabytes of dirty pages to a last fsync. Returns 0 or an errno value.
/// Glibc's Swift module does not export sync_file_range, hence this wrapper.
int fathom_write_behind(int descriptor, int64_t offset, int64_t count, int wait);

/// Renames a file or folder unless `to` exists. Returns 0 or an errno value: EEXIST where it does,
/// EINVAL or ENOSYS where the file system or the kernel cannot promise it.
int fathom_rename_new(const char *from, const char *to);

/// Exchanges two names in one step. Returns 0 or an errno value, EINVAL or ENOSYS as above.
int fathom_rename_exchange(const char *one, const char *other);

/// Makes malloc give pieces of 64 KiB and more back to the system as soon as they are freed.
void fathom_return_freed_pieces(void);

#endif
