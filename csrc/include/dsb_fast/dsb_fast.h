/*
 * dsb_fast in C: samples of an exported model into a caller's buffer, with the bytes of the Python package.
 *
 * Every function that returns dsb_status leaves, where it is not DSB_OK, one line of text: dsb_last_error() has it for
 * the calling thread, dsb_model_error() for a model. Nothing is thrown and nothing is printed. Functions on one model
 * may be called from any number of threads at once, but for dsb_model_close. docs/embedding.md has the rules.
 *
 * A struct begins with its size, which the caller sets (the DSB_..._INIT macros do); fields are only ever added at the
 * end, and 0 is what one means that a caller does not know.
 */
#ifndef DSB_FAST_H
#define DSB_FAST_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define DSB_API __attribute__((visibility("default")))
#else
#define DSB_API
#endif

/* Raised by what is no longer compatible; the library's file name has it, too. */
#define DSB_ABI_VERSION 1

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t dsb_status;
enum {
  DSB_OK = 0,
  DSB_ERROR_ARGUMENT = 1,    /* null pointer, number out of range, buffer of another size */
  DSB_ERROR_FILE = 2,        /* no such file, or none that dsb_fast exported whole */
  DSB_ERROR_RUNTIME = 3,     /* ONNX Runtime is missing, too old or not what it should be */
  DSB_ERROR_DEVICE = 4,      /* the provider can't start here, or refuses the graph */
  DSB_ERROR_UNSUPPORTED = 5, /* this model or version does not have what was asked for */
  DSB_ERROR_GENERATION = 6,  /* the network could not run, or made values that are no numbers */
  DSB_ERROR_MEMORY = 7,
  DSB_ERROR_INTERNAL = 8,
  DSB_CANCELLED = 9, /* by dsb_cancellation_cancel */
  DSB_STOPPED = 10   /* by the callback of dsb_model_stream */
};

enum { DSB_KIND_ECG = 1, DSB_KIND_IMAGE = 2 };

/* What samples are written as. */
enum {
  DSB_FORMAT_NATIVE = 0,          /* microvolts or grey levels, as the model has them */
  DSB_FORMAT_INT16_MICROVOLT = 1, /* [leads][length] */
  DSB_FORMAT_UINT8_HWC = 2,       /* [height][width][channels] */
  DSB_FORMAT_FLOAT32 = 3          /* the network's own output: [leads][length], or [channels][height][width] */
};

enum { DSB_TYPE_INT16 = 1, DSB_TYPE_UINT8 = 2, DSB_TYPE_FLOAT32 = 3 };

enum { DSB_NOISE_DEFAULT = 0, DSB_NOISE_RANDOM = 1, DSB_NOISE_CONST = 2, DSB_NOISE_NONE = 3 };

typedef struct dsb_model dsb_model;
typedef struct dsb_cancellation dsb_cancellation;

/* Strings may be null, which means what is said first. */
typedef struct dsb_open_options {
  size_t size;
  const char* provider;            /* "cpu", "cuda", "cuda:1" */
  const char* precision;           /* "fp32" */
  const char* onnxruntime_library; /* file or folder; null: looked for, see docs/embedding.md */
  int32_t threads;                 /* batches that one call makes at once; 0: one for every core of this process */
  int32_t reserved;                /* 0 */
} dsb_open_options;
#define DSB_OPEN_OPTIONS_INIT {sizeof(dsb_open_options), NULL, NULL, NULL, 0, 0}

/* Which samples. All zero but `size` and `count` is a request for the first ones of seed 0. */
typedef struct dsb_request {
  size_t size;
  uint64_t seed;
  uint64_t start; /* number of the first sample */
  uint64_t count;
  double truncation; /* images: read where has_truncation is not 0; else the model's own */
  int64_t label;     /* conditional images: the class, read where has_label is not 0; else one drawn for each sample */
  int32_t has_truncation;
  int32_t has_label;
  int32_t format;     /* DSB_FORMAT_... */
  int32_t leads;      /* ECG: 8 or 12; 0: the model's own */
  int32_t noise;      /* images: DSB_NOISE_... */
  int32_t batch_size; /* samples a call of the network and of the callback; 0: what is fastest. No bit depends on it. */
  dsb_cancellation* cancellation; /* or null */
} dsb_request;
#define DSB_REQUEST_INIT {sizeof(dsb_request), 0, 0, 0, 0.0, 0, 0, 0, 0, 0, 0, 0, NULL}

/* What a request's samples look like. */
typedef struct dsb_layout {
  size_t size;
  int64_t shape[4]; /* of one sample, `rank` of them */
  size_t elements;  /* of one sample */
  size_t bytes;     /* of one sample */
  uint64_t batch_size;
  int32_t rank;
  int32_t type; /* DSB_TYPE_... */
} dsb_layout;
#define DSB_LAYOUT_INIT {sizeof(dsb_layout), {0, 0, 0, 0}, 0, 0, 0, 0, 0}

/* What a model is. Strings are UTF-8, belong to the model and are there until it is closed; none is null. */
typedef struct dsb_info {
  size_t size;
  const char* model; /* "cardiovascular.ecg" */
  const char* title;
  const char* flavour; /* "portable", "fused" */
  const char* licence;
  const char* citation;
  const char* synthetic; /* what to tell whoever gets the samples */
  const char* unit;      /* of the native format: "microvolt", "grey level" */
  const char* weights_sha256;
  const char* graph_sha256;
  const char* card;    /* JSON */
  const char* backend; /* "native", "onnxruntime-cpu", "onnxruntime-cuda" */
  const char* grade;   /* how equal two runs are: "exact", "repeatable", "near" (docs/identity.md) */
  const char* variant; /* of the kernels: "scalar", "avx2", ... */
  const char* onnxruntime_version;
  const char* onnxruntime_library;
  double sampling_rate_hz; /* ECG, else 0 */
  double truncation;       /* images: used where a request has none */
  int64_t labels;          /* classes of a conditional image model, else 0 */
  int32_t kind;            /* DSB_KIND_... */
  int32_t leads;           /* ECG: of the network; else 0 */
  int32_t threads;         /* batches that one call makes at once */
  int32_t noise;           /* images: DSB_NOISE_... that the file was exported with; else 0 */
} dsb_info;
#define DSB_INFO_INIT \
  {sizeof(dsb_info),  \
   NULL,              \
   NULL,              \
   NULL,              \
   NULL,              \
   NULL,              \
   NULL,              \
   NULL,              \
   NULL,              \
   NULL,              \
   NULL,              \
   NULL,              \
   NULL,              \
   NULL,              \
   NULL,              \
   NULL,              \
   0.0,               \
   0.0,               \
   0,                 \
   0,                 \
   0,                 \
   0,                 \
   0}

/* Gets samples `first` to `first + count - 1`, which are gone when it returns. 0 goes on, anything else stops. */
typedef int32_t (*dsb_batch_callback)(void* user, uint64_t first, uint64_t count, const void* samples, size_t bytes);

DSB_API int32_t dsb_abi_version(void);
DSB_API const char* dsb_version(void);
DSB_API const char* dsb_status_name(dsb_status status);

/* Text of the calling thread's last failure, "" before the first; valid until its next call. */
DSB_API const char* dsb_last_error(void);

/* Opens a file that `dsb-fast export` wrote. `options` may be null. *model is null unless all went well. */
DSB_API dsb_status dsb_model_open(const char* path, const dsb_open_options* options, dsb_model** model);

/* Null is allowed. No other call on the model may be under way. */
DSB_API void dsb_model_close(dsb_model* model);

/* Text of the last call on this model that failed, on whichever thread; valid until the calling thread asks again. */
DSB_API const char* dsb_model_error(const dsb_model* model);

DSB_API dsb_status dsb_model_info(const dsb_model* model, dsb_info* info);

/* A metadata property of the file. *value belongs to the model. */
DSB_API dsb_status dsb_model_property(const dsb_model* model, const char* name, const char** value);

/* Name of lead `index` where `leads` of them (8, 12; 0: the model's own) are asked for. */
DSB_API dsb_status dsb_model_lead(const dsb_model* model, int32_t leads, int32_t index, const char** name);

/* Checks a request, but for its range, and tells what its samples look like. */
DSB_API dsb_status dsb_model_layout(const dsb_model* model, const dsb_request* request, dsb_layout* layout);

/*
 * Samples start to start + count - 1 into `buffer`, one after the other: exactly count * dsb_layout.bytes bytes,
 * aligned for their type. After a failure nothing is promised of what is in it.
 */
DSB_API dsb_status dsb_model_generate(dsb_model* model, const dsb_request* request, void* buffer, size_t bytes);

/*
 * The same samples batch after batch, in order, to `callback` on the calling thread, while later ones are made on
 * others; memory does not grow with count. The callback may call anything but dsb_model_close on this model.
 */
DSB_API dsb_status dsb_model_stream(dsb_model* model, const dsb_request* request, dsb_batch_callback callback,
                                    void* user);

/*
 * What ends the calls that were given it, from any thread: those under way soon, later ones at once. To be destroyed
 * when no call has it any more; null is allowed.
 */
DSB_API dsb_status dsb_cancellation_create(dsb_cancellation** cancellation);
DSB_API void dsb_cancellation_cancel(dsb_cancellation* cancellation);
DSB_API void dsb_cancellation_destroy(dsb_cancellation* cancellation);

#ifdef __cplusplus
}
#endif

#endif
