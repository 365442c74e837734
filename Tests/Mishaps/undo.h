#ifndef FATHOM_MISHAPS_UNDO_H
#define FATHOM_MISHAPS_UNDO_H

// What a power cut takes back: all that no flush has made durable, the latest first.

/// Something has come into being under this path.
void undo_creation(const char *path);
/// Something has got another name; `flags` are those of renameat2.
void undo_renaming(const char *from, const char *to, unsigned int flags);
/// Bytes or the size of a file will change.
void undo_before_writing(const char *path);
/// They have changed.
void undo_writing(const char *path);
/// A file, or the names in a folder, have been flushed.
void undo_no_longer(const char *path);
/// Takes everything back.
void undo_all(void);

#endif
