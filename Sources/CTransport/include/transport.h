#ifndef FATHOM_TRANSPORT_H
#define FATHOM_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

// HTTP by libcurl, which is loaded when the first address is read: nothing is needed to build, and a
// program that reads what lies on its own disk needs no library and starts as fast as without. Names
// and numbers are those of libcurl's stable interface (version 4 of its soname, since 2006).

/// Loads the library, once; callers take turns. Returns 0, or -1 where there is none, or one from
/// before 7.62 (2018), which cannot take addresses apart.
int fathom_transport_load(void);

/// What the library says of itself; empty before it is loaded.
const char *fathom_transport_version(void);

/// A connection that is used again and again, by one thread at a time; null where there is no memory.
void *_Nullable fathom_transport_open(void);
void fathom_transport_close(void *handle);

/// A list of header lines, which grows at its end; null where there is no memory.
void *_Nullable fathom_transport_header(void *_Nullable list, const char *line);
void fathom_transport_free_headers(void *_Nullable list);

/// One request, by GET.
typedef struct {
  const char *address;
  /// Made by `fathom_transport_header`.
  void *_Nullable headers;
  /// `0-99`; null for the whole.
  const char *_Nullable range;
  /// A file of certificates that vouch for servers; null for the library's own.
  const char *_Nullable authorities;
  /// The answer ends where fewer bytes than one came for so many seconds.
  long stall_seconds;
  long connect_seconds;
  void *context;
  /// Takes a line of the answer's head; what is not 0 ends it.
  int (*head)(void *context, const char *line, size_t count);
  /// Takes bytes of its body; what is not 0 ends it.
  int (*body)(void *context, const void *bytes, size_t count);
  /// Asked now and then; what is not 0 ends it.
  int (*stop)(void *context);
} fathom_request;

/// How an exchange ended.
enum {
  FATHOM_EXCHANGE_DONE = 0,
  /// A callback ended it.
  FATHOM_EXCHANGE_ENDED = 1,
  /// The connection failed or broke: another try may succeed.
  FATHOM_EXCHANGE_BROKEN = 2,
  /// It cannot succeed: the certificate, the address.
  FATHOM_EXCHANGE_REFUSED = 3,
};

enum { FATHOM_REASON_BYTES = 256 };

/// Carries a request out. `reason` takes FATHOM_REASON_BYTES and says why it failed.
int fathom_transport_perform(void *handle, const fathom_request *request, char *reason);

/// The parts of an address.
enum {
  FATHOM_ADDRESS_WHOLE = 0, FATHOM_ADDRESS_SCHEME = 1, FATHOM_ADDRESS_USER = 2,
  FATHOM_ADDRESS_HOST = 5, FATHOM_ADDRESS_PORT = 6, FATHOM_ADDRESS_PATH = 7,
  FATHOM_ADDRESS_QUERY = 8,
};

/// Takes an address apart, `relative` as it is meant at `base`. Returns null where that is none;
/// `fathom_transport_free_address` frees it.
void *_Nullable fathom_transport_address(const char *_Nullable base, const char *relative);
void fathom_transport_free_address(void *address);
/// A part of it, which `fathom_transport_free_part` frees; null where it has none.
char *_Nullable fathom_transport_part(void *address, int part);
void fathom_transport_free_part(char *part);

#pragma clang assume_nonnull end

#endif
