package import Platform
package import Tensors

/// How compressed-tensors stores the weight of a module.
///
/// Source: compressed-tensors 0.20, `QuantizationArgs` and the compressors' own tensors.
package struct CompressedScheme: Sendable, Hashable {
  /// What the file's format is called; each holds some kinds of numbers.
  package enum Format: String, Sendable, Hashable, CaseIterable {
    /// Integers below 8 bits and of 8 bits, densely in 32-bit words along the input features.
    case packed = "pack-quantized"
    /// Integers of 8 bits, one a byte.
    case int8 = "int-quantized"
    /// FP8, one a byte, for modules whose activations are quantized too.
    case float8 = "float-quantized"
    /// Either of the two, as older files call them.
    case naive = "naive-quantized"
    /// FP4 with a scale in FP8 for every 16 values and one more for the whole matrix.
    case nvfp4 = "nvfp4-pack-quantized"
    /// FP4 with a power of two for every 32 values.
    case mxfp4 = "mxfp4-pack-quantized"
    /// FP8 with a power of two for every 32 values.
    case mxfp8 = "mxfp8-quantized"
  }

  /// What a code is.
  package enum Number: Sendable, Hashable {
    /// A whole number of so many bits, from −2^(bits − 1).
    case integer(bits: Int)
    /// FP8 E4M3.
    case float8
    /// FP4 E2M1.
    case float4

    /// Bits of a code.
    package var bits: Int {
      switch self {
      case .integer(let bits): bits
      case .float8: 8
      case .float4: 4
      }
    }
  }

  /// Which values share a scale.
  package enum Geometry: Sendable, Hashable {
    /// All of the matrix.
    case tensor
    /// A row.
    case channel
    /// So many columns of a row.
    case group(Int)
    /// A rectangle.
    case block(rows: Int, columns: Int)
  }

  /// What is stored about a module's activations; the weights do not depend on it.
  package enum Inputs: Sendable, Hashable {
    /// Nothing: they are not quantized, or their scales are found when they are there.
    case none
    /// `input_scale`, and `input_zero_point` where it is not symmetric.
    case scale(isSymmetric: Bool)
    /// `input_global_scale`.
    case globalScale
  }

  /// Programs that store the same numbers under other names, or in another order.
  package enum Maker: Sendable, Hashable {
    /// The library itself.
    case compressedTensors
    /// ModelOpt's NVFP4: what stands for the global scale multiplies the scales.
    case modelOpt
    /// GPTQ's integers, by inputs; zero points are stored less one in its first format.
    case gptq(lessOne: Bool)
    /// AWQ's integers of 4 bits, by inputs, for its GEMM kernels.
    case awq
    /// Rows of integers of 8 bits with the largest magnitude of each, as bitsandbytes has them.
    case bitsandbytes
  }

  /// How the tensors are laid out.
  package var format: Format
  /// What a code is.
  package var number: Number
  /// Which values share a scale.
  package var geometry: Geometry
  /// Whether there are no zero points.
  package var isSymmetric: Bool
  /// What is stored about activations.
  package var inputs: Inputs
  /// Whether `weight_g_idx` names each column's group, which are then not adjacent: GPTQ's
  /// activation order.
  package var isOrdered = false
  /// Whose names the tensors have, and whose way to lay them out.
  package var maker = Maker.compressedTensors

  /// Makes a description; `CompressedTensorsConfig` reads only those that the format allows.
  package init(
    _ format: Format, _ number: Number, _ geometry: Geometry, isSymmetric: Bool = true,
    inputs: Inputs = .none
  ) {
    self.format = format
    self.number = number
    self.geometry = geometry
    self.isSymmetric = isSymmetric
    self.inputs = inputs
  }

  /// Rows and columns that share a scale in a matrix (rows, columns).
  package func block(of shape: Shape) -> (rows: Int, columns: Int) {
    let (rows, columns) = (shape.dimensions[0], shape.dimensions[1])
    switch geometry {
    case .tensor: return (rows, columns)
    case .channel: return (1, columns)
    case .group(let size): return (1, size)
    case .block(let height, let width): return (height, width)
    }
  }

  /// Whether a matrix of so many columns can be stored so: groups are whole, and FP4 fills bytes.
  package func fits(columns: Int) -> Bool {
    if case .group(let size) = geometry, columns % size != 0 { return false }
    return number != .float4 || columns % 2 == 0
  }
}

extension CompressedScheme: CustomStringConvertible {
  /// For people: `INT4 in groups of 32`, `FP8 in blocks of 128 × 128`.
  package var description: String {
    let code =
      switch (format, number) {
      case (.nvfp4, _): maker == .modelOpt ? "ModelOpt's NVFP4" : "NVFP4"
      case (.mxfp4, _): "MXFP4"
      case (.mxfp8, _): "MXFP8"
      case (_, .integer(let bits)):
        (maker.title.map { "\($0) " } ?? "") + "INT\(bits)"
          + (isSymmetric ? "" : " with zero points")
      case (_, .float8): "FP8 E4M3"
      case (_, .float4): "FP4"
      }
    switch geometry {
    case .tensor: return code + " with one scale"
    case .channel: return code + " with a scale per row"
    case .group(let size):
      return code + " in groups of \(size)" + (isOrdered ? " in activation order" : "")
    case .block(let rows, let columns): return code + " in blocks of \(rows) × \(columns)"
    }
  }
}

extension CompressedScheme.Format {
  /// What compressed-tensors stores a weight in where nothing says so.
  ///
  /// Source: compressed-tensors 0.20, `COMPRESSION_FORMAT_PRIORITY` and `can_compress`.
  static func usual(
    for number: CompressedScheme.Number, _ geometry: CompressedScheme.Geometry, hasInputs: Bool,
    hasByteScales: Bool
  ) -> Self {
    switch (number, geometry) {
    case (.float4, .group(32)): .mxfp4
    case (.float4, _): .nvfp4
    case (.float8, .group(32)) where hasByteScales: .mxfp8
    case (.integer, _): hasInputs ? .int8 : .packed
    case (.float8, _): hasInputs ? .float8 : .naive
    }
  }
}

extension CompressedScheme {
  /// Whether the format holds such numbers with such scales, as compressed-tensors writes it.
  var isKnown: Bool {
    if isOrdered, format != .packed || !isGrouped { return false }
    return switch (format, number, geometry) {
    case (.packed, .integer(4), .channel), (.packed, .integer(4), .group): true
    case (.packed, .integer(8), .channel), (.packed, .integer(8), .group): true
    case (.int8, .integer(8), .block), (.naive, .integer(8), .block): false
    case (.int8, .integer(8), _), (.naive, .integer(8), _): isSymmetric
    case (.float8, .float8, _), (.naive, .float8, _): isSymmetric
    case (.nvfp4, .float4, .group(16)), (.mxfp4, .float4, .group(32)): isSymmetric
    case (.mxfp8, .float8, .group(32)): isSymmetric
    default: false
    }
  }
}

extension CompressedScheme {
  /// Whether columns of a row share scales, but not all of them do.
  var isGrouped: Bool { if case .group = geometry { true } else { false } }

  /// The same for a weight beside which `weight_g_idx` stands, whatever the config says: codes were
  /// made with the groups that it names.
  package var ordered: CompressedScheme? {
    guard format == .packed, isGrouped || maker != .compressedTensors else { return nil }
    var scheme = self
    scheme.isOrdered = true
    return scheme
  }
}

extension CompressedScheme.Maker {
  /// What it is called; nil for the library itself.
  package var title: String? {
    switch self {
    case .compressedTensors: nil
    case .modelOpt: "ModelOpt"
    case .gptq: "GPTQ"
    case .awq: "AWQ"
    case .bitsandbytes: "bitsandbytes"
    }
  }

  /// Whether the tensors that are there tell which modules are stored so, and the config at most which
  /// may be.
  package var isToldByTensors: Bool { self != .compressedTensors }

  /// What follows a module's name where each column's group is named.
  package var columnGroupsName: ExactText {
    if case .gptq = self { "g_idx" } else { CompressedTensor.columnGroupsName }
  }
}
