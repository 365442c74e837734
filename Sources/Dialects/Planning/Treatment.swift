internal import Formats
internal import Tensors
internal import Weights

/// What becomes of a tensor's values; raw values are the words of reports.
package enum Treatment: String, Sendable, Hashable {
  /// The bytes stay.
  case copied
  /// The values stay, their bytes stand in another order or form.
  case carried
  /// Plain numbers become plain numbers of another type.
  case cast
  /// Plain numbers become codes.
  case quantized
  /// Codes become plain numbers.
  case dequantized
  /// Codes become other codes, by way of the numbers that they stand for.
  case requantized
  /// The plan alone says what they are.
  case stated
}

extension PlannedTensor {
  /// What becomes of the values.
  package var treatment: Treatment {
    let isCode = assembly.allLeaves { $0.type.isCode || $1 != nil }
    switch operation {
    case .copy: return .copied
    case .quantize: return isCode ? .requantized : .quantized
    case .change, .unpack: return .carried
    case .constant: return .stated
    case .convert where isCarried || assembly.packing(into: entry.type) != nil: return .carried
    case .convert:
      if assembly.allLeaves({ $0.type == entry.type && $1 == nil }),
        assembly.keepsRows || !entry.type.isBlock
      {
        return assembly.arrangement == nil ? .copied : .carried
      }
      switch (isCode, entry.type.isCode) {
      case (true, true): return .requantized
      case (true, false): return .dequantized
      case (false, true): return .quantized
      case (false, false): return .cast
      }
    }
  }
}

extension ElementType {
  /// Whether its elements are codes of larger numbers: blocks, and what has 8 bits and less.
  package var isCode: Bool { isBlock || isForeign || bits <= 8 }
}
