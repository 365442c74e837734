package import Platform

/// A format that models are read from; raw values are the words of reports.
package enum ModelFormat: String, Sendable, Hashable, CaseIterable {
  /// A Hugging Face checkpoint.
  case safetensors
  /// A GGUF file, or splits of one.
  case gguf
  /// A folder of mlx-lm or mlx-swift-lm.
  case mlx
  /// A folder whose config says that compressed-tensors, or a program that stores the same numbers
  /// under other names, keeps some of its weights as codes.
  case compressedTensors = "compressed-tensors"
  /// DeepSeek's own model-parallel shards.
  case native = "deepseek"

  /// A row of the table that tells what lies in a folder by its contents.
  private struct Row: Sendable {
    let format: ModelFormat
    let fits: @Sendable (CheckpointSurvey) -> Bool
  }

  /// Asked in this order; the last one takes what is left.
  private static let folders = [
    Row(format: .native) { $0.isNative },
    Row(format: .mlx) { survey in
      survey.config["quantization"]?["group_size"] != nil
        || survey.headers.contains { $0.metadata.contains { $0 == ("format", "mlx") } }
    },
    Row(format: .compressedTensors) {
      CheckpointSurvey.storageSections(of: $0.config).contains { section in
        // What other programs store is one of its schemes under other names.
        ["compressed-tensors", "gptq", "awq", "bitsandbytes"].contains(section["quant_method"])
          || section["quant_method"] == "modelopt"
            && CheckpointSurvey.modelOptFP4.contains(section["quant_algo"])
      }
    },
    Row(format: .safetensors) { _ in true },
  ]

  /// Whether a path names a GGUF file, by its contents; a file of that name that is none is for
  /// opening to refuse.
  ///
  /// - Throws: `.notFound` and `.inputOutput` where it cannot be read.
  package static func isGGUF(_ path: String) throws(Fault) -> Bool {
    guard try Folder.kind(of: path) == .file else { return false }
    if Folder.name(of: path).hasSuffix(".gguf") { return true }
    // A packed file that is damaged is for opening to refuse.
    return try GGUFHeader.isGGUF(PackedFile.weights(InputFile(path: path)))
  }

  /// What a folder with safetensors files is.
  package init(_ survey: CheckpointSurvey) {
    let row = ModelFormat.folders.first { $0.fits(survey) }
    guard let row else { preconditionFailure("the last row takes everything") }
    self = row.format
  }
}

extension Inventory {
  /// Opens a MODEL argument for what its files hold, under the names that they use themselves;
  /// nothing is asked of the config.
  ///
  /// - Throws: what opening the format throws.
  package init(model path: String, threads: Int) throws(Fault) {
    let place = try ModelPlace(path)
    try place.requireWeights()
    self =
      try place.kind == .gguf
      ? GGUFFiles(path: place.path).inventory
      : Checkpoint(path: place.path, threads: threads).inventory
  }
}
