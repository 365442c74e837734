#include <oniguruma.h>

// Macros and a variadic function, which Swift does not import.

static inline OnigEncoding fathom_onig_utf8(void) { return ONIG_ENCODING_UTF8; }

static inline int fathom_onig_initialize(void) {
  OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
  return onig_initialize(encodings, 1);
}

static inline int fathom_onig_new(OnigRegex *regex, const OnigUChar *pattern,
                                  const OnigUChar *end, OnigErrorInfo *info) {
  return onig_new(regex, pattern, end, ONIG_OPTION_NONE, ONIG_ENCODING_UTF8, ONIG_SYNTAX_DEFAULT,
                  info);
}

// Some codes of onig_new name a part of the pattern and read `info`.
static inline int fathom_onig_message(OnigUChar *text, int code, OnigErrorInfo *info) {
  return onig_error_code_to_str(text, code, info);
}
