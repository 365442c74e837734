// Times llama.cpp's prompt processing: llama_forward MODEL IDS THREADS PASSES
// IDS holds 32-bit ids. Prints JSON: seconds of loading, and of each pass, wall and processor,
// first with the logits of every token, then with those of the last one alone.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "llama.h"

enum { MOST = 4096 };

static void quiet(enum ggml_log_level level, const char *text, void *data) {
  (void)data;
  if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

static double seconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// One pass over an empty cache.
static int pass(struct llama_context *context, struct llama_batch batch, int all) {
  llama_memory_clear(llama_get_memory(context), true);
  for (int i = 0; i < batch.n_tokens; i++) batch.logits[i] = all || i == batch.n_tokens - 1;
  if (llama_decode(context, batch) != 0) return 1;
  llama_synchronize(context);
  return 0;
}

int main(int count, char **arguments) {
  if (count != 5) return 64;
  double start = seconds(CLOCK_MONOTONIC);
  llama_log_set(quiet, NULL);
  llama_backend_init();
  struct llama_model *model =
      llama_model_load_from_file(arguments[1], llama_model_default_params());
  FILE *file = fopen(arguments[2], "rb");
  if (!model || !file) return 66;
  llama_token ids[MOST];
  int tokens = (int)fread(ids, sizeof *ids, MOST, file);
  fclose(file);
  struct llama_context_params parameters = llama_context_default_params();
  parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = (uint32_t)tokens;
  parameters.n_threads = parameters.n_threads_batch = atoi(arguments[3]);
  struct llama_context *context = llama_init_from_model(model, parameters);
  if (!context) return 1;
  struct llama_batch batch = llama_batch_init(tokens, 0, 1);
  batch.n_tokens = tokens;
  for (int i = 0; i < tokens; i++) {
    batch.token[i] = ids[i];
    batch.pos[i] = i;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
  }
  double loaded = seconds(CLOCK_MONOTONIC);
  if (pass(context, batch, 1)) return 1;
  printf("{\"load\": %.3f, \"warm\": %.3f", loaded - start, seconds(CLOCK_MONOTONIC) - loaded);
  for (int all = 1; all >= 0; all--) {
    double wall[64], used[64];
    int passes = atoi(arguments[4]) < 64 ? atoi(arguments[4]) : 64;
    for (int i = 0; i < passes; i++) {
      double from = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
      if (pass(context, batch, all)) return 1;
      wall[i] = seconds(CLOCK_MONOTONIC) - from;
      used[i] = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    }
    for (int kind = 0; kind < 2; kind++) {
      printf(", \"%s_%s\": [", all ? "all" : "last", kind ? "cpu" : "wall");
      for (int i = 0; i < passes; i++) printf("%s%.3f", i ? ", " : "", kind ? used[i] : wall[i]);
      printf("]");
    }
  }
  printf("}\n");
  return 0;
}
