public import Tensors

/// Scales that go over from one format to another while the codes beside them stay as they are.
public enum CarriedScales {
  /// Scales (n) of compressed-tensors' symmetric integers → the biases (n) that MLX' affine mode
  /// needs beside these very scales and codes: −2^(bits − 1) · scale, in the same type, as mlx-lm
  /// computes them (bits 4, groups of 32; any bits and groups that MLX has go the same way).
  ///
  /// Values stay the same numbers where scales are BF16 or F16; from F32 scales MLX' sum of two
  /// rounded numbers may be off by 2⁻²³ · 2^(bits − 1) · scale.
  ///
  /// - Returns: the first scale whose bias overflows, which cannot be carried; nil as a rule.
  public static func mlxBiases(
    bits: Int, scales: UnsafeRawBufferPointer, type: ElementType,
    into biases: UnsafeMutableRawBufferPointer
  ) -> Int? {
    precondition(scales.count == biases.count && Precision(type) != nil)
    guard let codec = Codec.codec(for: type) else { return 0 }
    let factor = -Float(1 << (bits - 1))
    let count = scales.count / (type.bits / 8)
    return withUnsafeTemporaryAllocation(of: Float.self, capacity: count) { values -> Int? in
      codec.decode(scales, into: values)
      for index in 0..<count { values[index] *= factor }
      codec.encode(UnsafeBufferPointer(values), into: biases)
      return codec.firstNotFinite(UnsafeRawBufferPointer(biases))
    }
  }

  /// E4M3 scales (n) / a global scale → E4M3 scales (n) that need none: NVFP4 of compressed-tensors
  /// in MLX' `nvfp4`, whose files have no global scale.
  ///
  /// - Returns: whether every quotient is an E4M3 number, as with a global scale that is a power of
  ///   two and leaves all scales in range, and 1 first of all. Otherwise `folded` has no meaning and
  ///   the weight must be quantized anew.
  public static func fold(
    globalScale: Float, into scales: UnsafeRawBufferPointer,
    giving folded: UnsafeMutableRawBufferPointer
  ) -> Bool {
    precondition(scales.count == folded.count && globalScale > 0 && globalScale.isFinite)
    for index in 0..<scales.count {
      let scale = SmallFloat.e4m3.decode(UInt32(scales[index]))
      let code = SmallFloat.e4m3.encode(scale / globalScale)
      // Exact in F64: 4 bits by 24.
      let product = Double(SmallFloat.e4m3.decode(code)) * Double(globalScale)
      guard product == Double(scale) else { return false }
      folded[index] = UInt8(code)
    }
    return true
  }
}
