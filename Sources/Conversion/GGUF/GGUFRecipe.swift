internal import Platform
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

  /// A type by llama.cpp's name in any case; nil for other names and for types that are not
  /// written.
  public static func type(named name: String) -> ElementType? {
    guard let type = ElementType(rawValue: name.uppercased()), type.ggmlID != nil,
      type.isBlock || [.f32, .f16, .bf16].contains(type)
    else { return nil }
    return type
  }
}

/// A pattern and the type of the tensors whose names contain a match: `ffn_down=q8_0`.
public struct TensorTypeRule: Sendable, Hashable {
  /// A regular expression.
  public let pattern: String
  /// The type.
  public let type: ElementType

  /// Reads `pattern=type`; returns nil where either is not one.
  public init?(_ text: String) {
    guard let sign = text.lastIndex(of: "="), sign > text.startIndex,
      let type = GGUFRecipe.type(named: String(text[text.index(after: sign)...]))
    else { return nil }
    pattern = text[..<sign].lowercased()
    guard (try? Regex(pattern)) != nil else { return nil }
    self.type = type
  }

  func matches(_ name: String) -> Bool {
    guard let expression = try? Regex(pattern) else { return false }
    return name.firstMatch(of: expression) != nil
  }
}
