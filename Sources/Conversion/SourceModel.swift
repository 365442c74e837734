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

  /// What the files do not say and is assumed instead, a line each.
  public let notes: [String]
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
    notes = model.notes
    sideFiles = []
    skippedFiles = []
  }

  /// Opens a MODEL argument, whatever its format.
  ///
  /// - Throws: what opening the format throws.
  public init(path: String, threads: Int) throws(Fault) {
    if try ModelFormat.isGGUF(path) {
      try self.init(GGUFModel(path: path))
    } else {
      try self.init(CheckpointSurvey(path: path, threads: threads))
    }
  }

  /// Opens a folder that was looked at.
  ///
  /// - Throws: `.malformed` where it is no sound checkpoint, or its config is not one of this family.
  public init(_ survey: CheckpointSurvey) throws(Fault) {
    format = ModelFormat(survey)
    gguf = nil
    guard let read = SourceModel.readers[format] else {
      preconditionFailure("\(format.rawValue) has no reader of folders")
    }
    (checkpoint, config, weights, notes) = try read(survey)
    (sideFiles, skippedFiles) = try SideFile.list(
      in: checkpoint.folder, except: Folder.name(of: survey.configFile))
  }

  private typealias Contents = (
    checkpoint: Checkpoint, config: DeepSeekV3Config, weights: SourceWeights, notes: [String]
  )

  /// What makes weights of the tensors in a folder, a row for each format.
  private static let readers:
    [ModelFormat: @Sendable (CheckpointSurvey) throws(Fault) -> Contents] = [
      .safetensors: { survey throws(Fault) in
        let checkpoint = try Checkpoint(survey)
        let config = try DeepSeekV3Config(json: survey.config, file: survey.configFile)
        return (
          checkpoint, config,
          try HuggingFaceWeights.read(checkpoint.inventory, config: config), []
        )
      },
      .native: { survey throws(Fault) in
        let model = try NativeModel(survey)
        return (model.checkpoint, model.config, model.weights, model.notes)
      },
    ]

  /// What must not be overwritten when the user named `model`: the file alone where it is one, so
  /// that the output may lie beside it, else the folder.
  public func place(of model: String) throws(Fault) -> String {
    try Folder.kind(of: model) == .file ? model : checkpoint.folder
  }

  /// Layers at and after `config.layers` that have tensors, without gaps: the MTP layers that are
  /// there, whatever the config says.
  func presentMTPLayers() -> Int {
    DeepSeekV3Config.furtherLayers(after: config.layers, in: weights.all.lazy.map(\.name))
  }

  /// The index in `model.layers.N.…`, nil for other names.
  public static func layer(of name: String) -> Int? {
    let prefix = "model.layers."
    guard name.hasPrefix(prefix) else { return nil }
    let digits = name.utf8.dropFirst(prefix.utf8.count).prefix { $0 != UInt8(ascii: ".") }
    return Int(String(Substring(digits)))
  }
}
