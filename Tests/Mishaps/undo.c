#define _GNU_SOURCE
#include "undo.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

enum kind { gone, created, renamed };

static struct {
  enum kind kind;
  unsigned int flags;
  char from[PATH_MAX];
  char to[PATH_MAX];
} names[512];
static int name_count;

// Files by number, since they keep their bytes under another name.
static struct {
  ino_t number;
  char path[PATH_MAX];
  off_t safe;
  int is_dirty;
} files[512];
static int file_count;
// A name that no file has, on the way of an exchange.
static const char between[] = "/dev/null/between";

static void remember(enum kind kind, const char *from, const char *to, unsigned int flags) {
  if (name_count == sizeof names / sizeof *names) {
    abort();
  }
  names[name_count].kind = kind;
  names[name_count].flags = flags;
  snprintf(names[name_count].from, PATH_MAX, "%s", from);
  snprintf(names[name_count].to, PATH_MAX, "%s", to);
  name_count++;
}

void undo_creation(const char *path) { remember(created, "", path, 0); }

// Lets a path follow a renaming of itself or of a folder above it.
static void follow(char *path, const char *from, const char *to) {
  const size_t size = strlen(from);
  char moved[PATH_MAX];
  if (strncmp(path, from, size) == 0 && (path[size] == 0 || path[size] == '/')) {
    if (snprintf(moved, sizeof moved, "%s%s", to, path + size) >= PATH_MAX) {
      abort();
    }
    strcpy(path, moved);
  }
}

// Where things are after a renaming; new names that are not durable move with their folder.
static void follow_all(const char *from, const char *to, int count) {
  for (int i = 0; i < file_count; i++) {
    follow(files[i].path, from, to);
  }
  for (int i = 0; i < count; i++) {
    follow(names[i].to, from, to);
  }
}

static void follow_renaming(const char *from, const char *to, unsigned int flags, int count) {
  if (flags & RENAME_EXCHANGE) {
    follow_all(to, between, count);
    follow_all(from, to, count);
    follow_all(between, from, count);
  } else {
    follow_all(from, to, count);
  }
}

void undo_renaming(const char *from, const char *to, unsigned int flags) {
  follow_renaming(from, to, flags, name_count);
  remember(renamed, from, to, flags);
}

static int file_at(const char *path) {
  struct stat status;
  if (stat(path, &status) != 0) {
    return -1;
  }
  for (int i = 0; i < file_count; i++) {
    if (files[i].number == status.st_ino) {
      return i;
    }
  }
  if (file_count == sizeof files / sizeof *files) {
    abort();
  }
  files[file_count].number = status.st_ino;
  files[file_count].safe = status.st_size;
  files[file_count].is_dirty = 0;
  snprintf(files[file_count].path, PATH_MAX, "%s", path);
  return file_count++;
}

void undo_before_writing(const char *path) { file_at(path); }

void undo_writing(const char *path) {
  const int file = file_at(path);
  struct stat status;
  if (file < 0 || stat(path, &status) != 0) {
    return;
  }
  files[file].is_dirty = 1;
  if (status.st_size < files[file].safe) {
    files[file].safe = status.st_size;
  }
}

static int holds(const char *folder, const char *path) {
  const size_t size = strlen(folder);
  return strncmp(folder, path, size) == 0 && path[size] == '/' &&
         strchr(path + size + 1, '/') == NULL;
}

void undo_no_longer(const char *path) {
  struct stat status;
  const int file = file_at(path);
  if (file >= 0 && stat(path, &status) == 0) {
    files[file].safe = status.st_size;
    files[file].is_dirty = 0;
  }
  for (int i = 0; i < name_count; i++) {
    if (holds(path, names[i].to)) {
      names[i].kind = gone;
    }
  }
}

void undo_all(void) {
  for (int i = 0; i < file_count; i++) {
    // One that has been removed has nothing to be undone.
    if (files[i].is_dirty && access(files[i].path, F_OK) == 0 &&
        truncate(files[i].path, files[i].safe) != 0) {
      abort();
    }
  }
  for (int i = name_count - 1; i >= 0; i--) {
    char command[PATH_MAX + 64];
    switch (names[i].kind) {
    case created:
      // The shell has no use for this library, nor for what a sanitizer adds to it.
      unsetenv("LD_PRELOAD");
      snprintf(command, sizeof command, "rm -rf '%s'", names[i].to);
      if (system(command) != 0) {
        abort();
      }
      break;
    case renamed:
      REAL(renameat2)(AT_FDCWD, names[i].to, AT_FDCWD, names[i].from, names[i].flags);
      follow_renaming(names[i].to, names[i].from, names[i].flags, i);
      break;
    case gone:
      break;
    }
  }
}
