public import ArgumentParser
public import Conversion
internal import Tensors

/// llama-quantize's options, under its own names.
struct GGUFOptions: ParsableArguments {
  @Flag(help: "Give every quantized tensor the file type's own type, without a mix.")
  var pure = false

  @Flag(help: "Leave output.weight as it is.")
  var leaveOutputTensor = false

  @Option(help: ArgumentHelp("Type of output.weight.", valueName: "type"))
  var outputTensorType: BlockType?

  @Option(help: ArgumentHelp("Type of token_embd.weight.", valueName: "type"))
  var tokenEmbeddingType: BlockType?

  @Option(
    help: ArgumentHelp(
      "Type of tensors whose names match a regular expression; may be repeated.",
      valueName: "regex=type"))
  var tensorType: [TensorTypeRule] = []

  @Flag(help: "Quantize tensors of a GGUF file that are quantized already once more.")
  var allowRequantize = false

  /// An element type by llama.cpp's name.
  struct BlockType: ExpressibleByArgument {
    let type: ElementType

    init?(argument: String) {
      guard let type = try? TensorTypeRule.type(named: argument) else { return nil }
      self.type = type
    }
  }

  func recipe(_ fileType: GGUFFileType) -> GGUFRecipe {
    GGUFRecipe(
      fileType, isPure: pure, outputType: outputTensorType?.type,
      embeddingType: tokenEmbeddingType?.type, tensorTypes: tensorType,
      leavesOutput: leaveOutputTensor, allowsRequantizing: allowRequantize)
  }

  /// Throws where one of them was given for another format.
  func requireUnused() throws {
    let isUsed =
      pure || leaveOutputTensor || allowRequantize || !tensorType.isEmpty
      || outputTensorType != nil || tokenEmbeddingType != nil
    if isUsed { throw ValidationError("llama-quantize's options go with --to gguf") }
  }
}

extension TensorTypeRule: ExpressibleByArgument {
  /// Reads `ffn_down=q8_0`.
  public init?(argument: String) { try? self.init(parsing: argument) }
}
