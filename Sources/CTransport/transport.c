#include "transport.h"

#include <dlfcn.h>
#include <string.h>

// Numbers of curl/curl.h and curl/urlapi.h, none of which has ever changed its meaning.
enum {
  OPTION_URL = 10002, OPTION_HEADERS = 10023, OPTION_RANGE = 10007, OPTION_AUTHORITIES = 10065,
  OPTION_REASON = 10010,
  OPTION_BODY = 20011, OPTION_BODY_CONTEXT = 10001, OPTION_HEAD = 20079,
  OPTION_HEAD_CONTEXT = 10029, OPTION_PROGRESS = 20219, OPTION_PROGRESS_CONTEXT = 10057,
  OPTION_NO_PROGRESS = 43, OPTION_NO_SIGNAL = 99, OPTION_GET = 80, OPTION_FOLLOW = 52,
  OPTION_VERIFY_PEER = 64, OPTION_VERIFY_HOST = 81, OPTION_PROTOCOLS = 181,
  OPTION_HTTP_VERSION = 84, OPTION_CONNECT_SECONDS = 78, OPTION_STALL_BYTES = 19,
  OPTION_STALL_SECONDS = 20, OPTION_KEEPALIVE = 213, OPTION_BUFFER = 98, OPTION_NETRC = 51,
};
enum { HTTP_1_1 = 2, PROTOCOL_HTTP = 1, PROTOCOL_HTTPS = 2, GLOBAL_DEFAULT = 3 };
enum { PART_URL = 0, FLAG_DEFAULT_PORT = 1 };

static struct {
  int (*global_init)(long);
  const char *(*version)(void);
  void *(*open)(void);
  void (*close)(void *);
  void (*reset)(void *);
  int (*set)(void *, int, ...);
  int (*perform)(void *);
  const char *(*reason)(int);
  void *(*append)(void *, const char *);
  void (*free_list)(void *);
  void *(*address)(void);
  void (*free_address)(void *);
  int (*set_part)(void *, int, const char *, unsigned);
  int (*part)(void *, int, char **, unsigned);
  void (*free)(void *);
} curl;

int fathom_transport_load(void) {
  static int state;
  if (state != 0) return state > 0 ? 0 : -1;
  state = -1;
  // Debian has it once for each library of TLS.
  const char *names[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl-nss.so.4"};
  void *library = NULL;
  for (int i = 0; i < 3 && library == NULL; i++) library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) return -1;
  const struct {
    const char *name;
    void *place;
  } symbols[] = {
    {"curl_global_init", &curl.global_init}, {"curl_version", &curl.version},
    {"curl_easy_init", &curl.open}, {"curl_easy_cleanup", &curl.close},
    {"curl_easy_reset", &curl.reset}, {"curl_easy_setopt", &curl.set},
    {"curl_easy_perform", &curl.perform}, {"curl_easy_strerror", &curl.reason},
    {"curl_slist_append", &curl.append}, {"curl_slist_free_all", &curl.free_list},
    {"curl_url", &curl.address}, {"curl_url_cleanup", &curl.free_address},
    {"curl_url_set", &curl.set_part}, {"curl_url_get", &curl.part}, {"curl_free", &curl.free},
  };
  for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
    void *symbol = dlsym(library, symbols[i].name);
    if (symbol == NULL) return -1;
    memcpy(symbols[i].place, &symbol, sizeof symbol);
  }
  if (curl.global_init(GLOBAL_DEFAULT) != 0) return -1;
  state = 1;
  return 0;
}

const char *fathom_transport_version(void) {
  return curl.version == NULL ? "" : curl.version();
}

void *fathom_transport_open(void) { return curl.open(); }

void fathom_transport_close(void *handle) { curl.close(handle); }

void *fathom_transport_header(void *list, const char *line) { return curl.append(list, line); }

void fathom_transport_free_headers(void *list) { curl.free_list(list); }

static size_t take_head(char *bytes, size_t size, size_t count, void *context) {
  const fathom_request *request = context;
  return request->head(request->context, bytes, size * count) == 0 ? size * count : 0;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context) {
  const fathom_request *request = context;
  if (size * count == 0) return 0;
  return request->body(request->context, bytes, size * count) == 0 ? size * count : 0;
}

static int look_at_stop(void *context, int64_t a, int64_t b, int64_t c, int64_t d) {
  (void)a, (void)b, (void)c, (void)d;
  const fathom_request *request = context;
  return request->stop(request->context);
}

/// What an error of the library means for whoever asks.
static int outcome(int code) {
  switch (code) {
    case 0: return FATHOM_EXCHANGE_DONE;
    case 23: case 42: return FATHOM_EXCHANGE_ENDED;  // a callback took less, or said so
    // Hosts without an answer, connections that broke, time that ran out, a half-read answer.
    case 5: case 6: case 7: case 16: case 18: case 28: case 35: case 52: case 55: case 56: case 92:
    case 95: case 97: return FATHOM_EXCHANGE_BROKEN;
    default: return FATHOM_EXCHANGE_REFUSED;
  }
}

int fathom_transport_perform(void *handle, const fathom_request *request, char *reason) {
  reason[0] = 0;
  // Connections stay open, options do not.
  curl.reset(handle);
  int failed = 0;
  failed |= curl.set(handle, OPTION_REASON, reason);
  failed |= curl.set(handle, OPTION_URL, request->address);
  failed |= curl.set(handle, OPTION_HEADERS, request->headers);
  failed |= curl.set(handle, OPTION_RANGE, request->range);
  failed |= curl.set(handle, OPTION_GET, 1L);
  failed |= curl.set(handle, OPTION_BODY, take_body);
  failed |= curl.set(handle, OPTION_BODY_CONTEXT, request);
  failed |= curl.set(handle, OPTION_HEAD, take_head);
  failed |= curl.set(handle, OPTION_HEAD_CONTEXT, request);
  failed |= curl.set(handle, OPTION_PROGRESS, look_at_stop);
  failed |= curl.set(handle, OPTION_PROGRESS_CONTEXT, request);
  failed |= curl.set(handle, OPTION_NO_PROGRESS, 0L);
  failed |= curl.set(handle, OPTION_NO_SIGNAL, 1L);
  // Redirects are followed by the caller, who knows which host may see what; no file of passwords.
  failed |= curl.set(handle, OPTION_FOLLOW, 0L);
  failed |= curl.set(handle, OPTION_NETRC, 0L);
  failed |= curl.set(handle, OPTION_VERIFY_PEER, 1L);
  failed |= curl.set(handle, OPTION_VERIFY_HOST, 2L);
  failed |= curl.set(handle, OPTION_PROTOCOLS, (long)(PROTOCOL_HTTP | PROTOCOL_HTTPS));
  failed |= curl.set(handle, OPTION_HTTP_VERSION, (long)HTTP_1_1);
  failed |= curl.set(handle, OPTION_CONNECT_SECONDS, request->connect_seconds);
  failed |= curl.set(handle, OPTION_STALL_BYTES, 1L);
  failed |= curl.set(handle, OPTION_STALL_SECONDS, request->stall_seconds);
  failed |= curl.set(handle, OPTION_KEEPALIVE, 1L);
  curl.set(handle, OPTION_BUFFER, 262144L);
  if (request->authorities != NULL) {
    failed |= curl.set(handle, OPTION_AUTHORITIES, request->authorities);
  }
  int code = failed != 0 ? failed : curl.perform(handle);
  if (code != 0 && reason[0] == 0) {
    const char *words = failed != 0 ? "the library refuses an option" : curl.reason(code);
    strncpy(reason, words, FATHOM_REASON_BYTES - 1);
    reason[FATHOM_REASON_BYTES - 1] = 0;
  }
  // It must not be written to once the caller has gone.
  curl.set(handle, OPTION_REASON, NULL);
  return failed != 0 ? FATHOM_EXCHANGE_REFUSED : outcome(code);
}

void *fathom_transport_address(const char *base, const char *relative) {
  void *address = curl.address();
  if (address == NULL) return NULL;
  int code = base == NULL ? 0 : curl.set_part(address, PART_URL, base, 0);
  if (code == 0) code = curl.set_part(address, PART_URL, relative, 0);
  if (code == 0) return address;
  curl.free_address(address);
  return NULL;
}

void fathom_transport_free_address(void *address) { curl.free_address(address); }

char *fathom_transport_part(void *address, int part) {
  char *text = NULL;
  unsigned flags = part == FATHOM_ADDRESS_PORT ? FLAG_DEFAULT_PORT : 0;
  return curl.part(address, part, &text, flags) == 0 ? text : NULL;
}

void fathom_transport_free_part(char *part) { curl.free(part); }
