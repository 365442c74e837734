#if defined(__aarch64__)
#include <arm_neon.h>

#include "bodies/common.h"
#include "bodies/ggml_rows.h"

#define NAME(function) function##_neon
// Two registers to a vector, as the bodies look up codes of three bits in one.
#define LANES 8
#define LOW(x) __builtin_shufflevector(x, x, 0, 1, 2, 3)
#define HIGH(x) __builtin_shufflevector(x, x, 4, 5, 6, 7)
#define JOIN(low, high) __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7)

#define MASK_BITS(mask) mask_bits_neon((uint32x8)(mask))
#define ANY(mask) any_neon((uint32x8)(mask))
#define TRUNCATE(x) ((vi)truncate_neon((float32x8)(x)))

#define LOOK_UP(table, index, upper) PERMUTE(load((table) + 8 * (upper)), index)
#define LOOK_UP_16(table, index) \
  ((vf)permute_16_neon( \
      (float32x8)load(table), (float32x8)load((table) + 8), (uint32x8)(index)))
#define LOOK_UP_BYTES(table, index) \
  ((bytes16)vqtbl1q_u8((uint8x16_t)(table), (uint8x16_t)(index)))

#define PERMUTE(table, index) ((vf)permute_neon((float32x8)(table), (uint32x8)(index)))
#define PERMUTE_16(table, index) \
  ((vf)permute_16_neon((float32x8)(table)[0], (float32x8)(table)[1], (uint32x8)(index)))
#define WIDEN(at) ((vi)widen_neon(at))
#define LESSER(x, y) smaller(x, y)
#define GREATER(x, y) larger(x, y)
#define BITS_AT_MOST(x, y) MASK_BITS((x) <= (y))
#define NEAR_INVERSE(x) ((vf)near_inverse_neon((float32x8)(x)))
#define LEAST(x) least_neon((float32x8)(x))

typedef float float32x8 __attribute__((vector_size(32)));
typedef uint32_t uint32x8 __attribute__((vector_size(32)));

BODY uint32_t mask_bits_neon(uint32x8 mask) {
  const uint32x4_t low = {1, 2, 4, 8}, high = {16, 32, 64, 128};
  uint32x4_t first = (uint32x4_t)LOW(mask), second = (uint32x4_t)HIGH(mask);
  return vaddvq_u32(vorrq_u32(vandq_u32(first, low), vandq_u32(second, high)));
}

BODY int any_neon(uint32x8 mask) {
  return vmaxvq_u32(vorrq_u32((uint32x4_t)LOW(mask), (uint32x4_t)HIGH(mask))) != 0;
}

// The instruction gives the nearest integer there is for what does not fit, and 0 for NaN.
BODY int32x4_t truncate_half_neon(float32x4_t x) {
  return vbslq_s32(vcaltq_f32(x, vdupq_n_f32(0x1p31f)), vcvtq_s32_f32(x), vdupq_n_s32(INT32_MIN));
}

BODY uint32x8 truncate_neon(float32x8 x) {
  return (uint32x8)JOIN(
      truncate_half_neon((float32x4_t)LOW(x)), truncate_half_neon((float32x4_t)HIGH(x)));
}

// The places of the four bytes of each number of a table.
BODY uint8x16_t places_neon(uint32x4_t index) {
  return (uint8x16_t)vmlaq_n_u32(vdupq_n_u32(0x03020100), index, 0x04040404);
}

BODY float32x8 permute_neon(float32x8 table, uint32x8 index) {
  uint8x16x2_t bytes = {{(uint8x16_t)LOW(table), (uint8x16_t)HIGH(table)}};
  uint32x8 number = index & 7;
  uint8x16_t low = vqtbl2q_u8(bytes, places_neon((uint32x4_t)LOW(number)));
  uint8x16_t high = vqtbl2q_u8(bytes, places_neon((uint32x4_t)HIGH(number)));
  return (float32x8)JOIN((float32x4_t)low, (float32x4_t)high);
}

BODY float32x8 permute_16_neon(float32x8 lower, float32x8 upper, uint32x8 index) {
  uint8x16x4_t bytes = {
      {(uint8x16_t)LOW(lower), (uint8x16_t)HIGH(lower), (uint8x16_t)LOW(upper),
       (uint8x16_t)HIGH(upper)}};
  uint32x8 number = index & 15;
  uint8x16_t low = vqtbl4q_u8(bytes, places_neon((uint32x4_t)LOW(number)));
  uint8x16_t high = vqtbl4q_u8(bytes, places_neon((uint32x4_t)HIGH(number)));
  return (float32x8)JOIN((float32x4_t)low, (float32x4_t)high);
}

BODY uint32x8 widen_neon(const uint16_t *at) {
  uint16x8_t numbers = vld1q_u16(at);
  return (uint32x8)JOIN(vmovl_u16(vget_low_u16(numbers)), vmovl_high_u16(numbers));
}

// The estimate has 8 bits, and a step of Newton's doubles them.
BODY float32x4_t near_inverse_half_neon(float32x4_t x) {
  float32x4_t estimate = vrecpeq_f32(x);
  return vmulq_f32(estimate, vrecpsq_f32(x, estimate));
}

BODY float32x8 near_inverse_neon(float32x8 x) {
  return (float32x8)JOIN(
      near_inverse_half_neon((float32x4_t)LOW(x)), near_inverse_half_neon((float32x4_t)HIGH(x)));
}

BODY float least_neon(float32x8 x) {
  return vminvq_f32(vminq_f32((float32x4_t)LOW(x), (float32x4_t)HIGH(x)));
}

#include "bodies/ggml_bodies.h"

#include "bodies/ggml_rows_of_level.h"
#endif
