package import Formats
internal import Models
internal import Naming
internal import Platform
internal import Weights

/// A format of models with names and keys of its own, as a row of the one table of them.
package struct Dialect: Sendable {
  /// Formats that can be written; raw values are the words of `--to`.
  package enum Target: String, Sendable, Hashable, CaseIterable {
    case hf, gguf, mlx
    case compressedTensors = "compressed-tensors"
    case modelOpt = "modelopt"
    case deepseek
  }

  /// What its files are.
  package let format: ModelFormat
  /// What writes it, under other names too.
  package let targets: [Target]
  /// Makes a model of a folder; nil where a model is a file.
  let open: (@Sendable (CheckpointSurvey) throws(Fault) -> OpenedFolder)?

  /// All rows.
  package static let all = [
    Dialect(format: .safetensors, targets: [.hf]) { survey throws(Fault) in
      try OpenedFolder(canonical: survey) { checkpoint, config throws(Fault) in
        try HuggingFaceWeights.read(
          checkpoint.inventory, config: config, threads: survey.threads)
      }
    },
    Dialect(format: .gguf, targets: [.gguf], open: nil),
    Dialect(format: .mlx, targets: [.mlx]) { survey throws(Fault) in
      let stored = try Checkpoint(survey)
      let config = try ModelConfig(json: stored.config.withoutStorage, file: survey.configFile)
      return OpenedFolder(
        checkpoint: stored, networkConfig: stored.config.withoutStorage, config: config,
        weights: try MLXWeights.read(stored, config: config), notes: [])
    },
    Dialect(format: .compressedTensors, targets: [.compressedTensors, .modelOpt]) {
      survey throws(Fault) in
      try OpenedFolder(canonical: survey) { checkpoint, config throws(Fault) in
        try CompressedTensorsWeights.read(checkpoint.inventory, config: config)
      }
    },
    Dialect(format: .native, targets: [.deepseek]) { survey throws(Fault) in
      let model = try NativeModel(survey)
      return OpenedFolder(
        checkpoint: model.checkpoint, networkConfig: model.checkpoint.config,
        config: model.config, weights: model.weights, notes: model.notes)
    },
  ]

  /// The row of a format.
  static func row(of format: ModelFormat) -> Dialect {
    guard let row = all.first(where: { $0.format == format }) else {
      preconditionFailure("\(format.rawValue) has no row")
    }
    return row
  }
}

/// A folder as its dialect reads it.
struct OpenedFolder {
  /// The files.
  let checkpoint: Checkpoint
  /// `config.json` in Hugging Face's keys.
  let networkConfig: JSONValue
  /// The same, typed.
  let config: ModelConfig
  /// The weights under Hugging Face's names.
  let weights: SourceWeights
  /// What the files do not say and is assumed instead, a line each.
  let notes: [String]
  /// Which weights beside the checkpoint are no part of it; nil where there are none.
  var straysNote: String?
}

extension OpenedFolder {
  /// Takes a folder under Hugging Face's names, or those that wrappers and others make of them.
  fileprivate init(
    canonical survey: CheckpointSurvey,
    _ read: (Checkpoint, ModelConfig) throws(Fault) -> SourceWeights
  ) throws(Fault) {
    let stored = try Checkpoint(survey)
    var networkConfig = stored.config
    let config = try ModelConfig(json: networkConfig, file: survey.configFile)
    if config.hasMistralNames {
      networkConfig = try MistralConfig(networkConfig, file: survey.configFile).json
    }
    let (checkpoint, notes) = try CanonicalTensors.read(
      stored, config: config, document: networkConfig)
    self.init(
      checkpoint: checkpoint, networkConfig: networkConfig, config: config,
      weights: try read(checkpoint, config), notes: notes, straysNote: survey.straysNote)
  }
}

extension JSONValue {
  /// A config without what it says about storage: an MLX model's own, and what is left in the section
  /// of a network in a larger model of the files that it was made from.
  fileprivate var withoutStorage: JSONValue {
    guard case .object(var object) = self else { return self }
    for key in ["quantization"] + ModelConfig.storageKeys { object[key] = nil }
    if case .object(var text)? = object["text_config"] {
      for key in ModelConfig.storageKeys { text[key] = nil }
      object["text_config"] = .object(text)
    }
    return .object(object)
  }
}
