/// How the numbers of a tensor are stored.
///
/// The raw values are the names that a safetensors header uses (safetensors 0.8, `Dtype`), for the
/// block types those that llama.cpp prints, and for packed codes names of our own; no safetensors
/// file may use these two kinds.
public enum ElementType: String, CaseIterable, Sendable, Hashable {
  case bool = "BOOL"
  case u8 = "U8"
  case i8 = "I8"
  case u16 = "U16"
  case i16 = "I16"
  case u32 = "U32"
  case i32 = "I32"
  case u64 = "U64"
  case i64 = "I64"
  case f16 = "F16"
  case bf16 = "BF16"
  case f32 = "F32"
  case f64 = "F64"
  case c64 = "C64"
  case f8E4M3 = "F8_E4M3"
  case f8E5M2 = "F8_E5M2"
  case f8E8M0 = "F8_E8M0"
  case f8E4M3FNUZ = "F8_E4M3FNUZ"
  case f8E5M2FNUZ = "F8_E5M2FNUZ"
  case f6E2M3 = "F6_E2M3"
  case f6E3M2 = "F6_E3M2"
  case f4 = "F4"
  /// Unsigned integers of 2 bits, a packed code.
  case u2 = "U2"
  /// Unsigned integers of 3 bits, a packed code.
  case u3 = "U3"
  /// Unsigned integers of 4 bits, a packed code.
  case u4 = "U4"
  /// Unsigned integers of 5 bits, a packed code.
  case u5 = "U5"
  /// Unsigned integers of 6 bits, a packed code.
  case u6 = "U6"
  case q40 = "Q4_0"
  case q41 = "Q4_1"
  case q50 = "Q5_0"
  case q51 = "Q5_1"
  case q80 = "Q8_0"
  case q2K = "Q2_K"
  case q3K = "Q3_K"
  case q4K = "Q4_K"
  case q5K = "Q5_K"
  case q6K = "Q6_K"
  case iq2XXS = "IQ2_XXS"
  case iq2XS = "IQ2_XS"
  case iq3XXS = "IQ3_XXS"
  case iq1S = "IQ1_S"
  case iq4NL = "IQ4_NL"
  case iq3S = "IQ3_S"
  case iq2S = "IQ2_S"
  case iq4XS = "IQ4_XS"
  case iq1M = "IQ1_M"
  case tq10 = "TQ1_0"
  case tq20 = "TQ2_0"
  case mxfp4 = "MXFP4"
  case nvfp4 = "NVFP4"

  /// The type that a safetensors header calls so; nil for any other name, those of the block types
  /// and of packed codes included.
  public init?(safetensorsName name: String) {
    guard let type = ElementType(rawValue: name), !type.isBlock, !type.isPackedCode else {
      return nil
    }
    self = type
  }

  /// Whether elements are unsigned integers of less than 8 bits: an unbroken stream, lowest bits
  /// first, each row from a byte on.
  ///
  /// Files keep such codes in containers (U32 in MLX' files, I32 in compressed-tensors'), so that
  /// what they are follows from a config and not from a header.
  public var isPackedCode: Bool { ElementType.packedCodes.contains(self) }

  /// The packed code of so many bits; nil where there is none.
  public init?(codeBits bits: Int) {
    guard let type = ElementType.packedCodes.first(where: { $0.bits == bits }) else { return nil }
    self = type
  }

  private static let packedCodes: [ElementType] = [.u2, .u3, .u4, .u5, .u6]

  /// Bits that one element takes; below 8 several elements share a byte.
  ///
  /// Not for block types, whose elements need no whole number of bits: see `byteCount`.
  public var bits: Int {
    switch self {
    case .u2: 2
    case .u3: 3
    case .f4, .u4: 4
    case .u5: 5
    case .f6E2M3, .f6E3M2, .u6: 6
    case .bool, .u8, .i8, .f8E4M3, .f8E5M2, .f8E8M0, .f8E4M3FNUZ, .f8E5M2FNUZ: 8
    case .u16, .i16, .f16, .bf16: 16
    case .u32, .i32, .f32: 32
    case .u64, .i64, .f64, .c64: 64
    default: preconditionFailure("\(rawValue) is stored in blocks")
    }
  }

  /// Bytes that `elements` of this type take.
  ///
  /// - Returns: nil where the count overflows or does not fill whole bytes, or whole blocks.
  public func byteCount(elements: Int) -> Int? {
    if let block {
      guard elements >= 0, elements % block.elements == 0 else { return nil }
      let (total, overflow) = (elements / block.elements).multipliedReportingOverflow(
        by: block.bytes)
      return overflow ? nil : total
    }
    let (total, overflow) = elements.multipliedReportingOverflow(by: bits)
    guard !overflow, total >= 0, total % 8 == 0 else { return nil }
    return total / 8
  }

  /// Bytes that so many elements touch from the start of a byte on: the last may be used in part.
  public func bytesSpanned(elements: Int) -> Int {
    if isBlock { return byteOffset(of: elements) }
    return (elements * bits + 7) / 8
  }
}
