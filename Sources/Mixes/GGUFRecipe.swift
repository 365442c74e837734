package import Formats
package import Models
package import Platform
package import Tensors

/// What the user asked of a GGUF file: llama-quantize's options under its own names.
package struct GGUFRecipe: Sendable {
  /// The mix of types; nil where every tensor keeps the type that it has, as with llama-quantize's
  /// `COPY`.
  package var fileType: GGUFFileType?
  /// The type of what no rule speaks of, in place of a mix; nil where the mix decides.
  package var base: ElementType?
  /// Every tensor that may be quantized gets the file type's own type (`--pure`).
  package var isPure: Bool
  /// Type of `output.weight` (`--output-tensor-type`).
  package var outputType: ElementType?
  /// Type of `token_embd.weight` (`--token-embedding-type`).
  package var embeddingType: ElementType?
  /// Types of tensors whose names match (`--tensor-type`, then those of a recipe file); the first
  /// match counts.
  package var tensorTypes: [TensorTypeRule]
  /// Rules of a recipe file, which may speak of kinds of layers.
  package var rules: [RecipeFile<ElementType>.Rule] = []
  /// `output.weight` is not quantized (`--leave-output-tensor`).
  package var leavesOutput: Bool
  /// A source that is quantized already may be quantized again (`--allow-requantize`).
  package var allowsRequantizing: Bool
  /// Tensors stay in the splits and the order that the source has (`--keep-split`).
  package var keepsSplit: Bool
  /// What columns weigh (`--imatrix`).
  package var importance: ImportanceMatrix?
  /// Metadata in place of the source's (`--override-kv`), in order.
  package var overrides: [MetadataOverride]

  /// Makes a recipe.
  package init(
    _ fileType: GGUFFileType?, base: ElementType? = nil, isPure: Bool = false,
    outputType: ElementType? = nil, embeddingType: ElementType? = nil,
    tensorTypes: [TensorTypeRule] = [], leavesOutput: Bool = false,
    allowsRequantizing: Bool = false, keepsSplit: Bool = false,
    importance: ImportanceMatrix? = nil, overrides: [MetadataOverride] = []
  ) {
    self.fileType = fileType
    self.base = base
    self.isPure = isPure
    self.outputType = outputType
    self.embeddingType = embeddingType
    self.tensorTypes = tensorTypes
    self.leavesOutput = leavesOutput
    self.allowsRequantizing = allowsRequantizing
    self.keepsSplit = keepsSplit
    self.importance = importance
    self.overrides = overrides
  }
}

extension GGUFRecipe {
  /// What `general.file_type` will hold; nil where tensors keep their types, and so does the file.
  package var fileTypeID: UInt32? {
    // llama.cpp has a number for such files, but llama-quantize makes none.
    base == .nvfp4 ? 39 : fileType?.id
  }

  /// The recipe with what a recipe file adds to it, whose rules stand behind those of the command.
  ///
  /// A plain file type (F32, F16, BF16) beside a file is the type of what no rule speaks of, since
  /// llama-quantize's mixes for these know no rules.
  ///
  /// - Throws: `.usage` where both name a type for the rest, or neither does.
  package func adding(_ file: RecipeFile<ElementType>) throws(Fault) -> GGUFRecipe {
    var result = self
    result.rules = file.rules
    guard let base = file.base else {
      guard let fileType else {
        throw Fault(.usage, "names no default, and neither does --quant", file: file.path)
      }
      if !fileType.isQuantized { result.base = fileType.type }
      return result
    }
    guard fileType == nil else {
      throw Fault(
        .usage, "names a default, and so does --quant", file: file.path, expected: "one of them")
    }
    result.base = base
    result.fileType = GGUFFileType.mostly(base) ?? .mxfp4MoE
    return result
  }

  /// The recipe with the rules of a file said in layers of a network.
  package func resolved(for config: ModelConfig) throws(Fault) -> GGUFRecipe {
    var result = self
    for rule in rules {
      result.tensorTypes.append(
        try TensorTypeRule(
          .glob(rule.match), rule.type, layers: rule.layers.map { $0.numbers(config) }))
    }
    result.rules = []
    return result
  }

  /// What the importance matrix says of a tensor (…, columns) that blocks are made of, each matrix
  /// of a stack apart; nil where it says nothing.
  package func importance(of entry: OutputLayout.Entry) throws(Fault) -> ImportanceColumns? {
    guard let importance, entry.type.isBlock else { return nil }
    let extents = Array(entry.shape.dimensions.reversed())
    return try importance.columns(
      ofStored: entry.name, count: extents.first ?? 1, matrices: extents.count > 2 ? extents[2] : 1)
  }
}

extension ImportanceMatrix {
  /// The weights of a tensor of a GGUF file of a network of the family, as `columns(of:)` has them.
  ///
  /// - Throws: `.malformed` where they do not fit the tensor.
  package func columns(
    ofStored tensor: ExactText, count: Int, matrices: Int
  ) throws(Fault) -> ImportanceColumns? {
    try columns(
      of: tensor, count: count, matrices: matrices,
      // llama-imatrix sees a matrix for each group of heads there, llama-quantize one.
      addsGroups: tensor.hasSuffix(".attn_output_a.weight"))
  }
}
