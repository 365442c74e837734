internal import Codecs
internal import Formats
internal import Tensors

/// What the numbers of a matrix are made of, wherever a format keeps it.
enum CodeForm: Hashable {
  /// Codes of a type with a grid of scales.
  case blocks(BlockSize, ElementType)
  /// Codes of groups whose arithmetic a scheme knows.
  case groups(GroupScheme)
}

/// A weight's codes, and what belongs to them, on their way to another format.
struct CarriedParts {
  /// The codes without what scales them.
  var codes: Assembly
  /// The scales, as matrices.
  var scales: Assembly
  /// Biases, or words of zero points; where `factor` is there, the scales times that.
  var offsets: Assembly?
  /// What scales are multiplied by to give biases.
  var factor: Float?
  /// What scales are divided by: nil for one.
  var globalScale: Assembly?
  /// Whether they come from another format's form.
  var isConverted: Bool
  /// Where they come from, for reports.
  var origin: String
}

/// Codes that mean the same in two formats: they are moved, and never decoded and quantized anew.
///
/// One row says what has to be added or left out; equal forms need no row.
struct Carrying {
  private let from: CodeForm
  private let to: CodeForm
  /// What scales are multiplied by to give the target's biases.
  private let factor: Float?

  private init(_ from: GroupScheme, _ to: GroupScheme, factor: Float? = nil) {
    self.from = .groups(from)
    self.to = .groups(to)
    self.factor = factor
  }

  /// compressed-tensors' integers around zero are MLX' affine codes with a bias of −2^(bits − 1)
  /// scales, which every floating-point type holds; FP4 with powers of two is the same in both; and
  /// MLX' NVFP4 is compressed-tensors' with a global scale of one.
  ///
  /// The other way is closed where a weight has what the target has no place for: a global scale of
  /// its own (it rounds differently once it is multiplied into E4M3 scales), biases, or zero points.
  private static let table: [Carrying] =
    [4, 8].flatMap { bits in
      [32, 64, 128].compactMap { size in
        guard let integers = GroupScheme.integers(bits: bits, group: size, symmetric: true),
          let affine = GroupScheme.mlxAffine(bits: bits, group: size)
        else { return nil }
        return Carrying(integers, affine, factor: -Float(1 << (bits - 1)))
      }
    } + [
      Carrying(.mxfp4, .mlxMXFP4), Carrying(.mlxMXFP4, .mxfp4), Carrying(.mlxNVFP4, .nvfp4),
    ]

  /// The parts of a weight as a target keeps them; nil where it has to be decoded.
  static func parts(of weight: SourceWeight, as form: CodeForm) -> CarriedParts? {
    guard let own = weight.form else { return nil }
    let row = table.first { $0.from == own && $0.to == form }
    guard own == form || row != nil,
      let codes = weight.assembly.component({ tensor, _ in tensor }),
      let scales = weight.assembly.component({ $1?.scales })
    else { return nil }
    return CarriedParts(
      codes: codes, scales: scales,
      offsets: weight.assembly.component { $1?.offsets },
      factor: row?.factor,
      globalScale: weight.assembly.component { $1?.globalScale }, isConverted: own != form,
      origin: own == form ? "stored so" : "moved from \(weight.formName)")
  }
}

extension SourceWeight {
  /// What its numbers are made of; nil where that is not one thing, or plain numbers.
  var form: CodeForm? {
    var forms: Set<CodeForm?> = []
    assembly.forEachLeaf { tensor, scaling in
      switch scaling?.kind {
      case nil: forms.insert(nil)
      case .blocks(let block): forms.insert(.blocks(block, tensor.type))
      case .groups(let scheme): forms.insert(.groups(scheme))
      }
    }
    return forms.count == 1 ? forms.first ?? nil : nil
  }

  fileprivate var formName: String {
    switch form {
    case nil: type.rawValue
    case .blocks(let block, let type):
      "\(type.rawValue) in blocks of \(block.rows)×\(block.columns)"
    case .groups(let scheme): scheme.description
    }
  }
}
