// Groups of each method: their numbers, twins of those in GroupNumbers+Methods.swift, and codes.

struct bounds {
  float low, high;
};

// Whole numbers in the order of the floats, −0 below +0.
BODY vi ordered(vf x) { return (vi)x ^ ((vi)x >> 31 & 0x7FFFFFFF); }
BODY float unordered(int32_t key) { return float_of(key ^ (key >> 31 & 0x7FFFFFFF)); }

BODY struct bounds bounds_of(const float *x, size_t n) {
  vf low = splat(x[0]), high = low;
  size_t i = 0;
  for (; i + LANES <= n; i += LANES) {
    vf part = load(x + i);
    low = smaller(part, low);
    high = larger(part, high);
  }
  struct bounds found = {
      unordered(__builtin_reduce_min(ordered(low))),
      unordered(__builtin_reduce_max(ordered(high)))};
  for (; i < n; i++) {
    found.low = x[i] < found.low ? x[i] : found.low;
    found.high = x[i] > found.high ? x[i] : found.high;
  }
  return found;
}

BODY float largest_of_group(const float *x, size_t n) {
  vi most = {0};
  size_t i = 0;
  for (; i + LANES <= n; i += LANES) {
    vi size = (vi)magnitude(load(x + i));
    most = choose_int(size > most, size, most);
  }
  int32_t largest = __builtin_reduce_max(most);
  for (; i < n; i++) {
    int32_t size = (int32_t)(bits_of(x[i]) & 0x7FFFFFFF);
    largest = size > largest ? size : largest;
  }
  return float_of(largest);
}

// One number rounded to a type; a NaN stays one.
BODY float rounded1(float x, int precision) {
  if (precision == FATHOM_F16) return HALF1_OF(x);
  if (precision == FATHOM_BF16) return float_of((uint32_t)encode_bf16_one(x) << 16);
  return x;
}

BODY float epsilon_of(int precision) {
  return precision == FATHOM_F16 ? 0x1p-10f : precision == FATHOM_BF16 ? 0x1p-7f : 0x1p-23f;
}

// The nearest whole number, ties to even, of less than 2²².
BODY float nearest_whole(float x) { return (x + MAGIC) - MAGIC; }

BODY float e4m3_nearest(float x) {
  return decode_e4m3_part(encode_e4m3_one(x)) * 256.0f;
}

// The smallest power of two that is not below a positive number, at least 2⁻¹²⁷.
BODY float power_above(float x) {
  uint32_t bits = bits_of(x);
  if (bits <= 0x00400000) return float_of(0x00400000u);
  if (bits < 0x00800000) return float_of(0x00800000u);
  return float_of((bits + 0x007FFFFF) & 0x7F800000);
}

// compressed-tensors' MXFP4, see `GroupArithmetic.powerOfTwo`.
BODY float power_near(float largest, int precision) {
  float least = precision == FATHOM_F16 ? 0x1p-14f : 0x1p-126f;
  if (!(largest >= 0.75f * least)) return precision == FATHOM_F16 ? 1 : float_of(0x00400000u);
  float from = largest > least ? largest : least;
  int exponent = (int)(bits_of(from) >> 23), top = precision == FATHOM_F16 ? 142 : 254;
  int upper = largest >= least && (bits_of(largest) & 0x00600000) == 0x00600000;
  exponent += (upper && exponent < top) - 2;
  return float_of(exponent <= 0 ? 0x00400000u : (uint32_t)exponent << 23);
}

struct group_numbers {
  float divisor, scale, offset;
};

BODY struct group_numbers numbers_symmetric(float largest, float most, int precision) {
  float scale = rounded1(largest / (most / 2), precision);
  scale = scale == 0 ? epsilon_of(precision) : scale;
  return (struct group_numbers){scale, scale, 0};
}

BODY struct group_numbers numbers_asymmetric(struct bounds range, float most, int precision) {
  float low = range.low < 0 ? range.low : 0, high = range.high > 0 ? range.high : 0;
  float half = (most + 1) / 2;
  float scale = rounded1(rounded1(high - low, precision) / most, precision);
  float zero = rounded1(-half - rounded1(low / scale, precision), precision);
  float bounded = zero > -half ? zero : -half;
  bounded = nearest_whole(bounded < half - 1 ? bounded : half - 1);
  float offset = zero == zero ? bounded : 0;
  scale = scale == 0 ? epsilon_of(precision) : scale;
  return (struct group_numbers){scale, scale, offset};
}

BODY struct group_numbers numbers_mlx_power(float largest, float code, int precision) {
  float ratio = rounded1(largest / code, precision);
  float scale = ratio > 0 && ratio < __builtin_inff() ? power_above(ratio) : 1;
  return (struct group_numbers){scale, scale, 0};
}

BODY struct group_numbers numbers_nvfp4(float largest, float global, int precision) {
  float scaled = global * rounded1(largest / 6, precision);
  float scale = e4m3_nearest(scaled < 448 ? scaled : 448);
  scale = scale == 0 ? 0.125f : scale;
  return (struct group_numbers){scale / global, scale, 0};
}

// ModelOpt's NVFP4: groups of zeros have a scale of one.
BODY struct group_numbers numbers_modelopt(float largest, float global) {
  float ratio = largest / (6 * global);
  float least = ratio > 0x1p-9f ? ratio : 0x1p-9f;
  float scale = ratio == 0 ? 1 : e4m3_nearest(least < 448 ? least : 448);
  return (struct group_numbers){scale * global, scale, 0};
}

BODY void codes_mlx_nvfp4(
    const float *x, size_t n, float largest, float scale, int precision, uint8_t *out) {
  if (scale == 0) {
    __builtin_memset(out, 0, n);
  } else if (largest / scale < 0x1p20f) {
    CODES(out, x, n, code_e2m1_first(part, scale, precision));
  } else {
    for (size_t i = 0; i < n; i++) out[i] = code_e2m1_huge(rounded1(x[i] / scale, precision));
  }
}

// MLX' affine mode, see `GroupArithmetic.mlxAffine`: the numbers of LANES groups come together, so
// that their divisions do not wait for each other.
BODY void quantize_affine(
    const float *values, size_t groups, size_t n, float most, uint8_t *codes, float *scales,
    float *offsets) {
  for (size_t done = 0; done < groups; done += LANES) {
    size_t count = groups - done < LANES ? groups - done : LANES;
    vf low = {0}, high = {0};
    for (size_t group = 0; group < count; group++) {
      struct bounds range = bounds_of(values + group * n, n);
      low[group] = range.low;
      high[group] = range.high;
    }
    vi negative = magnitude(low) > magnitude(high);
    vf step = (high - low) / most, scale = choose(step < 1e-7f, splat(1e-7f), step);
    scale = choose(negative, scale, -scale);
    vf edge = choose(negative, low, high);
    vf code = __builtin_elementwise_roundeven(edge / scale);
    vi none = code == 0;
    vf divisor = choose(none, scale, edge / code), offset = choose(none, splat(0), edge);
    __builtin_memcpy(scales + done, &divisor, 4 * count);
    __builtin_memcpy(offsets + done, &offset, 4 * count);
    for (size_t group = 0; group < count && codes; group++, values += n, codes += n) {
      float by = divisor[group], from = offset[group];
      CODES(codes, values, n, code_affine(part, by, from, most));
    }
    if (!codes) values += count * n;
  }
}

BODY void quantize_groups(
    const float *values, size_t groups, const struct fathom_group_task *task, uint8_t *codes,
    float *scales, float *offsets, const int method, const int precision) {
  size_t n = task->group;
  float most = (float)((1 << task->bits) - 1), half = (most + 1) / 2;
  if (method == FATHOM_MLX_AFFINE) {
    quantize_affine(values, groups, n, most, codes, scales, offsets);
    return;
  }
  for (size_t group = 0; group < groups; group++, values += n) {
    struct group_numbers found = {0};
    float largest = 0;
    if (method == FATHOM_ASYMMETRIC) {
      found = numbers_asymmetric(bounds_of(values, n), most, precision);
    } else {
      largest = largest_of_group(values, n);
      if (method == FATHOM_SYMMETRIC) found = numbers_symmetric(largest, most, precision);
      if (method == FATHOM_MLX_POWER_F4) found = numbers_mlx_power(largest, 6, precision);
      if (method == FATHOM_MLX_POWER_E4M3) found = numbers_mlx_power(largest, 448, precision);
      if (method == FATHOM_MLX_NVFP4) found.scale = e4m3_nearest(rounded1(largest / 6, precision));
      if (method == FATHOM_POWER_F4) found.scale = power_near(largest, precision);
      if (method == FATHOM_NVFP4) found = numbers_nvfp4(largest, task->global_scale, precision);
      if (method == FATHOM_MODELOPT) found = numbers_modelopt(largest, task->global_scale);
      if (found.divisor == 0) found.divisor = found.scale;
    }
    scales[group] = found.scale;
    offsets[group] = found.offset;
    if (!codes) continue;
    uint8_t *out = codes + group * n;
    float divisor = found.divisor, offset = found.offset;
    if (method == FATHOM_SYMMETRIC || method == FATHOM_ASYMMETRIC) {
      int shifts = method == FATHOM_ASYMMETRIC;
      CODES(out, values, n, code_integer(part, divisor, offset, half, shifts, precision));
    } else if (method == FATHOM_MLX_POWER_F4) {
      CODES(out, values, n, code_e2m1_first(part, divisor, precision));
    } else if (method == FATHOM_MLX_POWER_E4M3) {
      CODES(out, values, n, code_e4m3(part, divisor, precision));
    } else if (method == FATHOM_MLX_NVFP4) {
      codes_mlx_nvfp4(values, n, largest, divisor, precision, out);
    } else if (method == FATHOM_POWER_F4) {
      CODES(out, values, n, code_e2m1_even(part, divisor, precision));
    } else {
      CODES(out, values, n, code_e2m1_even(part, divisor, FATHOM_F32));
    }
  }
}
