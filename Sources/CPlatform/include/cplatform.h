#ifndef FATHOM_CPLATFORM_H
#define FATHOM_CPLATFORM_H

#include <stddef.h>
#include <stdint.h>

#include "blake3.h"
#include "planes.h"

/// The commit that the program was made from, which a release is compiled with as FATHOM_COMMIT; null
/// without it.
const char *fathom_commit(void);

/// Columns of the terminal that a descriptor leads to; 0 where it is none, or does not say.
int fathom_columns(int descriptor);

/// Starts writing back a window of a file, or waits for it, so that a long sequential write
/// never leaves gigabytes of dirty pages to a last fsync. Returns 0 or an errno value.
/// Glibc's Swift module does not export sync_file_range, hence this wrapper.
int fathom_write_behind(int descriptor, int64_t offset, int64_t count, int wait);

/// Opens a folder, below the open folder `place`, as the place of others: to be allowed through it is
/// enough. A link is followed only where `follow` is not 0. Returns -1 with errno where it fails.
int fathom_open_place(int place, const char *path, int follow);

/// Renames a file or folder unless `to` exists. Returns 0 or an errno value: EEXIST where it does,
/// EINVAL or ENOSYS where the file system or the kernel cannot promise it.
int fathom_rename_new(const char *from, const char *to);

/// Exchanges two names in one step. Returns 0 or an errno value, EINVAL or ENOSYS as above.
int fathom_rename_exchange(const char *one, const char *other);

/// CRC-32C of some bytes, with the processor's instruction where it has one and `plain` is 0.
uint32_t fathom_crc32c(const void *bytes, size_t count, int plain);

/// CRC-32C of two messages one after the other, from those of both; `count` is the second's length.
uint32_t fathom_crc32c_joined(uint32_t first, uint32_t second, uint64_t count);

/// SHA-256 of a message that comes in pieces: takes in blocks of 64 bytes, with the processor's
/// instructions where it has them and `plain` is 0. `state` has eight words.
void fathom_sha256_blocks(uint32_t *state, const void *bytes, size_t blocks, int plain);

/// Locks an open file and does not wait, against all other processes or against those that want it
/// alone; the lock ends with the process. Returns 0, EWOULDBLOCK where another one has it, or another
/// errno value.
int fathom_lock(int descriptor, int alone);

/// Reserves `count` bytes of disk after the end of a file, whose size stays. Returns 0 or an errno
/// value.
int fathom_reserve(int descriptor, int64_t offset, int64_t count);

/// Gives an open file the bytes of another one, whose blocks both share from then on. Returns 0 or an
/// errno value: EOPNOTSUPP, EXDEV, EINVAL and others where the file system cannot do that.
int fathom_clone(int target, int source);

/// Makes malloc give pieces of 64 KiB and more back to the system as soon as they are freed.
void fathom_return_freed_pieces(void);

#endif
