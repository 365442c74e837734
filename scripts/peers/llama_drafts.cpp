// Logits of llama.cpp's predictor of a further token, as F32: llama_drafts MODEL MTP-FILE IDS OUT
// IDS holds 32-bit ids; OUT gets (tokens - 1, vocabulary): row i is what the predictor makes of the
// main model's streams at i and of token i + 1, which stands at position i + 1. Caches are F32.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "llama.h"
#include "../src/llama-ext.h"

static void quiet(ggml_log_level level, const char *text, void *) {
  if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

static llama_context *open_context(llama_model *model, llama_context_type type,
                                   llama_context *other) {
  llama_context_params parameters = llama_context_default_params();
  parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = 4096;
  parameters.n_threads = parameters.n_threads_batch = 1;
  parameters.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  parameters.type_k = parameters.type_v = GGML_TYPE_F32;
  parameters.ctx_type = type;
  parameters.ctx_other = other;
  return llama_init_from_model(model, parameters);
}

static llama_batch make_batch(const std::vector<llama_token> &ids, int first) {
  int count = (int)ids.size() - first;
  llama_batch batch = llama_batch_init(count, 0, 1);
  batch.n_tokens = count;
  for (int i = 0; i < count; i++) {
    batch.token[i] = ids[(size_t)(i + first)];
    batch.pos[i] = i + first;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = 1;
  }
  return batch;
}

int main(int count, char **arguments) {
  if (count != 5) return 64;
  llama_log_set(quiet, nullptr);
  llama_backend_init();
  llama_model *model = llama_model_load_from_file(arguments[1], llama_model_default_params());
  llama_model_params parameters = llama_model_default_params();
  parameters.load_mtp = true;
  llama_model *predictor = llama_model_load_from_file(arguments[2], parameters);
  if (!model || !predictor) return 1;
  FILE *file = fopen(arguments[3], "rb");
  if (!file) return 66;
  std::vector<llama_token> ids(4096);
  ids.resize(fread(ids.data(), sizeof(llama_token), ids.size(), file));
  fclose(file);
  llama_context *main_context = open_context(model, LLAMA_CONTEXT_TYPE_DEFAULT, nullptr);
  if (!main_context) return 1;
  llama_set_embeddings_nextn(main_context, true, false);
  if (llama_decode(main_context, make_batch(ids, 0)) != 0) return 1;
  size_t width = (size_t)llama_model_n_embd_out(model);
  if (width != (size_t)llama_model_n_embd_out(predictor)) return 1;
  std::vector<float> streams(width * (ids.size() - 1));
  memcpy(streams.data(), llama_get_embeddings_nextn(main_context), streams.size() * sizeof(float));
  llama_context *context = open_context(predictor, LLAMA_CONTEXT_TYPE_MTP, main_context);
  if (!context) return 1;
  llama_set_embeddings_nextn(context, true, true);
  llama_batch batch = make_batch(ids, 1);
  batch.embd = streams.data();
  if (llama_decode(context, batch) != 0) return 1;
  size_t vocabulary = (size_t)llama_vocab_n_tokens(llama_model_get_vocab(predictor));
  file = fopen(arguments[4], "wb");
  if (!file) return 73;
  for (int i = 0; i < batch.n_tokens; i++) {
    fwrite(llama_get_logits_ith(context, i), sizeof(float), vocabulary, file);
  }
  return fclose(file) == 0 ? 0 : 74;
}
