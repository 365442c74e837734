package import Tensors

/// How a peer quantizes a matrix in groups of adjacent columns: what codes, scales and offsets are,
/// and whose arithmetic gives them.
///
/// Every scheme takes F32, F16 or BF16 weights, and the type is part of the recipe: the peers compute
/// in it where this says so. Weights must be finite: the caller looks for those that are not
/// (`Codec.firstNotFinite`), since the peers let a NaN vanish or spread as their `max` has it.
package struct GroupScheme: Hashable, Sendable {
  /// The arithmetic that finds scales and codes.
  package enum Method: Hashable, Sendable {
    /// `mlx.core.quantize`, mode `affine`: F32 whatever the weight's type, the scale possibly
    /// negative, so that the number farther from zero gets a code of its own.
    case mlxAffine
    /// `mlx.core.quantize`, modes `mxfp4` and `mxfp8`, in the weight's type.
    case mlxPowerOfTwo
    /// `mlx.core.quantize`, mode `nvfp4` without a global scale.
    case mlxE4M3
    /// compressed-tensors' round-to-nearest integers around zero, in the weight's type.
    case symmetric
    /// The same with a zero point.
    case asymmetric
    /// compressed-tensors' MXFP4, in the weight's type.
    case powerOfTwo
    /// compressed-tensors' NVFP4 with a global scale, the scale found in the weight's type.
    case e4m3
    /// ModelOpt's NVFP4: F32 whatever the weight's type, scales multiplied by the global scale, where
    /// compressed-tensors divides by it.
    case modelOpt
  }

  /// What accompanies the scales.
  package enum OffsetKind: Hashable, Sendable {
    /// Nothing.
    case none
    /// A bias per group in the weight's type.
    case biases
    /// A zero point per group, packed as the codes are but along the rows.
    case zeroPoints
  }

  /// The arithmetic.
  package let method: Method
  /// Type of the codes: `u2` … `u6`, `u8`, `f4` or `f8E4M3`.
  package let code: ElementType
  /// Columns that share a scale; nil for whole rows.
  package let group: Int?

  private init(_ method: Method, _ code: ElementType, group: Int?) {
    self.method = method
    self.code = code
    self.group = group
  }

  /// MLX' affine mode: 2, 3, 4, 5, 6 or 8 bits, groups of 32, 64 or 128; nil for others.
  package static func mlxAffine(bits: Int, group: Int) -> GroupScheme? {
    guard [32, 64, 128].contains(group), let code = integer(bits) else { return nil }
    return GroupScheme(.mlxAffine, code, group: group)
  }

  /// MLX' MXFP4: groups of 32.
  package static let mlxMXFP4 = GroupScheme(.mlxPowerOfTwo, .f4, group: 32)
  /// MLX' MXFP8 of E4M3 codes: groups of 32.
  package static let mlxMXFP8 = GroupScheme(.mlxPowerOfTwo, .f8E4M3, group: 32)
  /// MLX' NVFP4: groups of 16.
  package static let mlxNVFP4 = GroupScheme(.mlxE4M3, .f4, group: 16)

  /// compressed-tensors' integers (`pack-quantized`): 4 or 8 bits, any groups of whole bytes or
  /// whole rows (nil); nil for others.
  package static func integers(bits: Int, group: Int?, symmetric: Bool) -> GroupScheme? {
    guard bits == 4 || bits == 8, let code = integer(bits) else { return nil }
    if let group, group <= 0 || group % 8 != 0 { return nil }
    return GroupScheme(symmetric ? .symmetric : .asymmetric, code, group: group)
  }

  /// compressed-tensors' `mxfp4-pack-quantized`.
  package static let mxfp4 = GroupScheme(.powerOfTwo, .f4, group: 32)
  /// compressed-tensors' `nvfp4-pack-quantized`.
  package static let nvfp4 = GroupScheme(.e4m3, .f4, group: 16)
  /// ModelOpt's NVFP4, whose global scale is `weight_scale_2`.
  package static let modelOptNVFP4 = GroupScheme(.modelOpt, .f4, group: 16)

  /// The schemes that formats name, one row each.
  package static let table: [GroupScheme] =
    [2, 3, 4, 5, 6, 8].flatMap { bits in
      [32, 64, 128].compactMap { mlxAffine(bits: bits, group: $0) }
    } + [mlxMXFP4, mlxMXFP8, mlxNVFP4]
    + [4, 8].flatMap { bits in
      [true, false].flatMap { symmetric in
        [32, 64, 128, nil].compactMap { integers(bits: bits, group: $0, symmetric: symmetric) }
      }
    } + [mxfp4, nvfp4, modelOptNVFP4]

  private static func integer(_ bits: Int) -> ElementType? {
    bits == 8 ? .u8 : ElementType(codeBits: bits)
  }
}

extension GroupScheme: CustomStringConvertible {
  /// A name for lists and messages, such as `mlx-affine-4-g64`, `int4-channel-asymmetric`.
  package var description: String {
    let size = group.map { "g\($0)" } ?? "channel"
    return switch method {
    case .mlxAffine: "mlx-affine-\(code.bits)-\(size)"
    case .mlxPowerOfTwo: code == .f4 ? "mlx-mxfp4" : "mlx-mxfp8"
    case .mlxE4M3: "mlx-nvfp4"
    case .symmetric: "int\(code.bits)-\(size)"
    case .asymmetric: "int\(code.bits)-\(size)-asymmetric"
    case .powerOfTwo: "mxfp4"
    case .e4m3: "nvfp4"
    case .modelOpt: "modelopt-nvfp4"
    }
  }
}

extension GroupScheme {
  /// What accompanies the scales.
  package var offsets: OffsetKind {
    switch method {
    case .mlxAffine: .biases
    case .asymmetric: .zeroPoints
    default: .none
    }
  }

  /// The type of the scales of weights of a type.
  package func scaleType(of type: ElementType) -> ElementType {
    switch method {
    case .mlxAffine, .symmetric, .asymmetric: type
    case .mlxPowerOfTwo, .powerOfTwo: .f8E8M0
    case .mlxE4M3, .e4m3, .modelOpt: .f8E4M3
    }
  }

  /// Whether rows of so many columns can be cut into the groups.
  package func divides(columns: Int) -> Bool { columns > 0 && columns % (group ?? columns) == 0 }

  /// Groups in a row.
  package func groups(columns: Int) -> Int { columns / (group ?? columns) }

  /// Bytes that the codes of a row take: whole words of 32 bits for integers, as both peers store
  /// them; compressed-tensors' FP4 ends with its last byte.
  package func codeBytes(columns: Int) -> Int {
    let spanned = code.bytesSpanned(elements: columns)
    return code == .f4 ? spanned : (spanned + 3) / 4 * 4
  }

  /// Bytes that the scales of so many rows take.
  package func scaleBytes(rows: Int, columns: Int, type: ElementType) -> Int {
    rows * groups(columns: columns) * (scaleType(of: type).bits / 8)
  }

  /// Bytes that biases (rows, groups) or zero points (⌈rows · bits / 32⌉ words, groups) take.
  package func offsetBytes(rows: Int, columns: Int, type: ElementType) -> Int {
    switch offsets {
    case .none: 0
    case .biases: scaleBytes(rows: rows, columns: columns, type: type)
    case .zeroPoints: (rows * code.bits + 31) / 32 * 4 * groups(columns: columns)
    }
  }

  /// Rows that a band must be a multiple of, so that its zero points fill whole words: all bands but
  /// the last.
  package var bandRows: Int { offsets == .zeroPoints ? 32 / code.bits : 1 }
}
