package import Formats
package import Models
package import Platform
package import Tensors

/// The scales of an FP8 weight in a Hugging Face checkpoint, read off the tensors: whichever module
/// it is of, whatever of the usual names they have, and for blocks, rows or the whole matrix.
package struct FP8Scales {
  /// What turns a weight's name into that of its scales, DeepSeek's first; AutoFP8, ModelOpt and
  /// compressed-tensors have the other.
  package static let suffixes: [ExactText] = ["_scale_inv", "_scale"]
  /// Element types that they may have, what loaders expect first.
  package static let types: [ElementType] = [.f32, .f8E8M0, .bf16, .f16]

  /// The tensor that holds them.
  package let tensor: StoredTensor
  /// The weight's suffix that names it.
  package let suffix: ExactText

  /// The first of the usual names that is there beside a weight.
  package init?(of weight: ExactText, in stored: TensorTable) {
    for suffix in FP8Scales.suffixes {
      if let tensor = stored[weight, suffix] {
        self.tensor = tensor
        self.suffix = suffix
        return
      }
    }
    return nil
  }

  /// The weight that a tensor of such a name scales; nil for other names.
  package static func weightName(ofScale name: ExactText) -> ExactText? {
    for suffix in suffixes {
      guard let weight = name.without(suffix: suffix) else { continue }
      return suffix == suffixes[0] || weight.hasSuffix(".weight") ? weight : nil
    }
    return nil
  }

  /// Whether a tensor of such a name scales a weight.
  package static func isScale(_ name: ExactText) -> Bool {
    name.hasSuffix(suffixes[0]) || weightName(ofScale: name) != nil
  }

  /// Whether loaders of such a checkpoint look for another name.
  package func isMisnamed(_ fp8: ModelConfig.FP8Quantization) -> Bool {
    fp8.blocks != nil && suffix != FP8Scales.suffixes[0]
  }

  /// What shares a scale in a matrix; nil where these are no scales of it.
  ///
  /// Where the config names blocks these have them; else there is one scale, or one for each row.
  package func block(
    of weight: Shape, _ blocks: ModelConfig.FP8Quantization.Blocks?
  ) -> BlockSize? {
    guard weight.dimensions.count == 2 else { return nil }
    let (rows, columns) = (weight.dimensions[0], weight.dimensions[1])
    let own = tensor.shape
    guard let blocks else {
      if own.elementCount == 1 { return BlockSize(rows: rows, columns: columns) }
      return [[rows, 1], [rows]].contains(own.dimensions)
        ? BlockSize(rows: 1, columns: columns) : nil
    }
    let size = BlockSize(blocks)
    let grid = Scaling.grid(size, rows: rows, columns: columns)
    return own.dimensions == grid || own.elementCount == 1 && grid == [1, 1] ? size : nil
  }

  /// What the codes of a matrix mean; nil where these are no scales of it.
  package func scaling(
    of weight: Shape, _ blocks: ModelConfig.FP8Quantization.Blocks?
  ) -> Scaling? {
    guard FP8Scales.types.contains(tensor.type), let block = block(of: weight, blocks) else {
      return nil
    }
    let (rows, columns) = (weight.dimensions[0], weight.dimensions[1])
    guard let shape = Shape(Scaling.grid(block, rows: rows, columns: columns)),
      let grid = tensor.seen(as: tensor.type, shape)
    else { return nil }
    return Scaling(grid, block: block, rows: rows, columns: columns)
  }
}

extension FP8Scales {
  /// The section of `config.json` that all scales of a checkpoint fit; nil where there is none.
  ///
  /// - Parameters:
  ///   - weights: FP8 matrices by their names.
  ///   - stored: what there is.
  package static func fittingSection(
    _ weights: [(name: ExactText, shape: Shape)], in stored: TensorTable
  ) -> String? {
    let pairs = weights.compactMap { name, shape in
      FP8Scales(of: name, in: stored).map { (shape, $0) }
    }
    guard !pairs.isEmpty, pairs.count == weights.count else { return nil }
    let sides = [128, 64, 32, 16, 256]
    let squares = sides.map { ModelConfig.FP8Quantization.Blocks(rows: $0, columns: $0) }
    let others = sides.flatMap { rows in
      sides.map { ModelConfig.FP8Quantization.Blocks(rows: rows, columns: $0) }
    }
    let sizes: [ModelConfig.FP8Quantization.Blocks?] = squares + others + [nil]
    let fitting = sizes.first { blocks in
      pairs.allSatisfy { shape, scales in scales.block(of: shape, blocks) != nil }
    }
    guard let blocks = fitting else { return nil }
    let isByte = pairs.contains { $1.tensor.type == .f8E8M0 }
    let fp8 = ModelConfig.FP8Quantization(
      blocks: blocks, powerOfTwoScales: isByte, excludedModules: [])
    return JSONValue.object(["quantization_config": .object(fp8.section)]).text(indent: nil)
  }
}

extension BlockSize {
  /// The blocks that a config names.
  package init(_ blocks: ModelConfig.FP8Quantization.Blocks) {
    self.init(rows: blocks.rows, columns: blocks.columns)
  }
}
