#ifndef FATHOM_MISHAPS_H
#define FATHOM_MISHAPS_H

/// A library to preload into the command: it lets calls of the system go wrong, one at a time.
///
/// Calls that change files below `MISHAP_UNDER`, or make changes last, are counted. With `MISHAP_LOG` each gets a line in
/// that file. The call of number `MISHAP_AT` meets with `MISHAP_KIND`:
///
/// - a number: it fails with that error number; with `MISHAP_STAYS` all later calls of its kind do;
/// - `kill`: the process ends before it;
/// - `truncate`, `overwrite`: half of the file `MISHAP_TARGET` goes, or its last byte changes;
/// - `interrupt`: the process gets SIGINT before it;
/// - `powercut`: the process ends before it, and everything that was not flushed is undone:
///   bytes of files, new files and folders, new names;
/// - `powercut-after`: the same when the call is over.
///
/// `MISHAP_NAME` counts the calls of one name alone, which may be `pread` as well, `MISHAP_COUNTED` those for paths alone that
/// begin so. With `MISHAP_ROOMY` a disk seems to have room
/// for everything until it is full.
void fathom_mishaps(void);

#endif
