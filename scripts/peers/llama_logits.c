// Logits of llama.cpp for token ids, as F32: llama_logits MODEL IDS OUT [default]
// IDS holds 32-bit ids; OUT gets (tokens, vocabulary). Attention and its cache run in F32, or as they
// do by default.
#include <stdio.h>
#include <stdlib.h>

#include "llama.h"

static void quiet(enum ggml_log_level level, const char *text, void *data) {
  (void)data;
  if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

int main(int count, char **arguments) {
  if (count != 4 && count != 5) return 64;
  llama_log_set(quiet, NULL);
  llama_backend_init();
  struct llama_model *model =
      llama_model_load_from_file(arguments[1], llama_model_default_params());
  if (!model) return 1;
  FILE *file = fopen(arguments[2], "rb");
  if (!file) return 66;
  llama_token ids[4096];
  int tokens = (int)fread(ids, sizeof *ids, 4096, file);
  fclose(file);
  struct llama_context_params parameters = llama_context_default_params();
  parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = 4096;
  parameters.n_threads = parameters.n_threads_batch = 1;
  if (count == 4) {
    parameters.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    parameters.type_k = parameters.type_v = GGML_TYPE_F32;
  }
  struct llama_context *context = llama_init_from_model(model, parameters);
  if (!context) return 1;
  struct llama_batch batch = llama_batch_init(tokens, 0, 1);
  batch.n_tokens = tokens;
  for (int i = 0; i < tokens; i++) {
    batch.token[i] = ids[i];
    batch.pos[i] = i;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = 1;
  }
  if (llama_decode(context, batch) != 0) return 1;
  int vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));
  file = fopen(arguments[3], "wb");
  if (!file) return 73;
  for (int i = 0; i < tokens; i++) {
    fwrite(llama_get_logits_ith(context, i), sizeof(float), (size_t)vocabulary, file);
  }
  return fclose(file) == 0 ? 0 : 74;
}
