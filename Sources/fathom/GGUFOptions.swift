internal import ArgumentParser
internal import Conversion
internal import Dialects
internal import Formats
package import Mixes
internal import Platform
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
      valueName: "regex=type"),
    transform: { try TensorTypeRule(parsing: $0) })
  var tensorType: [TensorTypeRule] = []

  @Flag(help: "Quantize tensors of a GGUF file that are quantized already once more.")
  var allowRequantize = false

  @Flag(help: "Keep the splits of a GGUF file, and the order of its tensors.")
  var keepSplit = false

  @Option(help: "Importance matrix of llama-imatrix, in either format.")
  var imatrix: String?

  @Option(
    help: ArgumentHelp(
      "Use the matrix for tensors whose names contain this alone; may be repeated.",
      valueName: "part"))
  var includeWeights: [String] = []

  @Option(
    help: ArgumentHelp(
      "Use no matrix for tensors whose names contain this; may be repeated.", valueName: "part"))
  var excludeWeights: [String] = []

  @Option(
    help: ArgumentHelp(
      "Metadata in place of the source's, of type int, float, bool or str; may be repeated.",
      valueName: "key=type:value"))
  var overrideKv: [MetadataOverride] = []

  /// An element type by llama.cpp's name.
  struct BlockType: ExpressibleByArgument {
    let type: ElementType

    init?(argument: String) {
      guard let type = try? TensorTypeRule.type(named: argument) else { return nil }
      self.type = type
    }
  }

  /// Names all looked up; no file is read yet.
  func recipe(_ fileType: GGUFFileType?) -> GGUFRecipe {
    GGUFRecipe(
      fileType, isPure: pure, outputType: outputTensorType?.type,
      embeddingType: tokenEmbeddingType?.type, tensorTypes: tensorType,
      leavesOutput: leaveOutputTensor, allowsRequantizing: allowRequantize,
      keepsSplit: keepSplit, overrides: overrideKv)
  }

  /// The importance matrix, without what is not to be used.
  func importance() throws(Fault) -> ImportanceMatrix? {
    guard let imatrix else { return nil }
    var matrix = try ImportanceMatrix(path: imatrix)
    matrix.exclude(namesContaining: excludeWeights)
    matrix.include(onlyNamesContaining: includeWeights)
    return matrix
  }

  /// Throws for options that do not go together.
  func check() throws {
    if imatrix == nil, !includeWeights.isEmpty || !excludeWeights.isEmpty {
      throw ValidationError("--include-weights and --exclude-weights go with --imatrix")
    }
    if !includeWeights.isEmpty, !excludeWeights.isEmpty {
      throw ValidationError("--include-weights and --exclude-weights do not go together")
    }
  }

  /// Throws where one of them was given for another format.
  func requireUnused() throws {
    let isUsed =
      pure || leaveOutputTensor || allowRequantize || !tensorType.isEmpty
      || outputTensorType != nil || tokenEmbeddingType != nil || keepSplit || imatrix != nil
      || !includeWeights.isEmpty || !excludeWeights.isEmpty || !overrideKv.isEmpty
    if isUsed { throw ValidationError("llama-quantize's options go with --to gguf") }
  }
}

extension MetadataOverride: ExpressibleByArgument {
  /// Reads `deepseek2.context_length=int:4096`.
  package init?(argument: String) { try? self.init(parsing: argument) }
}
