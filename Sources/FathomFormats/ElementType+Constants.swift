internal import Tensors

extension ElementType {
  /// Truth values of a byte each.
  public static let bool = ElementType(.bool)
  /// Unsigned integers of 8 bits.
  public static let u8 = ElementType(.u8)
  /// Signed integers of 8 bits.
  public static let i8 = ElementType(.i8)
  /// Unsigned integers of 16 bits.
  public static let u16 = ElementType(.u16)
  /// Signed integers of 16 bits.
  public static let i16 = ElementType(.i16)
  /// Unsigned integers of 32 bits.
  public static let u32 = ElementType(.u32)
  /// Signed integers of 32 bits.
  public static let i32 = ElementType(.i32)
  /// Unsigned integers of 64 bits.
  public static let u64 = ElementType(.u64)
  /// Signed integers of 64 bits.
  public static let i64 = ElementType(.i64)
  /// IEEE half precision.
  public static let f16 = ElementType(.f16)
  /// The upper half of F32.
  public static let bf16 = ElementType(.bf16)
  /// IEEE single precision.
  public static let f32 = ElementType(.f32)
  /// IEEE double precision.
  public static let f64 = ElementType(.f64)
  /// Complex numbers of two F32.
  public static let c64 = ElementType(.c64)
  /// 8 bits with 4 of exponent, without infinities, up to 448.
  public static let f8E4M3 = ElementType(.f8E4M3)
  /// 8 bits with 5 of exponent.
  public static let f8E5M2 = ElementType(.f8E5M2)
  /// 8 bits of exponent: powers of two.
  public static let f8E8M0 = ElementType(.f8E8M0)
  /// 8 bits with 4 of exponent, one zero and one NaN.
  public static let f8E4M3FNUZ = ElementType(.f8E4M3FNUZ)
  /// 8 bits with 5 of exponent, one zero and one NaN.
  public static let f8E5M2FNUZ = ElementType(.f8E5M2FNUZ)
  /// 6 bits with 2 of exponent.
  public static let f6E2M3 = ElementType(.f6E2M3)
  /// 6 bits with 3 of exponent.
  public static let f6E3M2 = ElementType(.f6E3M2)
  /// 4 bits with 2 of exponent.
  public static let f4 = ElementType(.f4)
  /// llama.cpp's Q4_0, 4.5 bits an element.
  public static let q40 = ElementType(.q40)
  /// llama.cpp's Q4_1, 5 bits an element.
  public static let q41 = ElementType(.q41)
  /// llama.cpp's Q5_0, 5.5 bits an element.
  public static let q50 = ElementType(.q50)
  /// llama.cpp's Q5_1, 6 bits an element.
  public static let q51 = ElementType(.q51)
  /// llama.cpp's Q8_0, 8.5 bits an element.
  public static let q80 = ElementType(.q80)
  /// llama.cpp's Q2_K, 2.625 bits an element.
  public static let q2K = ElementType(.q2K)
  /// llama.cpp's Q3_K, 3.4375 bits an element.
  public static let q3K = ElementType(.q3K)
  /// llama.cpp's Q4_K, 4.5 bits an element.
  public static let q4K = ElementType(.q4K)
  /// llama.cpp's Q5_K, 5.5 bits an element.
  public static let q5K = ElementType(.q5K)
  /// llama.cpp's Q6_K, 6.5625 bits an element.
  public static let q6K = ElementType(.q6K)
  /// llama.cpp's IQ1_S, 1.5625 bits an element.
  public static let iq1S = ElementType(.iq1S)
  /// llama.cpp's IQ1_M, 1.75 bits an element.
  public static let iq1M = ElementType(.iq1M)
  /// llama.cpp's IQ2_XXS, 2.0625 bits an element.
  public static let iq2XXS = ElementType(.iq2XXS)
  /// llama.cpp's IQ2_XS, 2.3125 bits an element.
  public static let iq2XS = ElementType(.iq2XS)
  /// llama.cpp's IQ2_S, 2.5625 bits an element.
  public static let iq2S = ElementType(.iq2S)
  /// llama.cpp's IQ3_XXS, 3.0625 bits an element.
  public static let iq3XXS = ElementType(.iq3XXS)
  /// llama.cpp's IQ3_S, 3.4375 bits an element.
  public static let iq3S = ElementType(.iq3S)
  /// llama.cpp's IQ4_NL, 4.5 bits an element.
  public static let iq4NL = ElementType(.iq4NL)
  /// llama.cpp's IQ4_XS, 4.25 bits an element.
  public static let iq4XS = ElementType(.iq4XS)
  /// llama.cpp's TQ1_0, 1.6875 bits an element.
  public static let tq10 = ElementType(.tq10)
  /// llama.cpp's TQ2_0, 2.0625 bits an element.
  public static let tq20 = ElementType(.tq20)
  /// llama.cpp's MXFP4, 4.25 bits an element.
  public static let mxfp4 = ElementType(.mxfp4)
  /// llama.cpp's NVFP4, 4.5 bits an element.
  public static let nvfp4 = ElementType(.nvfp4)
  /// llama.cpp's Q1_0, 1.125 bits an element.
  public static let q10 = ElementType(.q10)
  /// llama.cpp's Q2_0, 2.25 bits an element.
  public static let q20 = ElementType(.q20)
}
