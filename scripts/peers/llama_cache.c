// What llama.cpp says of its caches for a context of 65,536 tokens in F16: llama_cache MODEL
#include <stdio.h>
#include <string.h>

#include "llama.h"

static void show(enum ggml_log_level level, const char *text, void *data) {
  (void)data;
  if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
  if (!strstr(text, "KV buffer size")) return;
  fputs(text, stdout);
  // Some networks end the process once their caches are there.
  fflush(stdout);
}

int main(int count, char **arguments) {
  if (count != 2) return 64;
  llama_log_set(show, NULL);
  llama_backend_init();
  struct llama_model *model =
      llama_model_load_from_file(arguments[1], llama_model_default_params());
  if (!model) return 1;
  struct llama_context_params parameters = llama_context_default_params();
  parameters.n_ctx = 65536;
  parameters.n_batch = parameters.n_ubatch = 32;
  parameters.n_threads = parameters.n_threads_batch = 1;
  return llama_init_from_model(model, parameters) ? 0 : 1;
}
