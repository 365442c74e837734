public import Formats
public import Models
public import Platform
internal import Tensors

/// A checkpoint with what its config says that it holds: the source of a conversion.
public struct SourceModel: Sendable {
  /// The files.
  public let checkpoint: Checkpoint
  /// What the files are.
  public let format: ModelFormat
  /// The typed config.
  public let config: DeepSeekV3Config
  /// The weights under Hugging Face's names.
  public let weights: SourceWeights
  /// Files of the folder that are neither weights nor config, in the order of their names.
  public let sideFiles: [SideFile]
  /// Entries of the folder that look like side files and are not copied, with the reason.
  public let skippedFiles: [String]

  /// The GGUF file that the checkpoint was read from; nil for any other.
  public let gguf: GGUFModel?

  /// Takes a GGUF file for a checkpoint; nothing lies beside it.
  ///
  /// - Throws: `.malformed` where its tensors are no weights of the network.
  public init(_ model: GGUFModel) throws(Fault) {
    format = .gguf
    gguf = model
    checkpoint = model.checkpoint
    config = model.config
    weights = try GGUFWeights.read(model.files.inventory, config: model.config)
    sideFiles = []
    skippedFiles = []
  }

  /// Opens a MODEL argument, whatever its format.
  ///
  /// - Parameter standIns: a folder with the beginnings of shards that an unfinished conversion has
  ///   deleted.
  /// - Throws: what opening the format throws.
  public init(path: String, threads: Int, standIns: String? = nil) throws(Fault) {
    if try ModelFormat.isGGUF(path) {
      try self.init(GGUFModel(path: path))
    } else {
      try self.init(CheckpointSurvey(path: path, threads: threads, standIns: standIns))
    }
  }

  /// Opens a folder that was looked at.
  ///
  /// - Throws: `.malformed` where it is no sound checkpoint, or its config is not one of this family.
  public init(_ survey: CheckpointSurvey) throws(Fault) {
    format = ModelFormat(survey)
    gguf = nil
    checkpoint = try Checkpoint(survey)
    config = try DeepSeekV3Config(
      json: checkpoint.config, file: Folder.join(checkpoint.folder, "config.json"))
    guard let read = SourceModel.readers[format] else {
      preconditionFailure("\(format.rawValue) has no reader of folders")
    }
    weights = try read(checkpoint, config)
    (sideFiles, skippedFiles) = try SideFile.list(in: checkpoint.folder)
  }

  /// What makes weights of the tensors in a folder, a row for each format.
  private static let readers:
    [ModelFormat: @Sendable (Checkpoint, DeepSeekV3Config) throws(Fault) -> SourceWeights] = [
      .safetensors: { checkpoint, config throws(Fault) in
        try HuggingFaceWeights.read(checkpoint.inventory, config: config)
      }
    ]

  /// What must not be overwritten when the user named `model`: the file alone where it is one, so
  /// that the output may lie beside it, else the folder.
  public func place(of model: String) throws(Fault) -> String {
    try Folder.kind(of: model) == .file ? model : checkpoint.folder
  }

  /// Layers at and after `config.layers` that have tensors, without gaps: the MTP layers that are
  /// there, whatever the config says.
  func presentMTPLayers() -> Int {
    var found: Set<Int> = []
    for weight in weights.all {
      if let layer = SourceModel.layer(of: weight.name), layer >= config.layers {
        found.insert(layer)
      }
    }
    var count = 0
    while found.contains(config.layers + count) { count += 1 }
    return count
  }

  /// The index in `model.layers.N.…`, nil for other names.
  public static func layer(of name: String) -> Int? {
    let prefix = "model.layers."
    guard name.hasPrefix(prefix) else { return nil }
    let digits = name.utf8.dropFirst(prefix.utf8.count).prefix { $0 != UInt8(ascii: ".") }
    return Int(String(Substring(digits)))
  }
}
