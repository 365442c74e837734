internal import Locks
internal import Platform

/// Reads the headers of many files, and the index beside them, on several threads.
final class ShardReader: Sendable {
  private let folder: InputFolder
  private let names: [ExactText]
  private let indexFile: InputFile?
  private let standIns: InputFolder?
  private let results: Guarded<[CheckpointSurvey.ShardState?]>
  private let budget: ModelBudget
  private let indexResult = Guarded<SafetensorsIndex?>(nil)

  /// - Parameters:
  ///   - standIns: a folder with the beginnings of files that are gone.
  ///   - budget: what all files of the model share.
  init(
    folder: InputFolder, names: [ExactText], indexFile: InputFile?, standIns: InputFolder?,
    budget: ModelBudget
  ) {
    self.folder = folder
    self.budget = budget
    self.standIns = standIns
    self.names = names
    self.indexFile = indexFile
    results = Guarded(Array(repeating: nil, count: names.count))
  }

  /// Reads everything; only a malformed index throws, a malformed shard is a state.
  func run(threads: Int) throws(Fault) {
    let first = indexFile == nil ? 0 : 1
    try Workers.run(threads: threads, count: names.count + first) { _, item throws(Fault) in
      if let indexFile, item == 0 {
        let index = try SafetensorsIndex(indexFile)
        indexResult.withLock { $0 = index }
        return
      }
      let state = state(of: item - first)
      results.withLock { $0[item - first] = state }
    }
  }

  /// The index, once `run` has read it.
  var index: SafetensorsIndex? { indexResult.withLock { $0 } }

  /// The states of all files, in the order of the names given.
  var states: [(name: ExactText, state: CheckpointSurvey.ShardState)] {
    let states = results.withLock { $0 }
    return zip(names, states).compactMap { name, state in state.map { (name, $0) } }
  }

  private func state(of item: Int) -> CheckpointSurvey.ShardState {
    do throws(Fault) {
      let name = names[item]
      guard let stored = try folder.find(name) else { return try standIn(for: name, shard: item) }
      let file: InputFile
      switch try PackedFile.opening(stored, within: budget) {
      case .plain(let plain): file = plain
      case .packed(let packed): file = packed.original
      case .cut(let packed, let minimum): return .cut(packed, atLeast: minimum)
      }
      switch try SafetensorsHeader.read(file, shard: item, within: budget) {
      case .cut(let minimum): return .cut(file, atLeast: minimum)
      case .header(let header):
        try budget.tensors.take(header.tensors.count, for: file.path)
        return .read(Shard(name: name, file: file, metadata: header.metadata), header)
      }
    } catch {
      return .faulty(folder.explained(error, missing: names[item]))
    }
  }

  /// What was kept of a file that is gone.
  private func standIn(
    for name: ExactText, shard: Int
  ) throws(Fault) -> CheckpointSurvey.ShardState {
    let place = folder.place(of: name)
    guard
      let kept = try standIns.flatMap({ folder throws(Fault) in
        try ShardStandIn.open(in: folder, name: name, for: place, shard: shard, within: budget)
      })
    else { throw Fault(.notFound, "no such file", file: place) }
    return .read(Shard(name: name, file: kept.file, metadata: kept.header.metadata), kept.header)
  }
}
