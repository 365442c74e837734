public import Tensors

/// A file type that llama-quantize offers: a mix of element types, as a row of the table of
/// `--quant` names.
public struct GGUFFileType: Sendable, Hashable {
  /// llama.cpp's name.
  public let name: String
  /// `general.file_type`
  public let id: UInt32
  /// The type of a tensor about which no rule says anything.
  public let type: ElementType

  init(_ name: String, _ id: UInt32, _ type: ElementType) {
    self.name = name
    self.id = id
    self.type = type
  }

  /// Every file type whose element types can be written.
  public static let all: [GGUFFileType] = [
    GGUFFileType("F32", 0, .f32), GGUFFileType("F16", 1, .f16), GGUFFileType("BF16", 32, .bf16),
    GGUFFileType("Q4_0", 2, .q40), GGUFFileType("Q4_1", 3, .q41), GGUFFileType("Q5_0", 8, .q50),
    GGUFFileType("Q5_1", 9, .q51), GGUFFileType("Q8_0", 7, .q80), GGUFFileType("Q2_K", 10, .q2K),
    GGUFFileType("Q2_K_S", 21, .q2K), GGUFFileType("Q3_K_S", 11, .q3K),
    GGUFFileType("Q3_K_M", 12, .q3K), GGUFFileType("Q3_K_L", 13, .q3K),
    GGUFFileType("Q4_K_S", 14, .q4K), GGUFFileType("Q4_K_M", 15, .q4K),
    GGUFFileType("Q5_K_S", 16, .q5K), GGUFFileType("Q5_K_M", 17, .q5K),
    GGUFFileType("Q6_K", 18, .q6K), GGUFFileType("IQ4_NL", 25, .iq4NL),
    GGUFFileType("IQ4_XS", 30, .iq4XS), GGUFFileType("TQ1_0", 36, .tq10),
    GGUFFileType("TQ2_0", 37, .tq20), GGUFFileType("MXFP4_MOE", 38, .mxfp4),
  ]

  /// Short names that llama-quantize accepts for others.
  private static let aliases = ["Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M"]

  /// The row with that name, in any case; nil where there is none.
  public static func named(_ name: String) -> GGUFFileType? {
    let upper = name.uppercased()
    let full = aliases[upper] ?? upper
    return all.first { $0.name == full }
  }

  /// Whether elements are stored in blocks; the others are plain numbers, and no rule applies.
  var isQuantized: Bool { type.isBlock }
}
