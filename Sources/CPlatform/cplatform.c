#define _GNU_SOURCE
#include "cplatform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#ifdef __linux__
#include <linux/fs.h>
#endif

#define TEXT_OF(word) #word
#define TEXT(word) TEXT_OF(word)

const char *fathom_commit(void) {
#ifdef FATHOM_COMMIT
  return TEXT(FATHOM_COMMIT);
#else
  return NULL;
#endif
}

int fathom_write_behind(int descriptor, int64_t offset, int64_t count, int wait) {
#ifdef __linux__
  unsigned int flags = SYNC_FILE_RANGE_WRITE;
  if (wait) {
    flags |= SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER;
  }
  return sync_file_range(descriptor, offset, count, flags) == 0 ? 0 : errno;
#else
  (void)descriptor;
  (void)offset;
  (void)count;
  (void)wait;
  return 0;
#endif
}

#ifndef O_PATH
#define O_PATH O_RDONLY
#endif

int fathom_open_place(int place, const char *path, int follow) {
  return openat(place, path, O_PATH | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
}

int fathom_rename_new(const char *from, const char *to) {
#ifdef __linux__
  return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0 ? 0 : errno;
#else
  (void)from;
  (void)to;
  return ENOSYS;
#endif
}

int fathom_rename_exchange(const char *one, const char *other) {
#ifdef __linux__
  return renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) == 0 ? 0 : errno;
#else
  (void)one;
  (void)other;
  return ENOSYS;
#endif
}

int fathom_lock(int descriptor, int alone) {
  return flock(descriptor, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0 ? 0 : errno;
}

int fathom_reserve(int descriptor, int64_t offset, int64_t count) {
#ifdef __linux__
  return fallocate(descriptor, FALLOC_FL_KEEP_SIZE, offset, count) == 0 ? 0 : errno;
#else
  (void)descriptor;
  (void)offset;
  (void)count;
  return ENOSYS;
#endif
}

int fathom_clone(int target, int source) {
#ifdef FICLONE
  return ioctl(target, FICLONE, source) == 0 ? 0 : errno;
#else
  (void)target;
  (void)source;
  return ENOSYS;
#endif
}

void fathom_return_freed_pieces(void) {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 1 << 16);
  mallopt(M_TRIM_THRESHOLD, 1 << 17);
#endif
}

int fathom_columns(int descriptor) {
  struct winsize size;
  return ioctl(descriptor, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}
