internal import Formats
internal import Mixes
internal import Models
internal import Naming
internal import Platform
internal import Tensors
internal import Weights

/// DeepSeek-V4 as a GGUF file.
extension GGUFPlanner {
  /// Throws `.usage` where a network has what llama.cpp's files cannot say, and where nothing says
  /// what types its tensors get.
  static func requireWritable(_ source: SourceModel, _ gguf: GGUFRecipe) throws(Fault) {
    let config = source.config
    guard config.v4 != nil else {
      guard gguf.fileType != nil else {
        throw Fault(.usage, "--to gguf needs --quant or --recipe, but for a GGUF file")
      }
      return try SourceCheck.requireUsualLayers(source, of: "llama.cpp")
    }
    try SourceCheck.requireUsualRatios(source, of: "llama.cpp")
    guard gguf.fileType == nil, gguf.namesTypes else { return }
    throw Fault(
      .usage, "has the types of llama.cpp's converter without --quant, and takes no others then",
      file: source.checkpoint.folder, expected: "--quant beside what names types of tensors")
  }

  /// Throws `.usage` where a file of the MTP layers alone is asked for that llama.cpp does not run.
  static func requirePredictor(_ source: SourceModel, _ present: Int) throws(Fault) {
    guard source.config.v4 != nil else {
      throw Fault(
        .usage,
        "--mtp only goes with --to hf, or with DeepSeek-V4: llama.cpp runs no other MTP layers alone"
      )
    }
    guard present == 1 else {
      throw Fault(
        .usage, "has not the one MTP layer that llama.cpp runs by itself",
        file: source.checkpoint.folder, expected: "1", found: "\(present)")
    }
  }

  /// The type that llama.cpp's converter gives a tensor of DeepSeek-V4 as it is published.
  ///
  /// Codes of FP4 are carried, those of FP8 become Q8_0, or F16 where rows are no whole blocks, and
  /// what is BF16 or F32 stays so.
  ///
  /// - Throws: `.usage` for what it does not take.
  func convertersType(
    of tensor: DialectTensor, _ assembly: Assembly
  ) throws(Fault) -> ElementType {
    let type = assembly.first.tensor.type
    if tensor.form == .experts {
      if assembly.packing(into: .mxfp4) != nil { return .mxfp4 }
    } else if tensor.form != .beside, let type = tensor.fixedTypeInGGUF(of: source.config) {
      return type
    } else if type == .f8E4M3 || tensor.form == .beside {
      return assembly.columns % ElementType.q80.blockElements == 0 ? .q80 : .f16
    } else if SourceWeights.plainTypes.contains(type) {
      return type
    }
    throw Fault(
      .usage,
      "is not stored as in published checkpoints, of which alone llama.cpp's converter "
        + "chooses types", file: source.weights.path(of: assembly.first.tensor),
      tensor: tensor.sources.first, expected: "--quant",
      found: tensor.form == .experts ? "experts in \(type.rawValue)" : type.rawValue)
  }

  /// The type of a tensor before llama-quantize sees it.
  func typeBefore(of tensor: DialectTensor, _ assembly: Assembly) throws(Fault) -> ElementType {
    if gguf.fileType == nil { return try convertersType(of: tensor, assembly) }
    return tensor.fixedTypeInGGUF(of: target) ?? .f32
  }

  /// Lines about what of DeepSeek-V4 a file does not hold.
  func warningsOfV4(hasTemplate: Bool) -> [String] {
    guard source.config.v4 != nil else { return [] }
    var lines: [String] = []
    if recipe.mtp == .keep, draft.presentMTPLayers > 0 {
      lines.append(
        "MTP layers are left out, as by llama.cpp's converter: a file has one name for what puts "
          + "streams together; --mtp only writes a file of the MTP layer")
    }
    if !hasTemplate {
      lines.append(
        "the model has no chat template, and so has the file; llama.cpp's converter adds one of its "
          + "own, which --chat-template-file gives its programs")
    }
    return lines
  }
}

extension GGUFRecipe {
  /// Whether anything but a file type names types of tensors.
  fileprivate var namesTypes: Bool {
    isPure || leavesOutput || outputType != nil || embeddingType != nil || !tensorTypes.isEmpty
      || !rules.isEmpty || importance != nil
  }
}
