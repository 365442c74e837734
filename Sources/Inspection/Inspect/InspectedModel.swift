package import Dialects
internal import Formats
internal import Models
package import Platform
internal import Tensors
internal import Text
internal import Weights

/// A MODEL argument as `inspect` opens it: from its headers, whatever else of it can be read.
package struct InspectedModel: Sendable {
  /// What is in it.
  package private(set) var inspection: Inspection
  /// The weights, where they are those of a network that is read; nil where the tensors alone are.
  package let weights: SourceModel?
  /// Names of the files by `StoredTensor.shard`.
  package let files: [ExactText]

  /// Opens a model, a config alone, or files of any network.
  ///
  /// - Parameter decodes: whether weights will be read too, so that their storage must be known.
  /// - Throws: what opening the files throws; with `decodes` what opening the model throws.
  package init(path argument: String, threads: Int, decodes: Bool) throws(Fault) {
    if decodes {
      try self.init(SourceModel(path: argument, threads: threads), threads: threads)
      return
    }
    let place = try ModelPlace(argument)
    switch place.kind {
    case .gguf: try self.init(GGUFFiles(path: place.path), path: place.path)
    case .config: try self.init(config: place.path)
    case .safetensors: try self.init(CheckpointSurvey(path: place.path, threads: threads))
    }
  }

  private init(_ inspection: Inspection, _ inventory: Inventory?) {
    self.inspection = inspection
    weights = nil
    files = inventory?.shards.map(\.name) ?? []
    self.inspection.metadata = MetadataRow.rows(inventory?.shards ?? [])
  }

  private init(_ model: SourceModel, threads: Int) throws(Fault) {
    inspection = try Inspection(model, threads: threads)
    weights = model
    files = model.checkpoint.inventory.shards.map(\.name)
    inspection.metadata = MetadataRow.rows(model.checkpoint.inventory.shards)
    if let gguf = model.gguf {
      describe(gguf.files)
    } else {
      describe(folder: model.checkpoint.folder)
    }
  }

  /// Adds what a GGUF file's keys say.
  private mutating func describe(_ files: GGUFFiles) {
    inspection.fileType = GGUFFileType(metadata: files.metadata)
    inspection.metadata = MetadataRow.rows(files.storedMetadata)
    inspection.tokenizerFacts = TokenizerFacts(files.metadata)
  }

  /// Adds what a tokenizer's files say; what cannot be read is for `validate` to name.
  private mutating func describe(folder: String) {
    inspection.tokenizerFacts = try? TokenizerFacts.read(in: folder)
  }

  /// Files of safetensors, or a folder that has a config and none.
  private init(_ survey: CheckpointSurvey) throws(Fault) {
    guard !survey.shards.isEmpty else {
      try survey.requireConfig()
      try self.init(
        config: survey.config, file: survey.configFile,
        tokenizer: SourceModel.tokenizerSummary(in: survey.folder),
        reason: InspectedModel.absence(survey))
      return
    }
    try survey.requireSoundConfig()
    try survey.requireOneDivision()
    let foreign = try ForeignModel.find(survey)
    var reason = foreign.map { "\($0.name): \($0.fault.advice ?? $0.fault.message)" }
    if foreign == nil {
      do throws(Fault) {
        // What is wrong with the files themselves is thrown below.
        try self.init(SourceModel(own: survey), threads: survey.threads)
        return
      } catch {
        guard error.kind == .malformed || error.kind == .notFound else { throw error }
        reason = error.description
      }
    }
    let inventory = try Checkpoint(survey).inventory
    let config = try? ModelConfig(json: survey.config.withoutQuantization, file: "")
    self.init(
      Inspection(
        tensorsOf: inventory, config: foreign?.isModel == false ? nil : config,
        architecture: Inspection.modelType(survey.config) ?? "unknown",
        format: ModelFormat(survey),
        tokenizer: SourceModel.tokenizerSummary(in: survey.folder), storage: foreign?.name,
        reasons: [reason].compactMap { $0 }), inventory)
    describe(folder: survey.folder)
  }

  /// A GGUF file of any architecture, in any types.
  private init(_ files: GGUFFiles, path: String) throws(Fault) {
    try self.init(anyTypes: files, path: path)
    describe(files)
  }

  private init(anyTypes files: GGUFFiles, path: String) throws(Fault) {
    var reasons = files.foreignType().map { [$0.description] } ?? []
    do throws(Fault) {
      let model = try SourceModel(GGUFModel(files, path: path), headersOnly: true)
      guard reasons.isEmpty else {
        var inspection = try Inspection(model, threads: 1)
        inspection.add(reasons: reasons)
        self.init(inspection, files.inventory)
        return
      }
      try self.init(model, threads: 1)
      return
    } catch {
      guard error.kind == .malformed else { throw error }
      reasons.append(error.description)
    }
    self.init(
      Inspection(
        tensorsOf: files.inventory, config: nil,
        architecture: files.metadata["general.architecture"]?.text ?? "unknown", format: .gguf,
        tokenizer: SourceModel.tokenizerSummary(of: files), storage: nil, reasons: reasons),
      files.inventory)
  }

  /// A config that was named itself.
  private init(config path: String) throws(Fault) {
    let folder = try InputFolder(around: path)
    let json = try CheckpointSurvey.readConfig(folder.open(Folder.name(of: path)))
    try self.init(
      config: json, file: path, tokenizer: SourceModel.tokenizerSummary(in: folder.path),
      reason: "all numbers are those that the config implies: no weights were looked at")
  }

  private init(
    config json: JSONValue, file: String, tokenizer: String?, reason: String
  ) throws(Fault) {
    var reasons = [reason]
    let config: ModelConfig
    do throws(Fault) {
      config = try ModelConfig(json: json, file: file)
    } catch {
      let plain = json.withoutQuantization
      guard plain != json, let other = try? ModelConfig(json: plain, file: file) else {
        throw error
      }
      reasons.append("sizes are those of unquantized weights: \(error.description)")
      config = other
    }
    self.init(
      Inspection(
        config: config, architecture: Inspection.modelType(json) ?? config.modelType,
        tokenizer: tokenizer, reasons: reasons), nil)
  }

  /// Why there are no tensors in a folder.
  private static func absence(_ survey: CheckpointSurvey) -> String {
    let names = (try? survey.files.listing().names) ?? []
    let pickles = names.filter {
      $0.hasSuffix(".bin") || $0.hasSuffix(".pt") || $0.hasSuffix(".pth")
    }
    let reason = "all numbers are those that the config implies: there is no safetensors file"
    return pickles.isEmpty ? reason : "\(reason), and \(pickles[0]) is a pickle, which is not read"
  }
}

extension JSONValue {
  /// A config without what it says about the storage of weights.
  fileprivate var withoutQuantization: JSONValue {
    guard case .object(var object) = self else { return self }
    for key in ["quantization", "quantization_config"] { object[key] = nil }
    if let text = object["text_config"] { object["text_config"] = text.withoutQuantization }
    return .object(object)
  }
}

extension ModelConfig {
  /// The tensors that hold what a config implies, by type and shape.
  func storage(of tensor: ExpectedTensor) -> [(ElementType, Shape)] {
    switch tensor.storage {
    case .plain, .plainOrFloat32: [(dataType ?? .bf16, tensor.shape)]
    case .float32: [(.f32, tensor.shape)]
    case .fp8: [(.f8E4M3, tensor.shape)]
    // Two codes in a byte.
    case .fp4: [(.f4, tensor.shape)]
    case .indices: [(.i64, tensor.shape)]
    case .scale: [(v4 == nil ? .f32 : .f8E8M0, tensor.shape)]
    case .compressed(let scheme):
      (scheme.tensors(of: tensor.shape) ?? []).map { ($0.types[0], $0.shape) }
    }
  }
}
