internal import Formats
internal import Models
internal import Naming
package import Platform
internal import Tensors
internal import Weights

/// Deals the tensors of a Hugging Face checkpoint out to DeepSeek's model-parallel shards.
///
/// What becomes of types is decided as for that checkpoint; a shard has rows or columns of its
/// tensors, scales included, or all of them.
package struct NativePlanner {
  private let planner: Planner
  private let count: Int
  /// Tensors without a name in the dialect.
  private var nameless: [DroppedTensor] = []
  /// File after file, in the order of `files`.
  private var tensors: [PlannedTensor] = []
  private var files: [(name: ExactText, entries: [OutputLayout.Entry])] = []

  /// Decides every tensor.
  ///
  /// - Parameter count: shards that the model is divided into.
  /// - Throws: what `Planner` throws; `.usage` where so many shards would cut what must stay whole.
  package init(_ source: SourceModel, recipe: Recipe, count: Int) throws(Fault) {
    guard recipe.mtp != .only else {
      throw Fault(
        .usage, "leaves DeepSeek's shards empty", file: "--mtp only", expected: "keep or drop")
    }
    guard !source.config.attentionBias else {
      throw Fault(
        .usage, "has biases in its attention, which DeepSeek's shards have no names for",
        file: source.checkpoint.folder, expected: "attention_bias false", found: "true")
    }
    guard source.config.architecture.hasExperts else {
      throw Fault(
        .usage, "has dense layers alone, and DeepSeek's code has experts after the first ones",
        file: source.checkpoint.folder, found: "model_type \(source.config.modelType)")
    }
    try NativePlanner.requireWritable(source)
    if source.config.queryTemperature != nil {
      throw Fault(
        .usage, "has queries that are scaled by their positions, which DeepSeek's code does not do",
        file: source.checkpoint.folder, found: "model_type \(source.config.modelType)")
    }
    if let indexer = source.config.indexer,
      indexer.ropeInterleaved || indexer.isFull.contains(false)
    {
      throw Fault(
        .usage, "has an indexer that DeepSeek's code computes otherwise",
        file: source.checkpoint.folder,
        expected: "one in every layer, with positions on pairs (i, i + d / 2)",
        found: "model_type \(source.config.modelType)")
    }
    planner = try Planner(source, recipe: recipe)
    self.count = count
    try NativeDivision(planner.target).require(count)
    var named: [(tensor: PlannedTensor, native: NativeNames.Translation, isMTP: Bool)] = []
    for tensor in planner.draft.tensors {
      let name = source.config.ownName(of: tensor.entry.name)
      guard let native = NativePlanner.translation(of: tensor, named: name, in: source.config)
      else {
        // Without its scales a weight would be another one.
        guard ExpectedTensor.weightName(ofScale: name) == nil else {
          throw Fault(
            .usage, "scales a weight that DeepSeek's code has not in FP8",
            file: source.checkpoint.folder, tensor: name, expected: "--quant bf16")
        }
        nameless.append(
          DroppedTensor(
            name: name,
            reason: source.config.isOther(name)
              ? "another part of the model, which DeepSeek's code has not"
              : "DeepSeek's shards have no name for it"))
        continue
      }
      // Of DeepSeek-V4 its code has them in the same files.
      named.append((tensor, native, source.config.v4 == nil && planner.draft.isMTP(name)))
    }
    for rank in 0..<count {
      for part in NativeShardName.Part.allCases {
        let own = named.filter { $0.isMTP == (part == .mtp) }.compactMap {
          piece(of: $0.tensor, $0.native, rank: rank)
        }
        guard part == .model || !own.isEmpty else { continue }
        files.append((NativeShardName(part, rank: rank, of: count).file, own.map(\.entry)))
        tensors += own
      }
    }
  }

  /// The shards, DeepSeek's config, and the side files of the source.
  package func output() throws(Fault) -> PlannedOutput {
    var target = planner.target
    // The code of DeepSeek-V4 builds as many as its config says.
    target.mtpLayers = planner.writtenMTPLayers
    let config = NativeConfig(target)
    let hasMTP = files.contains { NativeShardName($0.name)?.part == .mtp }
    var warnings = planner.warnings + config.warnings
    if hasMTP {
      let name = NativeShardName(.mtp, rank: 0, of: count).file
      warnings.append(
        "MTP layers stand in files of their own, \(name) and so on: DeepSeek's code does not load "
          + "them, and refuses them in the others")
    }
    let rebuilt = RebuiltFiles(planner.source)
    let document = PlannedDocument(
      name: "config.json", kind: .config, bytes: Array((config.json.text(indent: 4) + "\n").utf8))
    return PlannedOutput(
      tensors: tensors,
      layout: try NativeWriterLayout(
        files, metadata: planner.recipe.provenance(of: tensors, from: planner.source),
        notes: planner.recipe.sourceHashes(of: tensors, from: planner.source)
      ).output,
      documents: [document] + rebuilt.documents,
      sideFiles: planner.source.sideFiles, dropped: planner.draft.dropped + nameless,
      warnings: warnings, lost: rebuilt.lost + config.lost)
  }

  /// What a shard has of a tensor; nil where that is nothing.
  private func piece(
    of tensor: PlannedTensor, _ native: NativeNames.Translation, rank: Int
  ) -> PlannedTensor? {
    let whole = tensor.assembly
    let assembly: Assembly
    switch native.division {
    case .replicated: assembly = whole
    // A vector is a row.
    case .rows where tensor.entry.shape.dimensions.count == 1:
      assembly = whole.columns(part(rank, of: whole.columns))
    case .rows: assembly = whole.rows(part(rank, of: whole.rows))
    case .columns: assembly = whole.columns(part(rank, of: whole.columns))
    case .expert:
      let own = planner.target.routedExperts / count
      guard let expert = native.expert, expert / own == rank else { return nil }
      assembly = whole
    }
    let entry = OutputLayout.Entry(
      name: native.name, type: tensor.entry.type,
      shape: native.division.part(of: tensor.entry.shape, among: count))
    guard let entry else { preconditionFailure("a part is smaller than the whole") }
    let operation: Operation =
      switch tensor.operation {
      case .copy, .convert: assembly.operation(to: entry.type)
      case .change, .quantize, .unpack, .constant: tensor.operation
      }
    return PlannedTensor(
      entry: entry, assembly: assembly, operation: operation, reason: tensor.reason,
      isCarried: tensor.isCarried)
  }

  /// The rows or columns of a shard.
  private func part(_ rank: Int, of size: Int) -> Range<Int> {
    size / count * rank..<size / count * (rank + 1)
  }
}
