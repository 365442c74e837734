public import Tensors

/// What the user asked of a GGUF file: llama-quantize's options under its own names.
public struct GGUFRecipe: Sendable, Hashable {
  /// The mix of types.
  public var fileType: GGUFFileType
  /// Every tensor that may be quantized gets the file type's own type (`--pure`).
  public var isPure: Bool
  /// Type of `output.weight` (`--output-tensor-type`).
  public var outputType: ElementType?
  /// Type of `token_embd.weight` (`--token-embedding-type`).
  public var embeddingType: ElementType?
  /// Types of tensors whose names match (`--tensor-type`); the first match counts.
  public var tensorTypes: [TensorTypeRule]
  /// `output.weight` is not quantized (`--leave-output-tensor`).
  public var leavesOutput: Bool
  /// A source that is quantized already may be quantized again (`--allow-requantize`).
  public var allowsRequantizing: Bool

  /// Makes a recipe.
  public init(
    _ fileType: GGUFFileType, isPure: Bool = false, outputType: ElementType? = nil,
    embeddingType: ElementType? = nil, tensorTypes: [TensorTypeRule] = [],
    leavesOutput: Bool = false, allowsRequantizing: Bool = false
  ) {
    self.fileType = fileType
    self.isPure = isPure
    self.outputType = outputType
    self.embeddingType = embeddingType
    self.tensorTypes = tensorTypes
    self.leavesOutput = leavesOutput
    self.allowsRequantizing = allowsRequantizing
  }
}
