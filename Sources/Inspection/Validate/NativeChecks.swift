internal import Conversion
internal import Dialects
internal import Formats
internal import Models
internal import Naming
internal import Platform
internal import Tensors
internal import Weights

/// What `validate` says of DeepSeek's model-parallel shards: the tensors of each against what the
/// config implies for it.
///
/// Each shard is checked under Hugging Face's names, as a checkpoint that should hold parts of the
/// tensors; findings tell the shards' own names.
struct NativeChecks {
  private let survey: CheckpointSurvey
  private let files: FileChecks
  private let pieces: NativePieces
  let config: ModelConfig
  private let expected: [ExpectedTensor]
  private var collector = FindingCollector()

  /// What was found.
  private(set) var findings: [Finding] = []

  init(_ survey: CheckpointSurvey, _ files: FileChecks) throws(Fault) {
    try survey.requireOneDivision()
    self.survey = survey
    self.files = files
    let stored = files.tensors.tensors
    pieces = NativePieces(stored, files: files.shardNames, document: survey.config)
    let (json, notes) = try pieces.config(file: survey.configFile)
    config = try ModelConfig(json: json, file: survey.configFile)
    expected = config.expectedTensors()
    for note in notes {
      findings.append(
        Finding(
          .metadataMismatch, .warning, file: Folder.name(of: survey.configFile).text, found: note,
          hint: "DeepSeek's own code has 128 × 128"))
    }
  }

  mutating func run(deep: Bool, threads: Int) throws(Fault) {
    for (native, tensor, other) in pieces.duplicates {
      collector.add(
        Finding(
          .duplicateTensor, tensor: native, file: files.shardNames[tensor.shard].text,
          expected: "one place", found: "also in \(files.shardNames[other.shard])"),
        pattern: FindingCollector.pattern(of: native, wholeExperts: true))
    }
    do throws(Fault) {
      try NativeDivision(config).require(pieces.count)
    } catch {
      // What a shard should hold cannot be said then.
      findings.append(
        Finding(
          .metadataMismatch, tensor: error.tensor.map(native),
          file: Folder.name(of: survey.configFile).text,
          expected: error.expected, found: "\(pieces.count) shards; \(error.found ?? "")",
          hint: "heads or FP8 blocks are cut between shards, which compute with wrong parts"))
      return
    }
    let found = foundByRank()
    for rank in 0..<pieces.count {
      try check(rank, found[rank], deep: deep, threads: threads)
    }
    if deep, !DividedScan.isPart { try compareCopies() }
    findings += collector.findings.map(renamed)
  }

  /// What each shard holds, under Hugging Face's names where it has one.
  private func foundByRank() -> [TensorTable] {
    var found = [TensorTable](repeating: TensorTable(), count: pieces.count)
    for tensor in pieces.tensors {
      for (rank, piece) in tensor.pieces { found[rank].put(piece.renamed(tensor.name)) }
    }
    for (name, rank, tensor) in pieces.strangers { found[rank].put(tensor.renamed(name)) }
    return found
  }

  private mutating func check(
    _ rank: Int, _ found: TensorTable, deep: Bool, threads: Int
  ) throws(Fault) {
    // A shard that is absent or cannot be read has its own finding.
    let name = NativeShardName(.model, rank: rank, of: pieces.count).file
    guard files.shardNames.contains(name) else { return }
    let own = expected.compactMap { part(of: $0, rank: rank) }
    let extra = NativeShardName(.mtp, rank: rank, of: pieces.count).file
    let hasExtra = files.shardNames.contains(extra)
    let isExtraExpected = files.shardNames.contains { NativeShardName($0)?.part == .mtp }
    let excused =
      isExtraExpected && !hasExtra
      ? own.filter { ($0.layer ?? -1) >= config.layers }.map(\.name) : []
    var checks = TensorChecks(
      config: config, found: withoutForeignExperts(found, rank: rank), shardNames: files.shardNames,
      excused: ExcusedTensors(names: Set(excused)), deep: deep,
      expected: own,
      wholes: Dictionary(
        expected.map { ($0.name, $0.shape) }, uniquingKeysWith: { first, _ in first }))
    checks.collector = collector
    checks.run()
    collector = checks.collector
    guard deep else { return }
    for finding in try DeepChecks(
      config: config, tensors: checks.sound, statedShapes: checks.statedShapes,
      columnGroups: checks.columnGroups,
      shards: files.openShards, threads: threads
    ).run() {
      collector.add(
        finding,
        pattern: FindingCollector.pattern(of: finding.tensor ?? "", wholeExperts: true))
    }
  }

  /// What a shard holds, but for experts that others own, which are findings.
  private mutating func withoutForeignExperts(_ found: TensorTable, rank: Int) -> TensorTable {
    var own = TensorTable(capacity: found.tensors.count)
    for tensor in found.tensors.sorted(by: { $0.offset < $1.offset }) {
      guard let expert = pieces.naming.native(of: tensor.name)?.expert,
        expert < config.routedExperts, expert / expertsPerShard != rank
      else {
        own.put(tensor)
        continue
      }
      let owner = NativeShardName(.model, rank: expert / expertsPerShard, of: pieces.count)
      collector.add(
        Finding(
          .unexpectedTensor, tensor: tensor.name, file: files.shardNames[tensor.shard].text,
          expected: "this expert in \(owner.file)", found: "it in another shard",
          hint: "DeepSeek's code looks for \(expertsPerShard) experts in each shard, in order"),
        pattern: FindingCollector.pattern(of: tensor.name, wholeExperts: true))
    }
    return own
  }

  private var expertsPerShard: Int { config.routedExperts / pieces.count }

  /// What a shard should hold of a tensor; nil where that is nothing.
  private func part(of tensor: ExpectedTensor, rank: Int) -> ExpectedTensor? {
    guard let native = pieces.naming.native(of: tensor.name) else { return tensor }
    if let expert = native.expert, expert / expertsPerShard != rank { return nil }
    return tensor.with(shape: native.division.part(of: tensor.shape, among: pieces.count))
  }

  /// What every shard has is the same in all of them.
  private mutating func compareCopies() throws(Fault) {
    for tensor in pieces.tensors where tensor.division == .replicated {
      let first = tensor.first
      guard let original = files.openShards[first.shard] else { continue }
      for (_, copy) in tensor.pieces.dropFirst() {
        guard let shard = files.openShards[copy.shard], copy.byteCount == first.byteCount,
          let offset = try SourceWeights.firstDifference(
            (original.file, first.offset), (shard.file, copy.offset), copy.byteCount)
        else { continue }
        collector.add(
          Finding(
            .sharedCopyDiffers, tensor: tensor.name, file: shard.name.text,
            expected: "the bytes that \(original.name) has",
            found: "other ones from byte \(offset) of the tensor on",
            hint: "shards that compute with different weights of one kind give nonsense"),
          pattern: FindingCollector.pattern(of: tensor.name, wholeExperts: true))
      }
    }
  }

  /// What the shards call a tensor, or their config a key.
  private func native(_ name: ExactText) -> ExactText {
    if name == "num_nextn_predict_layers", survey.config["n_mtp_layers"] != nil {
      return "n_mtp_layers"
    }
    return pieces.naming.native(of: name)?.name ?? name
  }

  /// A finding with the shards' own names.
  private func renamed(_ finding: Finding) -> Finding {
    func text(_ line: String) -> String {
      ExactText(line).split(separator: " ").map(native).joined(separator: " ")
    }
    var renamed = Finding(
      finding.rule, finding.severity, tensor: finding.tensor.map(native), file: finding.file,
      expected: finding.expected.map(text), found: finding.found.map(text),
      hint: finding.hint.map(text))
    renamed.count = finding.count
    renamed.experts = finding.experts
    renamed.examples = finding.examples.map(native)
    return renamed
  }
}
