/*
 * Writes ECGs as deepfake-ecg does: <number>.asc, a line a time step, whole microvolts with one blank between leads.
 *
 * write_asc ecg.onnx 100 FOLDER [SEED]
 */
#include <dsb_fast/dsb_fast.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct writer {
  const char* folder;
  dsb_layout layout;
  char problem[512];
};

static int write_sample(struct writer* writer, uint64_t number, const int16_t* signal_uv) {
  const int64_t leads = writer->layout.shape[0], length = writer->layout.shape[1];
  char path[512];
  FILE* file;
  int failed;
  snprintf(path, sizeof path, "%s/%" PRIu64 ".asc", writer->folder, number);
  file = fopen(path, "w");
  if (!file) {
    snprintf(writer->problem, sizeof writer->problem, "%.400s: %s", path, strerror(errno));
    return 1;
  }
  for (int64_t t = 0; t < length; ++t)
    for (int64_t lead = 0; lead < leads; ++lead)
      fprintf(file, lead + 1 < leads ? "%d " : "%d\n", signal_uv[lead * length + t]);
  failed = ferror(file);
  if (fclose(file) || failed) {
    snprintf(writer->problem, sizeof writer->problem, "%.400s: it can't be written", path);
    return 1;
  }
  return 0;
}

/* The samples of a batch; they are gone when this returns. */
static int32_t write_batch(void* user, uint64_t first, uint64_t count, const void* samples, size_t bytes) {
  struct writer* writer = user;
  const int16_t* signal_uv = samples;
  (void)bytes;
  for (uint64_t k = 0; k < count; ++k)
    if (write_sample(writer, first + k, signal_uv + k * writer->layout.elements)) return 1;
  return 0;
}

int main(int count, char** words) {
  dsb_model* model = NULL;
  dsb_request request = DSB_REQUEST_INIT;
  struct writer writer = {NULL, DSB_LAYOUT_INIT, ""};
  dsb_status status;
  if (count < 4 || count > 5) {
    fprintf(stderr, "usage: write_asc MODEL.onnx COUNT FOLDER [SEED]\n");
    return 2;
  }
  request.count = strtoull(words[2], NULL, 10);
  request.seed = count > 4 ? strtoull(words[4], NULL, 10) : 0;
  request.format = DSB_FORMAT_INT16_MICROVOLT;
  writer.folder = words[3];
  status = dsb_model_open(words[1], NULL, &model);
  if (status == DSB_OK) status = dsb_model_layout(model, &request, &writer.layout);
  if (status == DSB_OK) status = dsb_model_stream(model, &request, write_batch, &writer);
  if (status != DSB_OK) fprintf(stderr, "write_asc: %s\n", status == DSB_STOPPED ? writer.problem : dsb_last_error());
  dsb_model_close(model);
  return status == DSB_OK ? 0 : 1;
}
