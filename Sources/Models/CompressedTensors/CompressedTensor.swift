package import Platform
package import Tensors

/// A tensor that stands in a compressed-tensors checkpoint for a weight, or beside it.
package struct CompressedTensor: Sendable, Hashable {
  /// What a tensor is to its weight.
  package enum Role: String, Sendable, Hashable, CaseIterable {
    /// The codes: the first and only one that is always there.
    case codes
    /// Their scales.
    case scales
    /// The codes that stand for zero.
    case zeroPoints
    /// What all scales are divided by, or in ModelOpt's files multiplied.
    case globalScale
    /// Each column's group, where groups are not adjacent columns.
    case columnGroups
    /// The shape of the matrix, which packing hides.
    case shape
    /// What is stored about activations.
    case inputs
  }

  /// What it is to the weight.
  package let role: Role
  /// What takes the place of `weight` in its name.
  package let name: ExactText
  /// Its own shape.
  package let shape: Shape
  /// The types that it may have, the usual one first.
  package let types: [ElementType]
}

extension CompressedTensor {
  /// What follows a module's name where codes and what belongs to them are stored.
  private static let suffixes: [ExactText] = [
    "weight_packed", "weight_scale", "weight_scale_inv", "weight_zero_point",
    "weight_global_scale", modelOptGlobalScaleName, "weight_shape", columnGroupsName, "input_scale",
    "input_zero_point", "input_global_scale", "qweight", "qzeros", "scales", "g_idx", "SCB",
    "weight_format",
  ]
  /// What ModelOpt calls the number that all scales of a matrix are multiplied by.
  static let modelOptGlobalScaleName: ExactText = "weight_scale_2"
  /// What names each column's group.
  package static let columnGroupsName: ExactText = "weight_g_idx"
  /// What DeepSeek's checkpoints, and some quantizers of others, call FP8's scales.
  package static let otherScalesName: ExactText = "weight_scale_inv"

  /// The weight that a tensor of such a name would belong to; nil for other names.
  package static func weightName(ofPart name: ExactText) -> ExactText? {
    var parts = name.split(separator: ".")
    guard let last = parts.popLast(), !parts.isEmpty, suffixes.contains(last) else { return nil }
    return "\(parts.joined(separator: ".")).weight"
  }
}

extension CompressedScheme {
  /// Scales that are not bound to a type of their own.
  private static let scaleTypes: [ElementType] = [.bf16, .f32, .f16]

  /// What a checkpoint holds of a matrix, the codes first.
  ///
  /// Source: compressed-tensors 0.20, `compression_param_names` and `initialize_qparams`.
  ///
  /// - Parameter shape: the matrix's own, (rows, columns); nil is returned for what is none, or has
  ///   no whole groups.
  package func tensors(of shape: Shape) -> [CompressedTensor]? {
    guard shape.dimensions.count == 2, fits(columns: shape.dimensions[1]) else { return nil }
    switch maker {
    case .gptq, .awq: return transposedTensors(of: shape)
    case .bitsandbytes:
      let codes = codes(of: shape)
      return [
        codes, .init("SCB", .scales, [shape.dimensions[0]], [.f32]),
        .init("weight_format", .inputs, [1], [.u8]),
      ].compactMap { $0 }
    case .compressedTensors, .modelOpt: break
    }
    // One number is a vector to the library, and a scalar to ModelOpt.
    let one = maker == .modelOpt ? [] : [1]
    var tensors = [codes(of: shape), scales(of: shape)]
    if !isSymmetric { tensors.append(zeroPoints(of: shape)) }
    if isOrdered {
      tensors.append(
        .init(
          CompressedTensor.columnGroupsName, .columnGroups, [shape.dimensions[1]], [.i32, .i64]))
    }
    if format == .packed { tensors.append(.init("weight_shape", .shape, [2], [.i64, .i32])) }
    if format == .nvfp4 {
      tensors.append(
        .init(
          maker == .modelOpt ? CompressedTensor.modelOptGlobalScaleName : "weight_global_scale",
          .globalScale, one, [.f32]))
    }
    switch inputs {
    case .none: break
    case .scale(let isSymmetric):
      tensors.append(
        .init("input_scale", .inputs, one, maker == .modelOpt ? [.f32] : Self.scaleTypes))
      guard !isSymmetric else { break }
      tensors.append(.init("input_zero_point", .inputs, [1], [.i8, .f8E4M3]))
    case .globalScale: tensors.append(.init("input_global_scale", .inputs, [1], [.f32]))
    }
    return tensors.compactMap { $0 }
  }

  /// The name of the tensor that holds the codes.
  package var codesName: ExactText {
    switch (format, maker) {
    case (_, .gptq), (_, .awq): return "qweight"
    case (_, .modelOpt): return "weight"
    default: break
    }
    return switch format {
    case .packed, .nvfp4, .mxfp4: "weight_packed"
    case .int8, .float8, .naive, .mxfp8: "weight"
    }
  }

  private func codes(of shape: Shape) -> CompressedTensor? {
    let (rows, columns) = (shape.dimensions[0], shape.dimensions[1])
    switch (format, number) {
    case (.packed, _):
      return .init(codesName, .codes, [rows, words(columns)], [.i32])
    case (.nvfp4, _), (.mxfp4, _):
      return .init(codesName, .codes, [rows, columns / 2], [.u8])
    case (_, .float8): return .init(codesName, .codes, [rows, columns], [.f8E4M3])
    default: return .init(codesName, .codes, [rows, columns], [.i8])
    }
  }

  private func scales(of shape: Shape) -> CompressedTensor? {
    let types: [ElementType] =
      switch format {
      case .nvfp4: [.f8E4M3]
      case .mxfp4, .mxfp8: [.u8, .f8E8M0]
      case .packed, .int8, .float8, .naive: Self.scaleTypes
      }
    return .init("weight_scale", .scales, grid(of: shape), types)
  }

  private func zeroPoints(of shape: Shape) -> CompressedTensor? {
    let grid = grid(of: shape)
    // Packed along the output features, whatever the codes are packed along.
    return format == .packed
      ? .init("weight_zero_point", .zeroPoints, [words(grid[0]), grid[1]], [.i32])
      : .init("weight_zero_point", .zeroPoints, grid, [.i8])
  }

  /// One scale for the whole matrix is a vector of one.
  private func grid(of shape: Shape) -> [Int] {
    if geometry == .tensor { return [1] }
    let block = block(of: shape)
    return [
      (shape.dimensions[0] + block.rows - 1) / block.rows,
      (shape.dimensions[1] + block.columns - 1) / block.columns,
    ]
  }

  /// What GPTQ and AWQ hold of a matrix (outputs, inputs), by its inputs; nil where codes do not fill
  /// whole words.
  ///
  /// Source: GPTQModel's and AutoAWQ's `QuantLinear`, `WQLinear_GEMM`.
  private func transposedTensors(of shape: Shape) -> [CompressedTensor]? {
    let (outputs, inputs) = (shape.dimensions[0], shape.dimensions[1])
    let perWord = 32 / number.bits
    guard outputs % perWord == 0, inputs % perWord == 0 else { return nil }
    let groups = grid(of: shape)[1]
    let codes = maker == .awq ? [inputs, words(outputs)] : [words(inputs), outputs]
    var tensors: [CompressedTensor?] = [
      .init(codesName, .codes, codes, [.i32]),
      .init("scales", .scales, [groups, outputs], [.f16, .bf16, .f32]),
      .init("qzeros", .zeroPoints, [groups, words(outputs)], [.i32]),
    ]
    if isOrdered {
      tensors.append(.init(maker.columnGroupsName, .columnGroups, [inputs], [.i32, .i64]))
    }
    return tensors.compactMap { $0 }
  }

  /// 32-bit words that so many codes fill.
  private func words(_ count: Int) -> Int { (count * number.bits + 31) / 32 }
}

extension CompressedTensor {
  /// Whether a stored shape is this one, however it is written: one number is a scalar as well, and
  /// a column of them a vector.
  package func admits(_ stored: Shape) -> Bool {
    stored == shape
      || role != .codes && stored.elementCount == shape.elementCount
        && [stored, shape].allSatisfy { $0.dimensions.count { $0 != 1 } <= 1 }
  }

  /// Nil where the shape's elements overflow, which a config's reader has excluded.
  fileprivate init?(_ name: ExactText, _ role: Role, _ dimensions: [Int], _ types: [ElementType]) {
    guard let shape = Shape(dimensions) else { return nil }
    self.init(role: role, name: name, shape: shape, types: types)
  }
}
