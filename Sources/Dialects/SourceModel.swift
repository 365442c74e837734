package import Formats
package import Models
package import Platform
internal import Tensors
internal import Text
package import Weights

/// A checkpoint with what its config says that it holds: the source of a conversion.
package struct SourceModel: Sendable {
  /// The files.
  package let checkpoint: Checkpoint
  /// What the files are.
  package let format: ModelFormat
  /// `config.json` without what other formats than Hugging Face's say there about their storage, and
  /// without MTP layers that they leave out in silence.
  package private(set) var networkConfig: JSONValue
  /// The same, typed.
  package private(set) var config: ModelConfig
  /// What the config says, MTP layers that are not there included.
  package let declaredConfig: ModelConfig
  /// The weights under Hugging Face's names.
  package let weights: SourceWeights
  /// Files of the folder that are neither weights nor config, in the order of their names.
  package let sideFiles: [SideFile]
  /// Entries of the folder that look like side files and are not copied, with the reason.
  package let skippedFiles: [String]

  /// Layers at and after `config.layers` that have tensors, without gaps: the MTP layers that are
  /// there, whatever the config says.
  package let presentMTPLayers: Int

  /// Which weights beside the checkpoint are no part of it; nil where there are none.
  var straysNote: String?
  /// What the files do not say and is assumed instead, a line each.
  package private(set) var notes: [String]
  /// Keys of the config that are passed over.
  private let unknownKeys: Unknowns
  /// The GGUF file that the checkpoint was read from; nil for any other.
  package let gguf: GGUFModel?

  /// Takes a GGUF file for a checkpoint; nothing lies beside it.
  ///
  /// - Parameter headersOnly: whether nothing will be decoded, so that types of other programs do no
  ///   harm.
  /// - Throws: `.malformed` where its tensors are no weights of the network, or cannot be decoded.
  package init(_ model: GGUFModel, headersOnly: Bool = false) throws(Fault) {
    if !headersOnly, let fault = model.files.foreignType() { throw fault }
    format = .gguf
    gguf = model
    checkpoint = model.checkpoint
    networkConfig = model.checkpoint.config
    config = model.config
    declaredConfig = model.config
    weights = try GGUFWeights.read(model.files.inventory, config: model.config)
    presentMTPLayers = SourceModel.mtpLayers(of: weights, after: config.layers)
    notes = model.notes
    unknownKeys = model.unknowns
    sideFiles = []
    skippedFiles = []
  }

  /// Opens a MODEL argument, whatever its format.
  ///
  /// - Parameter standIns: a folder with the beginnings of shards that an unfinished conversion has
  ///   deleted.
  /// - Throws: what opening the format throws.
  package init(path: String, threads: Int, standIns: String? = nil) throws(Fault) {
    let place = try ModelPlace(path)
    try place.requireWeights()
    if place.kind == .gguf {
      try self.init(GGUFModel(path: place.path))
    } else {
      try self.init(CheckpointSurvey(path: place.path, threads: threads, standIns: standIns))
    }
  }

  /// Opens a folder that was looked at.
  ///
  /// - Throws: `.malformed` where it is no sound checkpoint, or its config is not one of this family.
  package init(_ survey: CheckpointSurvey) throws(Fault) {
    if let foreign = try ForeignModel.find(survey) { throw foreign.fault }
    try self.init(own: survey)
  }

  /// Opens a folder of which it is known that it is no foreign model's.
  ///
  /// - Throws: as above.
  package init(own survey: CheckpointSurvey) throws(Fault) {
    try survey.requireConfig()
    format = ModelFormat(survey)
    gguf = nil
    guard let open = Dialect.row(of: format).open else {
      preconditionFailure("\(format.rawValue) is no format of folders")
    }
    let opened = try open(survey)
    checkpoint = opened.checkpoint
    networkConfig = opened.networkConfig
    config = opened.config
    declaredConfig = config
    weights = opened.weights
    notes = opened.notes
    straysNote = opened.straysNote
    presentMTPLayers = SourceModel.mtpLayers(of: weights, after: config.layers)
    var keys = Unknowns()
    keys.add(keysOf: survey.config, config: config)
    unknownKeys = keys
    (sideFiles, skippedFiles) = try SideFile.list(
      in: survey.files, except: Folder.name(of: survey.configFile))
    let declared = config.mtpLayers
    let present = presentMTPLayers
    if format == .mlx || !config.declaresMTP {
      leaveOut(mtpBeyond: present)
    } else if declared > 0, present == 0, weights.faults.isEmpty {
      leaveOut(mtpBeyond: 0)
      notes.append(
        "the config declares \(declared) MTP layer\(declared > 1 ? "s" : "") and nothing of "
          + "\(declared > 1 ? "them" : "it") is there: the model is taken for one without")
    }
  }

  /// What the files hold that the network, as it is known, does not have.
  package func unknowns() -> Unknowns {
    var complete = config
    complete.mtpLayers = max(presentMTPLayers, config.mtpLayers)
    var isKnown = [Bool](repeating: false, count: weights.all.count)
    for tensor in complete.expectedTensors() {
      if let place = weights.place(of: tensor.name) { isKnown[place] = true }
    }
    var unknowns = unknownKeys
    for index in isKnown.indices where !isKnown[index] {
      let name = weights.all[index].name
      if config.isOther(name) { continue }
      let kind = TensorKind.of(name, in: config)
      unknowns.add(tensor: name, kind: kind?.text, isHarmless: kind?.isHarmless == true)
    }
    return unknowns
  }

  /// mlx-lm's converter and trainers leave MTP layers out and the config as it was.
  private mutating func leaveOut(mtpBeyond present: Int) {
    guard present < config.mtpLayers, case .object(let object) = networkConfig else { return }
    config.mtpLayers = present
    networkConfig = .object(
      config.changing(object) { object, _ in
        ModelConfig.declare(mtpLayers: present, in: &object)
      })
  }

  /// What tokenizer there is, without reading it: for people; nil for none.
  package var tokenizerSummary: String? {
    guard let gguf else { return SourceModel.tokenizerSummary(in: checkpoint.folder) }
    return SourceModel.tokenizerSummary(of: gguf.files)
  }

  /// The same of any folder.
  package static func tokenizerSummary(in folder: String) -> String? {
    try? CheckpointTokenizer.summary(in: folder)
  }

  /// The same of any GGUF file.
  package static func tokenizerSummary(of files: GGUFFiles) -> String? {
    let name = files.metadata["tokenizer.ggml.pre"]?.text
    return name.map { "GGUF keys, tokenizer.ggml.pre \($0)" }
  }

  private static func mtpLayers(of weights: SourceWeights, after layers: Int) -> Int {
    ModelConfig.furtherLayers(after: layers, among: weights.layers)
  }
}
