package import Codecs
internal import Formats
package import Tensors
package import Weights

/// What the numbers of a matrix are made of, wherever a format keeps it.
package enum CodeForm: Hashable {
  /// Codes of a type with a grid of scales.
  case blocks(BlockSize, ElementType)
  /// Codes of groups whose arithmetic a scheme knows.
  case groups(GroupScheme)
  /// Such codes whose groups are not adjacent columns: only their own format can say so.
  case ordered(GroupScheme)
  /// ggml's blocks of FP4, which hold codes and scales together.
  case ggml(ElementType)
  /// The same with a number that multiplies all of a matrix.
  case multiplied(ElementType)
}

/// A weight's codes, and what belongs to them, on their way to another format.
package struct CarriedParts {
  /// What one part is made from, and how.
  package struct Part {
    /// Where it is stored.
    package let assembly: Assembly
    /// How it is moved.
    package let operation: Operation
    /// What its elements are.
    package let type: ElementType

    /// The same with elements that hold as much or more.
    package func converted(to type: ElementType) -> Part {
      Part(
        assembly: assembly, operation: type == self.type ? operation : .convert, type: type)
    }
  }

  /// The codes; in ggml's blocks the scales too.
  package let codes: Part
  /// The scales, as matrices.
  package var scales: Part?
  /// Biases, or words of zero points.
  package var offsets: Part?
  /// What scales are divided by: nil for one.
  package var globalScale: Part?
  /// Each column's group; nil where groups are adjacent columns.
  package var columnGroups: Part?
  /// Whether they come from another form.
  package let isConverted: Bool
  /// Where they come from, for reports.
  package let origin: String
}

/// Codes that mean the same in two formats: they are moved, and never decoded and quantized anew.
///
/// One row says between which forms, and what has to be added; equal forms need no row.
package struct Carrying {
  /// The form that codes have in the source.
  package let from: CodeForm
  /// The form that they get.
  package let to: CodeForm
  /// What scales are multiplied by to give the target's biases.
  package let factor: Float?
  /// Whether the target divides scales by what they are multiplied by here.
  package let turnsGlobalScale: Bool

  private init(
    _ from: CodeForm, _ to: CodeForm, factor: Float? = nil, turnsGlobalScale: Bool = false
  ) {
    self.turnsGlobalScale = turnsGlobalScale
    self.from = from
    self.to = to
    self.factor = factor
  }

  /// - compressed-tensors' integers around zero are MLX' affine codes with a bias of −2^(bits − 1)
  ///   scales, which every floating-point type holds.
  /// - FP4 with powers of two is the same in compressed-tensors, MLX and ggml's blocks.
  /// - MLX' NVFP4 is ggml's, and compressed-tensors' or ModelOpt's with a global scale of one.
  /// - ModelOpt's NVFP4 is compressed-tensors' with the reciprocal of the global scale, which is
  ///   rounded: numbers are the same but for the last bits of F32; both ways.
  ///
  /// A way is closed where the target has no place for what a weight has. NVFP4 with a global scale
  /// of its own is such: E4M3 scales do not hold the quotients, MLX' files keep no such number, and
  /// llama.cpp reads it from a `.scale` tensor, by which some of its architectures multiply some
  /// matrices (`BlocksTimesNumber`). So are zero points in MLX, whose biases round the products.
  package static let table: [Carrying] =
    [4, 8].flatMap { bits in
      [32, 64, 128].compactMap { size in
        guard let integers = GroupScheme.integers(bits: bits, group: size, symmetric: true),
          let affine = GroupScheme.mlxAffine(bits: bits, group: size)
        else { return nil }
        return Carrying(.groups(integers), .groups(affine), factor: -Float(1 << (bits - 1)))
      }
    } + everyWay([.groups(.mxfp4), .groups(.mlxMXFP4), .ggml(.mxfp4)])
    + everyWay([.groups(.mlxNVFP4), .ggml(.nvfp4)])
    + [
      Carrying(.groups(.mlxNVFP4), .groups(.nvfp4)), Carrying(.ggml(.nvfp4), .groups(.nvfp4)),
      Carrying(.groups(.mlxNVFP4), .groups(.modelOptNVFP4)),
      Carrying(.ggml(.nvfp4), .groups(.modelOptNVFP4)),
      Carrying(.multiplied(.nvfp4), .groups(.modelOptNVFP4)),
      Carrying(.multiplied(.nvfp4), .groups(.nvfp4), turnsGlobalScale: true),
      Carrying(.groups(.modelOptNVFP4), .groups(.nvfp4), turnsGlobalScale: true),
      Carrying(.groups(.nvfp4), .groups(.modelOptNVFP4), turnsGlobalScale: true),
    ]

  private static func everyWay(_ forms: [CodeForm]) -> [Carrying] {
    forms.flatMap { from in forms.filter { $0 != from }.map { Carrying(from, $0) } }
  }

  /// The forms that codes of one may take: its own, and those of the table.
  package static func targets(of form: CodeForm) -> [CodeForm] {
    [form] + table.filter { $0.from == form }.map(\.to)
  }

  /// The parts of a weight as a target keeps them; nil where it has to be decoded.
  package static func parts(of assembly: Assembly, as form: CodeForm) -> CarriedParts? {
    guard let own = assembly.codeForm, targets(of: own).contains(form) else { return nil }
    let (isConverted, origin) = (own != form, own == form ? "stored so" : "moved from \(own)")
    switch (own, form) {
    case (.ggml, .groups(let scheme)), (.multiplied, .groups(let scheme)):
      return CarriedParts(
        codes: .init(assembly: assembly, operation: .unpack(.codes), type: .f4),
        scales: .init(
          assembly: assembly, operation: .unpack(.scales), type: scheme.scaleType(of: .f32)),
        globalScale: globalScale(assembly.moved { $1?.scales }, from: own, to: form),
        isConverted: isConverted, origin: origin)
    case (_, .ggml(let type)):
      return CarriedParts(
        codes: .init(assembly: assembly, operation: .convert, type: type),
        isConverted: isConverted, origin: origin)
    default:
      guard let codes = assembly.moved({ tensor, _ in tensor }),
        let scales = assembly.moved({ $1?.scales })
      else { return nil }
      var parts = CarriedParts(
        codes: codes, scales: scales, offsets: assembly.moved { $1?.offsets },
        globalScale: globalScale(assembly.moved { $1?.globalScale }, from: own, to: form),
        columnGroups: assembly.moved { $1?.columnGroups }, isConverted: isConverted, origin: origin)
      let row = table.first { $0.from == own && $0.to == form }
      if let factor = row?.factor {
        parts.offsets = .init(
          assembly: scales.assembly, operation: .change(.times(factor)), type: scales.type)
      }
      return parts
    }
  }

  /// What all scales of a matrix are divided or multiplied by, as the target has it.
  private static func globalScale(
    _ part: CarriedParts.Part?, from own: CodeForm, to form: CodeForm
  ) -> CarriedParts.Part? {
    guard let part,
      table.contains(where: { $0.from == own && $0.to == form && $0.turnsGlobalScale })
    else { return part }
    return .init(assembly: part.assembly, operation: .change(.reciprocal), type: part.type)
  }
}

extension CodeForm: CustomStringConvertible {
  /// The form in words, for reports.
  package var description: String {
    switch self {
    case .blocks(let block, let type):
      "\(type.rawValue) in blocks of \(block.rows)×\(block.columns)"
    case .groups(let scheme): scheme.description
    case .ordered(let scheme): "\(scheme) in activation order"
    case .ggml(let type): "ggml's \(type.rawValue)"
    case .multiplied(let type): "ggml's \(type.rawValue) times a number"
    }
  }
}

extension ElementType {
  fileprivate var isFP4Block: Bool { FP4Blocks.table.contains { $0.type == self } }
}

extension Assembly {
  /// What its numbers are made of; nil where that is not one thing, or no codes that can be moved.
  package var codeForm: CodeForm? {
    var forms: Set<CodeForm?> = []
    forEachLeaf { tensor, scaling in
      switch scaling?.kind {
      case nil:
        forms.insert(tensor.type.isFP4Block ? .ggml(tensor.type) : nil)
      case .number: forms.insert(tensor.type.isFP4Block ? .multiplied(tensor.type) : nil)
      case .blocks(let block):
        // No other format has a factor for them.
        forms.insert(scaling?.factor == 1 ? .blocks(block, tensor.type) : nil)
      case .groups(let scheme):
        let isOrdered = scaling?.columnGroups != nil
        // Rows or columns of them would have to be told in the output too.
        forms.insert(isOrdered ? single.map { _ in .ordered(scheme) } : .groups(scheme))
      }
    }
    return forms.count == 1 ? forms.first ?? nil : nil
  }

  /// One component of all leaves as a part that is moved.
  fileprivate func moved(
    _ pick: (StoredTensor, Scaling?) -> StoredTensor?
  ) -> CarriedParts.Part? {
    guard let component = component(pick) else { return nil }
    let type = component.first.tensor.type
    return CarriedParts.Part(
      assembly: component, operation: component.operation(to: type), type: type)
  }

  /// ggml's type of blocks that its codes can be moved to; nil where there is none, or its rows are
  /// no whole blocks.
  package var blockType: ElementType? {
    FP4Blocks.table.first {
      columns % $0.type.blockElements == 0 && packing(into: $0.type) != nil
    }?.type
  }

  /// How codes of FP4 whose rows are kept become ggml's blocks of a type; nil where they do not.
  package func packing(into type: ElementType) -> FP4Blocks? {
    guard keepsRows, let form = codeForm, form != .ggml(type),
      Carrying.targets(of: form).contains(.ggml(type))
    else { return nil }
    return FP4Blocks.table.first { $0.type == type }
  }
}
