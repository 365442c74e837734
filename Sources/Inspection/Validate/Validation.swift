internal import Conversion
package import Dialects
package import Formats
internal import Locks
package import Models
internal import Naming
package import Platform
internal import Weights

/// What `fathom validate` says of a checkpoint (schema `fathom.validate/1`).
package struct Validation: Sendable {
  /// What was found, errors first, each group in the order of its first tensor.
  package private(set) var findings: [Finding]
  /// Tensors whose headers were checked.
  package let checkedTensors: Int
  /// Tensors of other parts of the model, of which the config of the network says nothing.
  package private(set) var uncheckedTensors = 0
  /// Bytes of weights that those describe; with `deep` they were read too.
  package let checkedBytes: Int
  /// Whether the weights were read.
  package let isDeep: Bool

  /// No finding is an error.
  package var isValid: Bool { !findings.contains { $0.severity == .error } }

  /// The first file that broke its format so far that it could not be parsed: such a checkpoint ends
  /// in exit code 65 rather than 1, whatever else was found.
  package let malformation: Fault?

  /// What was compared with a manifest; nil where none was asked for.
  package private(set) var manifest: ManifestComparison?

  /// The same with what a manifest says.
  func adding(_ more: [Finding], _ manifest: ManifestComparison) -> Validation {
    var result = self
    result.manifest = manifest
    let all = findings + more
    result.findings =
      all.filter { $0.severity == .error } + all.filter { $0.severity == .warning }
    return result
  }

  private init(
    _ findings: [Finding], _ tensors: some Collection<StoredTensor>, deep: Bool,
    malformation: Fault?
  ) {
    self.findings =
      findings.filter { $0.severity == .error } + findings.filter { $0.severity == .warning }
    checkedTensors = tensors.count
    checkedBytes = tensors.reduce(0) { $0 + $1.byteCount }
    isDeep = deep
    self.malformation = malformation
  }

  /// Checks a MODEL argument, whatever its format.
  ///
  /// - Parameter deep: whether to read every weight.
  /// - Throws: what opening the format throws where there is nothing to report on, `.inputOutput`
  ///   where reading fails; other faults of the model are findings.
  package init(path: String, deep: Bool, threads: Int) throws(Fault) {
    let place = try ModelPlace(path)
    try place.requireWeights()
    if place.kind == .gguf {
      try self.init(GGUFModel(path: place.path), deep: deep, threads: threads)
      return
    }
    let survey = try CheckpointSurvey(path: place.path, threads: threads)
    if let foreign = try ForeignModel.find(survey) {
      try self.init(foreign, survey)
      return
    }
    try survey.requireConfig()
    switch ModelFormat(survey) {
    case .native: try self.init(native: survey, deep: deep, threads: threads)
    case .mlx: try self.init(mlx: survey, deep: deep, threads: threads)
    case .safetensors, .compressedTensors:
      let config = try ModelConfig(json: survey.config, file: survey.configFile)
      try self.init(survey, config: config, deep: deep, threads: threads)
    case .gguf: preconditionFailure("a GGUF model is a file")
    }
  }

  /// Checks the files of what no config describes as it is, and says what it is.
  private init(_ foreign: ForeignModel, _ survey: CheckpointSurvey) throws(Fault) {
    var files = FileChecks(survey: survey)
    try files.run()
    let finding = Finding(
      .foreignModel, file: foreign.fault.file, expected: foreign.fault.expected,
      found: foreign.name, hint: foreign.fault.advice)
    self.init(
      files.collector.findings + [finding], files.tensors.tensors, deep: false,
      malformation: files.malformation)
  }

  /// Checks the files of an MLX model, then the weights that they amount to.
  private init(mlx survey: CheckpointSurvey, deep: Bool, threads: Int) throws(Fault) {
    var files = FileChecks(survey: survey)
    try files.run()
    if deep { try files.checkPacking(threads: threads) }
    var found = files.collector.findings + files.ghostFindings { _ in false }
    if !found.contains(where: { $0.severity == .error }) {
      let source = try SourceModel(own: survey)
      var weights = WeightChecks(source)
      weights.run()
      if deep { try weights.runDeep(threads: threads) }
      found += weights.collector.findings
      found += Unknowns.findings(survey.config, source.declaredConfig)
      found += Finding.limits(LoaderLimit.mlx, of: source.config, file: "config.json")
    }
    self.init(found, files.tensors.tensors, deep: deep, malformation: files.malformation)
  }

  /// Checks a GGUF file against what its metadata implies.
  ///
  /// - Parameter deep: whether to read every weight.
  /// - Throws: `.inputOutput` where reading fails; faults of the model are findings.
  package init(_ model: GGUFModel, deep: Bool, threads: Int) throws(Fault) {
    var checks = GGUFChecks(model)
    checks.run()
    if deep { try checks.runDeep(threads: threads) }
    self.init(
      checks.collector.findings, model.files.inventory.tensors, deep: deep, malformation: nil)
  }

  /// Checks DeepSeek's model-parallel shards, each against what the config implies for it.
  ///
  /// - Parameter deep: whether to read every weight.
  /// - Throws: `.inputOutput` where reading fails; `.malformed` for shards of several divisions, and
  ///   for a config that is none.
  package init(native survey: CheckpointSurvey, deep: Bool, threads: Int) throws(Fault) {
    var files = FileChecks(survey: survey)
    try files.run()
    if deep { try files.checkPacking(threads: threads) }
    var checks = try NativeChecks(survey, files)
    try checks.run(deep: deep, threads: threads)
    let findings =
      files.collector.findings + checks.findings + Unknowns.findings(survey.config, checks.config)
    self.init(findings, files.tensors.tensors, deep: deep, malformation: files.malformation)
  }

  /// Checks a checkpoint against its config.
  ///
  /// - Parameters:
  ///   - survey: what lies in the folder.
  ///   - config: the parsed config of `survey`.
  ///   - deep: whether to read every weight.
  /// - Throws: `.inputOutput` where reading fails; faults of the checkpoint are findings.
  package init(
    _ survey: CheckpointSurvey, config: ModelConfig, deep: Bool, threads: Int
  ) throws(Fault) {
    var (files, expected) = try Validation.checkFiles(
      of: survey, listing: config, threads: threads)
    if deep { try files.checkPacking(threads: threads) }
    let view = CanonicalTensors(
      names: files.tensors.tensors.lazy.map(\.name), config: config)
    var tensors = TensorChecks(
      config: config, found: Validation.owned(files.tensors, by: config, view),
      shardNames: files.shardNames, excused: Validation.excused(files, survey, config, view),
      deep: deep, expected: expected)
    expected = []
    tensors.run()
    var findings = files.collector.findings + Validation.ghosts(files, config, view)
    if let finding = Validation.oldSection(survey) { findings.append(finding) }
    findings += tensors.collector.findings
    if let prefix = view.prefix {
      findings.append(
        Finding(
          .unexpectedTensor, file: survey.folder, expected: "the names that loaders look for",
          found: prefix.line,
          hint: "no loader finds these weights; fathom convert MODEL OUT --to hf writes them under "
            + "the published names"))
    }
    findings += Unknowns.findings(survey.config, config)
    findings += Finding.limits(
      LoaderLimit.transformersCompressed, of: config, file: "config.json")
    findings += try TokenizerChecks.findings(folder: survey.folder, config)
    if deep {
      let more = try DeepChecks(
        config: config, tensors: tensors.sound, statedShapes: tensors.statedShapes,
        columnGroups: tensors.columnGroups,
        shards: files.openShards, threads: threads
      ).run()
      // What the values show says more than what the headers do.
      let known = Set(more.filter { $0.rule == .metadataMismatch }.compactMap(\.tensor))
      findings.removeAll { finding in
        finding.rule == .metadataMismatch && finding.tensor.map(known.contains) == true
      }
      findings += more
    }
    if config.envelope != nil {
      findings = findings.map { $0.renamed { config.storedName(of: config.ownName(of: $0)) } }
    }
    if config.hasMistralNames {
      findings = findings.map { finding in
        finding.renamed { files.tensors[$0] == nil ? MistralNames.stored(of: $0) : $0 }
      }
    }
    if let v4 = V4Names(config) {
      findings = findings.map { finding in
        finding.renamed { files.tensors[$0] == nil ? v4.published(of: $0) : $0 }
      }
    }
    if let prefix = view.prefix {
      findings = findings.map { finding in
        finding.renamed { files.tensors[$0] == nil ? prefix.stored($0) : $0 }
      }
    }
    let all = files.tensors.tensors
    let own = config.envelope == nil ? all : all.filter { !config.isOther($0.name) }
    self.init(findings, own, deep: deep, malformation: files.malformation)
    uncheckedTensors = all.count - own.count
  }

  /// Checks files, and lists meanwhile what tensors there should be.
  private static func checkFiles(
    of survey: CheckpointSurvey, listing config: ModelConfig, threads: Int
  ) throws(Fault) -> (FileChecks, [ExpectedTensor]) {
    let files = Guarded(FileChecks(survey: survey))
    let expected = Guarded<[ExpectedTensor]>([])
    try Workers.run(threads: threads, count: 2) { _, item throws(Fault) in
      if item == 0 {
        try files.withLock { files throws(Fault) in try files.run() }
      } else {
        let tensors = config.expectedTensors()
        expected.withLock { $0 = tensors }
      }
    }
    return (files.withLock { $0 }, expected.withLock { $0 })
  }

  /// What unreadable files held: as the index says, or anything.
  private static func excused(
    _ files: FileChecks, _ survey: CheckpointSurvey, _ config: ModelConfig,
    _ view: CanonicalTensors
  ) -> ExcusedTensors {
    ExcusedTensors(
      names: Set(files.excused.map { config.ownName(of: view.name(of: $0)) }),
      all: !files.unreadable.isEmpty && (survey.index == nil || survey.isIndexForeign))
  }

  /// What the index lists, no file holds and the network does not need.
  private static func ghosts(
    _ files: FileChecks, _ config: ModelConfig, _ view: CanonicalTensors
  ) -> [Finding] {
    guard !files.ghosts.isEmpty else { return [] }
    let places = TensorPlaces(config)
    return files.ghostFindings { name in
      let own = config.ownName(of: view.name(of: name))
      let weight =
        FP8Scales.weightName(ofScale: own) ?? CompressedTensor.weightName(ofPart: own) ?? own
      return places.place(of: weight) != nil
    }
  }

  /// compressed-tensors once had another key for what it says of storage.
  private static func oldSection(_ survey: CheckpointSurvey) -> Finding? {
    guard let key = ModelConfig.storage(in: survey.config)?.key, key != ModelConfig.storageKeys[0]
    else { return nil }
    return Finding(
      .metadataMismatch, .warning, file: "config.json", expected: ModelConfig.storageKeys[0],
      found: key, hint: "transformers does not read the older key: rename it")
  }

  /// The tensors of the network by its own names, where it is a part of a larger model.
  private static func owned(
    _ table: TensorTable, by config: ModelConfig, _ view: CanonicalTensors
  ) -> TensorTable {
    if config.envelope == nil, !view.changes(table.tensors) { return table }
    var owned = TensorTable(capacity: table.tensors.count)
    for tensor in table.tensors where !config.isOther(tensor.name) {
      for part in view.tensors(of: tensor) {
        let own = config.ownName(of: part.name)
        owned.put(own == part.name ? part : part.renamed(own))
      }
    }
    return owned
  }
}
