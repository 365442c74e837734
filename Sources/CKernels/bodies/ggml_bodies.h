// Everything that a level's file of block kernels includes.
#include "ggml_lanes.h"
#include "ggml_scalar.h"
#include "ggml_offset.h"
#include "ggml_positive.h"
#include "ggml_q45k.h"
