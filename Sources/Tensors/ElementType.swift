/// How the numbers of a tensor are stored.
///
/// The raw values are the names that a safetensors header uses (safetensors 0.8, `Dtype`), for the
/// block types those that llama.cpp prints, and for packed codes names of our own; no safetensors
/// file may use these two kinds. Behind them stand foreign types, which GGUF files of other programs
/// and times have (`ForeignType`): they can be named, and neither measured nor decoded. Other rooms
/// see into how it compares and hashes, as they do of `ExactText`.
@usableFromInline
package enum ElementType: String, CaseIterable, Sendable, Hashable {
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
  case q10 = "Q1_0"
  case q20 = "Q2_0"
  case q42 = "Q4_2"
  case q43 = "Q4_3"
  case q40x4x4 = "Q4_0_4_4"
  case q40x4x8 = "Q4_0_4_8"
  case q40x8x8 = "Q4_0_8_8"
  case iq4NLx4x4 = "IQ4_NL_4_4"
  case iq4NLx4x8 = "IQ4_NL_4_8"
  case iq4NLx8x8 = "IQ4_NL_8_8"
  case q81 = "Q8_1"
  case q8K = "Q8_K"
  case q60 = "Q6_0"
  case iq1BN = "IQ1_BN"
  case iq2BN = "IQ2_BN"
  case q8K64 = "Q8_K64"
  case iq2K = "IQ2_K"
  case iq3K = "IQ3_K"
  case iq4K = "IQ4_K"
  case iq5K = "IQ5_K"
  case iq6K = "IQ6_K"
  case iq2TN = "IQ2_TN"
  case iq1TN = "IQ1_TN"
  case iq4KS = "IQ4_KS"
  case iq2KS = "IQ2_KS"
  case iq4KSS = "IQ4_KSS"
  case q8K16 = "Q8_K16"
  case q8K32 = "Q8_K32"
  case q8KRow8 = "Q8_KR8"
  case q8K128 = "Q8_K128"
  case q8KV = "Q8_KV"
  case iq5KS = "IQ5_KS"
  case iq2KT = "IQ2_KT"
  case iq3KT = "IQ3_KT"
  case iq4KT = "IQ4_KT"
  case iq3KS = "IQ3_KS"
  case iq2KL = "IQ2_KL"
  case iq1KT = "IQ1_KT"
  case q40R8 = "Q4_0_R8"
  case q50R4 = "Q5_0_R4"
  case q80R8 = "Q8_0_R8"
  case q2KR4 = "Q2_K_R4"
  case q3KR4 = "Q3_K_R4"
  case q4KR4 = "Q4_K_R4"
  case q5KR4 = "Q5_K_R4"
  case q6KR4 = "Q6_K_R4"
  case iq2XXSR4 = "IQ2_XXS_R4"
  case iq2XSR4 = "IQ2_XS_R4"
  case iq3XXSR4 = "IQ3_XXS_R4"
  case iq1SR4 = "IQ1_S_R4"
  case iq4NLR4 = "IQ4_NL_R4"
  case iq3SR4 = "IQ3_S_R4"
  case iq2SR4 = "IQ2_S_R4"
  case iq4XSR8 = "IQ4_XS_R8"
  case iq1MR4 = "IQ1_M_R4"
  case bf16R16 = "BF16_R16"
  case q60R4 = "Q6_0_R4"
  case iq2BNR4 = "IQ2_BN_R4"
  case iq2KR4 = "IQ2_K_R4"
  case iq3KR4 = "IQ3_K_R4"
  case iq4KR4 = "IQ4_K_R4"
  case iq5KR4 = "IQ5_K_R4"
  case iq4KSR4 = "IQ4_KS_R4"
  case iq5KSR4 = "IQ5_KS_R4"
  case q8KR16 = "Q8_K_R16"
  case q8KVR8 = "Q8_KV_R8"
  case q8KR8 = "Q8_K_R8"
  /// A GGML type whose number is in no table here.
  case unknown = "unknown"

  /// The type that a safetensors header calls so; nil for any other name, those of the block types
  /// and of packed codes included.
  package init?(safetensorsName name: String) {
    guard let type = ElementType(rawValue: name), !type.isBlock, !type.isPackedCode,
      !type.isForeign
    else { return nil }
    self = type
  }

  /// Whether elements are unsigned integers of less than 8 bits: an unbroken stream, lowest bits
  /// first, each row from a byte on.
  ///
  /// Files keep such codes in containers (U32 in MLX' files, I32 in compressed-tensors'), so that
  /// what they are follows from a config and not from a header.
  package var isPackedCode: Bool { ElementType.packedCodes.contains(self) }

  /// The packed code of so many bits; nil where there is none.
  package init?(codeBits bits: Int) {
    guard let type = ElementType.packedCodes.first(where: { $0.bits == bits }) else { return nil }
    self = type
  }

  private static let packedCodes: [ElementType] = [.u2, .u3, .u4, .u5, .u6]

  /// Bits that one element takes; below 8 several elements share a byte.
  ///
  /// Not for block types, whose elements need no whole number of bits: see `byteCount`.
  package var bits: Int {
    guard let plainBits else { preconditionFailure("\(rawValue) is stored in blocks") }
    return plainBits
  }

  /// Bits of an element; nil for block types and foreign ones.
  ///
  /// Asked for every row and every tensor of a header, so this looks nothing up.
  var plainBits: Int? {
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
    default: nil
    }
  }

  /// Bytes that `elements` of this type take.
  ///
  /// - Returns: nil where the count overflows or does not fill whole bytes, or whole blocks; nil for
  ///   foreign types.
  package func byteCount(elements: Int) -> Int? {
    if let plainBits {
      let (total, overflow) = elements.multipliedReportingOverflow(by: plainBits)
      guard !overflow, total >= 0, total % 8 == 0 else { return nil }
      return total / 8
    }
    guard let block, elements >= 0, elements % block.elements == 0 else { return nil }
    let (total, overflow) = (elements / block.elements).multipliedReportingOverflow(
      by: block.bytes)
    return overflow ? nil : total
  }

  /// Bytes that so many elements touch from the start of a byte on: the last may be used in part.
  package func bytesSpanned(elements: Int) -> Int {
    if isBlock { return byteOffset(of: elements) }
    return (elements * bits + 7) / 8
  }
}
