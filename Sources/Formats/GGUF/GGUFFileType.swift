package import Platform
package import Tensors

/// A file type as llama-quantize understands it: a type for most tensors, and rules for the rest.
///
/// The raw value is llama-quantize's name.
package enum GGUFFileType: String, CaseIterable, Sendable, Hashable {
  case f32 = "F32"
  case f16 = "F16"
  case bf16 = "BF16"
  case q40 = "Q4_0"
  case q41 = "Q4_1"
  case q50 = "Q5_0"
  case q51 = "Q5_1"
  case q80 = "Q8_0"
  case q2K = "Q2_K"
  case q2KS = "Q2_K_S"
  case q3KS = "Q3_K_S"
  case q3KM = "Q3_K_M"
  case q3KL = "Q3_K_L"
  case q4KS = "Q4_K_S"
  case q4KM = "Q4_K_M"
  case q5KS = "Q5_K_S"
  case q5KM = "Q5_K_M"
  case q6K = "Q6_K"
  case iq4NL = "IQ4_NL"
  case iq4XS = "IQ4_XS"
  case tq10 = "TQ1_0"
  case tq20 = "TQ2_0"
  case mxfp4MoE = "MXFP4_MOE"
  case iq1S = "IQ1_S"
  case iq1M = "IQ1_M"
  case iq2XXS = "IQ2_XXS"
  case iq2XS = "IQ2_XS"
  case iq2S = "IQ2_S"
  case iq2M = "IQ2_M"
  case iq3XXS = "IQ3_XXS"
  case iq3XS = "IQ3_XS"
  case iq3S = "IQ3_S"
  case iq3M = "IQ3_M"
  case q10 = "Q1_0"
  case q20 = "Q2_0"

  /// llama-quantize's name.
  package var name: String { rawValue }

  /// The number that `general.file_type` holds.
  package var id: UInt32 { row.id }

  /// The type of tensors that no rule speaks of.
  package var type: ElementType { row.type }

  /// Whether elements are stored in blocks; the others are plain numbers, and no rule applies.
  package var isQuantized: Bool { type.isBlock }

  /// The file type with that name, in any case; `Q3_K`, `Q4_K` and `Q5_K` mean the medium ones.
  ///
  /// - Throws: `.usage` for a name that is none. llama-quantize has no NVFP4, a type of tensors alone.
  package init(named text: String) throws(Fault) {
    let upper = text.uppercased()
    if let type = GGUFFileType.aliases[upper] ?? GGUFFileType(rawValue: upper) {
      self = type
      return
    }
    throw Fault(
      .usage, "there is no such GGUF file type",
      expected: GGUFFileType.allCases.map { $0.rawValue.lowercased() }.joined(separator: ", "),
      found: text)
  }

  /// The file type that llama.cpp takes a file for whose tensors are mostly of that type; nil for
  /// types that are not written.
  package static func mostly(_ type: ElementType) -> GGUFFileType? {
    let several: [ElementType: GGUFFileType] = [
      .q2K: .q2K, .q3K: .q3KM, .q4K: .q4KM, .q5K: .q5KM, .iq2XS: .iq2XS, .iq2S: .iq2S,
      .iq3S: .iq3S,
    ]
    return several[type] ?? allCases.first { $0.type == type }
  }

  private static let aliases: [String: GGUFFileType] = [
    "Q3_K": .q3KM, "Q4_K": .q4KM, "Q5_K": .q5KM,
  ]

  private var row: (id: UInt32, type: ElementType) {
    switch self {
    case .f32: (0, .f32)
    case .f16: (1, .f16)
    case .q40: (2, .q40)
    case .q41: (3, .q41)
    case .q80: (7, .q80)
    case .q50: (8, .q50)
    case .q51: (9, .q51)
    case .q2K: (10, .q2K)
    case .q3KS: (11, .q3K)
    case .q3KM: (12, .q3K)
    case .q3KL: (13, .q3K)
    case .q4KS: (14, .q4K)
    case .q4KM: (15, .q4K)
    case .q5KS: (16, .q5K)
    case .q5KM: (17, .q5K)
    case .q6K: (18, .q6K)
    case .iq2XXS: (19, .iq2XXS)
    case .iq2XS: (20, .iq2XS)
    case .q2KS: (21, .q2K)
    case .iq3XS: (22, .iq3S)
    case .iq3XXS: (23, .iq3XXS)
    case .iq1S: (24, .iq1S)
    case .iq4NL: (25, .iq4NL)
    case .iq3S: (26, .iq3S)
    case .iq3M: (27, .iq3S)
    case .iq2S: (28, .iq2XS)
    case .iq2M: (29, .iq2S)
    case .iq4XS: (30, .iq4XS)
    case .iq1M: (31, .iq1M)
    case .bf16: (32, .bf16)
    case .tq10: (36, .tq10)
    case .tq20: (37, .tq20)
    case .mxfp4MoE: (38, .mxfp4)
    case .q10: (40, .q10)
    case .q20: (41, .q20)
    }
  }
}
