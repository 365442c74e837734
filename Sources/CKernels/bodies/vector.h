// The rows of a forward pass. Sums are taken in 64 lanes and then pairwise, on every level, so all
// levels give the same bits.
#pragma STDC FP_CONTRACT OFF

enum { SUM_LANES = 64 };

// The sum of the lanes in pairs, which leaves them changed.
BODY float fold(float *sums) {
  for (int half = SUM_LANES / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; i++) sums[i] += sums[i + half];
  }
  return sums[0];
}

// The twin of Exponential.swift, with fused steps.
BODY float exponential_one(float x) {
  x = x > 89.0f ? 89.0f : x;
  x = x < -104.0f ? -104.0f : x;
  float shifted = __builtin_fmaf(x, 1.44269504f, 12582912.0f);
  float n = shifted - 12582912.0f;
  float r = __builtin_fmaf(n, -0.693359375f, x);
  r = __builtin_fmaf(n, 2.12194440e-4f, r);
  float sum = 1.98756915e-4f;
  sum = __builtin_fmaf(sum, r, 1.39819995e-3f);
  sum = __builtin_fmaf(sum, r, 8.3334519e-3f);
  sum = __builtin_fmaf(sum, r, 4.1665796e-2f);
  sum = __builtin_fmaf(sum, r, 1.66666655e-1f);
  sum = __builtin_fmaf(sum, r, 5.0000001e-1f);
  float result = __builtin_fmaf(sum, r * r, r) + 1.0f;
  int32_t power = (int32_t)(bits_of(shifted) - 0x4B400000u);
  int32_t half = power >> 1;
  float low = float_of((uint32_t)(half + 127) << 23);
  float high = float_of((uint32_t)(power - half + 127) << 23);
  return result * low * high;
}

static void NAME(exponential)(float *values, size_t n) {
  for (size_t i = 0; i < n; i++) values[i] = exponential_one(values[i]);
}

static float NAME(dot)(const float *a, const float *b, size_t n) {
  float sums[SUM_LANES] = {0};
  size_t i = 0;
  for (; i + SUM_LANES <= n; i += SUM_LANES) {
    for (size_t l = 0; l < SUM_LANES; l++) {
      sums[l] = __builtin_fmaf(a[i + l], b[i + l], sums[l]);
    }
  }
  for (size_t l = 0; i + l < n; l++) sums[l] = __builtin_fmaf(a[i + l], b[i + l], sums[l]);
  return fold(sums);
}

static float NAME(largest)(const float *values, size_t n) {
  float largest = -__builtin_inff();
  float tops[SUM_LANES];
  for (size_t l = 0; l < SUM_LANES; l++) tops[l] = largest;
  size_t i = 0;
  for (; i + SUM_LANES <= n; i += SUM_LANES) {
    for (size_t l = 0; l < SUM_LANES; l++) {
      tops[l] = values[i + l] > tops[l] ? values[i + l] : tops[l];
    }
  }
  for (size_t l = 0; i + l < n; l++) {
    tops[l] = values[i + l] > tops[l] ? values[i + l] : tops[l];
  }
  for (size_t l = 0; l < SUM_LANES; l++) largest = tops[l] > largest ? tops[l] : largest;
  return largest;
}

static float NAME(exponentials)(float *values, float largest, size_t n) {
  for (size_t i = 0; i < n; i++) values[i] = exponential_one(values[i] - largest);
  float sums[SUM_LANES] = {0};
  size_t i = 0;
  for (; i + SUM_LANES <= n; i += SUM_LANES) {
    for (size_t l = 0; l < SUM_LANES; l++) sums[l] += values[i + l];
  }
  for (size_t l = 0; i + l < n; l++) sums[l] += values[i + l];
  return fold(sums);
}

static void NAME(normalize)(
    const float *x, const float *weight, float epsilon, float *y, size_t n) {
  double sums[SUM_LANES] = {0};
  size_t i = 0;
  for (; i + SUM_LANES <= n; i += SUM_LANES) {
    for (size_t l = 0; l < SUM_LANES; l++) sums[l] += (double)x[i + l] * (double)x[i + l];
  }
  for (size_t l = 0; i + l < n; l++) sums[l] += (double)x[i + l] * (double)x[i + l];
  for (int half = SUM_LANES / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; l++) sums[l] += sums[l + half];
  }
  float factor = 1.0f / __builtin_sqrtf((float)(sums[0] / (double)n) + epsilon);
  for (i = 0; i < n; i++) y[i] = weight[i] * (x[i] * factor);
}

static void NAME(gate)(float *gate, const float *up, size_t n) {
  for (size_t i = 0; i < n; i++) {
    gate[i] = gate[i] / (1.0f + exponential_one(-gate[i])) * up[i];
  }
}

static void NAME(sigmoid)(float *values, size_t n) {
  for (size_t i = 0; i < n; i++) values[i] = 1.0f / (1.0f + exponential_one(-values[i]));
}

static void NAME(add_positive)(const float *x, float factor, float *y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] += factor * (x[i] > 0 ? x[i] : 0);
}

static void NAME(add)(const float *x, float factor, float *y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] += factor * x[i];
}
