// A library to preload into the command: it lets calls of the system go wrong, one at a time.
//
// Calls that change files below `MISHAP_UNDER`, or make changes last, are counted. With `MISHAP_LOG` each gets a line in
// that file. The call of number `MISHAP_AT` meets with `MISHAP_KIND`:
//
// - a number: it fails with that error number; with `MISHAP_STAYS` all later calls of its kind do;
// - `kill`: the process ends before it;
// - `truncate`, `overwrite`: half of the file `MISHAP_TARGET` goes, or its last byte changes;
// - `interrupt`: the process gets SIGINT before it;
// - `powercut`: the process ends before it, and everything that was not flushed is undone:
//   bytes of files, new files and folders, new names;
// - `powercut-after`: the same when the call is over.
//
// `MISHAP_NAME` counts the calls of one name alone, which may be `pread` as well, `MISHAP_COUNTED` those for paths alone that
// begin so. With `MISHAP_ROOMY` a disk seems to have room
// for everything until it is full.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "undo.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long count;
static char failing[32];
// Whether the power goes when the call at hand is over.
static int cuts_after;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int begins_with(const char *path, const char *beginning) {
  return strncmp(path, beginning, strlen(beginning)) == 0;
}

static int is_below(const char *path) {
  const char *under = getenv("MISHAP_UNDER");
  return under != NULL && begins_with(path, under);
}

// The path of an open file; a file that was removed since has none.
static int path_of(int descriptor, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t size = readlink(link, path, PATH_MAX - 1);
  if (size < 0) {
    return 0;
  }
  path[size] = 0;
  return 1;
}

static void note(const char *name, const char *path) {
  const char *log = getenv("MISHAP_LOG");
  if (log == NULL) {
    return;
  }
  char line[PATH_MAX + 64];
  int size = snprintf(line, sizeof line, "%ld %s %s\n", count, name, path);
  int descriptor = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor >= 0) {
    if (REAL(write)(descriptor, line, (size_t)size) < 0) {
      abort();
    }
    REAL(close)(descriptor);
  }
}

// Does to a file what somebody else might do while it is being read.
static void spoil(const char *path, int truncates) {
  struct stat status;
  const int descriptor = REAL(open)(path, O_RDWR | O_CLOEXEC);
  if (descriptor < 0 || fstat(descriptor, &status) != 0) {
    abort();
  }
  const int done = truncates ? REAL(ftruncate)(descriptor, status.st_size / 2) == 0
                             : REAL(pwrite)(descriptor, "x", 1, status.st_size - 1) == 1;
  if (!done) {
    abort();
  }
  REAL(close)(descriptor);
}

// Does to a name what somebody else might do in the moment before it is replaced: what has it
// becomes NAME.gone, and NAME.new takes it.
static void swap(const char *path) {
  char gone[PATH_MAX];
  char new[PATH_MAX];
  snprintf(gone, sizeof gone, "%s.gone", path);
  snprintf(new, sizeof new, "%s.new", path);
  if (REAL(rename)(path, gone) != 0 || REAL(rename)(new, path) != 0) {
    abort();
  }
}

// Counts a call, with the lock held; returns the error number that it fails with, or 0.
static int meet(const char *name, const char *path) {
  const char *only = getenv("MISHAP_NAME");
  const char *at = getenv("MISHAP_AT");
  const char *kind = getenv("MISHAP_KIND");
  const char *counted = getenv("MISHAP_COUNTED");
  if (!is_below(path) || (only != NULL && strcmp(only, name) != 0) ||
      (counted != NULL && !begins_with(path, counted))) {
    return 0;
  }
  count++;
  note(name, path);
  if (at == NULL || kind == NULL) {
    return 0;
  }
  if (count == atol(at)) {
    if (strcmp(kind, "powercut") == 0) {
      undo_all();
      kill(getpid(), SIGKILL);
    } else if (strcmp(kind, "powercut-after") == 0) {
      cuts_after = 1;
    } else if (strcmp(kind, "kill") == 0) {
      kill(getpid(), SIGKILL);
    } else if (strcmp(kind, "interrupt") == 0) {
      kill(getpid(), SIGINT);
    } else if (strcmp(kind, "hangup") == 0) {
      kill(getpid(), SIGHUP);
    } else if (strcmp(kind, "wait") == 0) {
      // Longer than a line of progress takes to be due.
      usleep(1200000);
    } else if (strcmp(kind, "swap") == 0) {
      swap(getenv("MISHAP_TARGET"));
    } else if (strcmp(kind, "truncate") == 0 || strcmp(kind, "overwrite") == 0) {
      spoil(getenv("MISHAP_TARGET"), strcmp(kind, "truncate") == 0);
    } else {
      snprintf(failing, sizeof failing, "%s", name);
      return atoi(kind);
    }
  }
  const int stays = getenv("MISHAP_STAYS") != NULL && strcmp(failing, name) == 0;
  return stays ? atoi(kind) : 0;
}

// Runs `call` unless the mishap takes its place; `before` and `keep` note how to undo it.
#define MEET(name, path, before, call, keep)  \
  pthread_mutex_lock(&lock);                  \
  int code = meet(name, path);                \
  if (is_below(path)) {                       \
    before;                                   \
  }                                           \
  __typeof__(call) result = code ? -1 : call; \
  const int saved = code ? code : errno;      \
  if (result >= 0 && is_below(path)) {        \
    keep;                                     \
  }                                           \
  if (cuts_after) {                           \
    undo_all();                               \
    kill(getpid(), SIGKILL);                  \
  }                                           \
  pthread_mutex_unlock(&lock);                \
  errno = saved;                              \
  return result

static int open_any(const char *path, int flags, mode_t mode) {
  if (!is_below(path) || (flags & (O_WRONLY | O_RDWR | O_CREAT)) == 0) {
    return REAL(open)(path, flags, mode);
  }
  struct stat status;
  const int is_new = (flags & O_CREAT) && lstat(path, &status) != 0;
  MEET("open", path, (void)0, REAL(open)(path, flags, mode), if (is_new) undo_creation(path));
}

int open(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return open_any(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return open_any(path, flags, mode);
}

int mkdir(const char *path, mode_t mode) {
  MEET("mkdir", path, (void)0, REAL(mkdir)(path, mode), undo_creation(path));
}

ssize_t write(int descriptor, const void *bytes, size_t size) {
  char path[PATH_MAX] = "";
  if (!path_of(descriptor, path) || !is_below(path)) {
    return REAL(write)(descriptor, bytes, size);
  }
  MEET("write", path, undo_before_writing(path), REAL(write)(descriptor, bytes, size), undo_writing(path));
}

ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t offset) {
  char path[PATH_MAX] = "";
  if (!path_of(descriptor, path) || !is_below(path)) {
    return REAL(pwrite)(descriptor, bytes, size, offset);
  }
  MEET("pwrite", path, undo_before_writing(path), REAL(pwrite)(descriptor, bytes, size, offset), undo_writing(path));
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t size, off64_t offset) {
  return pwrite(descriptor, bytes, size, offset);
}

ssize_t pread(int descriptor, void *bytes, size_t size, off_t offset) {
  // Reading changes nothing that could be lost: it counts only where it is asked for.
  const char *only = getenv("MISHAP_NAME");
  char path[PATH_MAX] = "";
  if (only == NULL || strcmp(only, "pread") != 0 || !path_of(descriptor, path)) {
    return REAL(pread)(descriptor, bytes, size, offset);
  }
  MEET("pread", path, (void)0, REAL(pread)(descriptor, bytes, size, offset), (void)0);
}

ssize_t pread64(int descriptor, void *bytes, size_t size, off64_t offset) {
  return pread(descriptor, bytes, size, offset);
}

#define ON_DESCRIPTOR(name, parameters, arguments, before, keep)   \
  int name parameters {                                            \
    char path[PATH_MAX] = "";                                      \
    if (!path_of(descriptor, path)) {                              \
      return REAL(name) arguments;                                 \
    }                                                              \
    MEET(#name, path, before, REAL(name) arguments, keep);         \
  }

ON_DESCRIPTOR(fdatasync, (int descriptor), (descriptor), (void)0, undo_no_longer(path))
ON_DESCRIPTOR(fsync, (int descriptor), (descriptor), (void)0, undo_no_longer(path))
ON_DESCRIPTOR(
    ftruncate, (int descriptor, off_t size), (descriptor, size), undo_before_writing(path),
    undo_writing(path))
ON_DESCRIPTOR(
    ftruncate64, (int descriptor, off64_t size), (descriptor, size), undo_before_writing(path),
    undo_writing(path))
ON_DESCRIPTOR(
    flock, (int descriptor, int operation), (descriptor, operation), (void)0, (void)0)
ON_DESCRIPTOR(
    fallocate, (int descriptor, int mode, off_t offset, off_t size),
    (descriptor, mode, offset, size), (void)0, (void)0)
ON_DESCRIPTOR(
    sync_file_range, (int descriptor, off64_t offset, off64_t size, unsigned int flags),
    (descriptor, offset, size, flags), (void)0, (void)0)

int rename(const char *from, const char *to) {
  MEET("rename", to, (void)0, REAL(rename)(from, to), undo_renaming(from, to, 0));
}

int renameat2(int one, const char *from, int other, const char *to, unsigned int flags) {
  MEET("renameat2", to, (void)0, REAL(renameat2)(one, from, other, to, flags),
       undo_renaming(from, to, flags));
}

int unlink(const char *path) { MEET("unlink", path, (void)0, REAL(unlink)(path), (void)0); }

int unlinkat(int folder, const char *name, int flags) {
  char path[PATH_MAX] = "";
  if (!path_of(folder, path) || strlen(path) + strlen(name) + 2 > sizeof path) {
    return REAL(unlinkat)(folder, name, flags);
  }
  strcat(strcat(path, "/"), name);
  MEET("unlinkat", path, (void)0, REAL(unlinkat)(folder, name, flags), (void)0);
}

int rmdir(const char *path) { MEET("rmdir", path, (void)0, REAL(rmdir)(path), (void)0); }

int statvfs(const char *path, struct statvfs *status) {
  const int result = REAL(statvfs)(path, status);
  if (result == 0 && is_below(path) && getenv("MISHAP_ROOMY") != NULL) {
    status->f_bavail = status->f_blocks + (1ul << 40);
  }
  return result;
}
