package import Platform

/// A checkpoint that is structurally whole: every file is there and ends where its tensors end, no
/// name stands twice, and the index tells the truth.
///
/// Whether its tensors are those that the config implies is for `validate` to say.
package struct Checkpoint: Sendable {
  /// The folder that holds the files.
  package let folder: String
  /// `config.json`; null where there is none.
  package let config: JSONValue
  /// All tensors.
  package let inventory: Inventory
  /// Whether an index stands beside the shards.
  package let hasIndex: Bool

  /// Opens a folder, or one `.safetensors` file beside a `config.json`.
  ///
  /// - Throws: the first fault found: `.notFound` for what is absent, `.malformed` for what breaks
  ///   the format, each with file, tensor and offset where there is one.
  package init(path: String, threads: Int = Workers.available) throws(Fault) {
    try self.init(CheckpointSurvey(path: path, threads: threads))
  }

  /// Wraps what another format was read into.
  ///
  /// - Parameter config: the `config.json` that its metadata amounts to.
  package init(folder: String, config: JSONValue, inventory: Inventory) {
    self.folder = folder
    self.config = config
    self.inventory = inventory
    hasIndex = false
  }

  /// Accepts a survey that found nothing wrong.
  package init(_ survey: CheckpointSurvey) throws(Fault) {
    folder = survey.folder
    config = survey.config
    hasIndex = survey.index != nil
    if let foreign = survey.foreignFiles.first {
      throw Fault(
        .malformed, "names a file outside its folder", file: survey.index?.path,
        tensor: survey.index?.firstTensor(in: foreign), expected: "a plain file name",
        found: foreign.text)
    }
    if let fault = survey.foreignIndexFault { throw fault }
    guard !survey.shards.isEmpty else {
      throw survey.explained(
        Fault(.notFound, "holds no safetensors file", file: survey.folder))
    }
    var shards: [Shard] = []
    var tensors: [StoredTensor] = []
    tensors.reserveCapacity(survey.tensorCount)
    for (name, state) in survey.shards {
      switch state {
      case .faulty(let fault): throw fault
      case .cut(let file, let minimum):
        throw Fault(
          .malformed, "ends too early", file: file.path,
          expected: "at least \(minimum) bytes", found: "\(file.size)")
      case .read(let shard, let header):
        try header.requireSize(of: shard.file)
        let prefix = survey.prefix(of: shard.name)
        tensors += header.tensors(inShard: shards.count, prefix: prefix)
        shards.append(Shard(name: name, file: shard.file, metadata: shard.metadata))
      }
    }
    inventory = try Inventory(shards: shards, tensors: consume tensors)
    if let index = survey.index { try Checkpoint.check(index, against: inventory) }
  }

  /// Throws where the index and the headers disagree. A tensor that is nowhere is no place for a
  /// disagreement: whether the network needs it is for others to say.
  private static func check(_ index: SafetensorsIndex, against inventory: Inventory) throws(Fault) {
    var isNamed = [Bool](repeating: false, count: inventory.tensors.count)
    let shards = index.places(among: inventory.shards.lazy.map(\.name))
    let tensors = inventory.tensors
    for entry in index.entries {
      guard let place = inventory.table.place(of: entry, in: index) else { continue }
      let found = tensors[place].shard
      if found != shards[entry.file] {
        throw Fault(
          .malformed, "is not where the index says", file: index.path,
          tensor: index.name(of: entry),
          expected: "in \(index.files[entry.file])", found: "in \(inventory.shards[found].name)")
      }
      if isNamed[place] {
        throw Fault(
          .malformed, "is named twice", file: index.path, tensor: index.name(of: entry),
          offset: index.repeated.map { UInt64($0.offset) })
      }
      isNamed[place] = true
    }
    if let extra = isNamed.firstIndex(of: false).map({ tensors[$0] }) {
      throw Fault(
        .malformed, "is missing from the index", file: index.path, tensor: extra.name,
        found: "in \(inventory.shards[extra.shard].name)")
    }
  }
}
