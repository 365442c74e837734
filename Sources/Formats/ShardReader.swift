internal import Locks
internal import Platform

/// Reads the headers of many files, and the index beside them, on several threads.
final class ShardReader: Sendable {
  private let folder: String
  private let names: [String]
  private let indexPath: String?
  private let standIns: String?
  private let results: Guarded<[CheckpointSurvey.ShardState?]>
  private let budget: ModelBudget
  private let indexResult = Guarded<SafetensorsIndex?>(nil)

  /// - Parameters:
  ///   - standIns: a folder with the beginnings of files that are gone.
  ///   - budget: what all files of the model share.
  init(
    folder: String, names: [String], indexPath: String?, standIns: String?, budget: ModelBudget
  ) {
    self.folder = folder
    self.budget = budget
    self.standIns = standIns
    self.names = names
    self.indexPath = indexPath
    results = Guarded(Array(repeating: nil, count: names.count))
  }

  /// Reads everything; only a malformed index throws, a malformed shard is a state.
  func run(threads: Int) throws(Fault) {
    let first = indexPath == nil ? 0 : 1
    try Workers.run(threads: threads, count: names.count + first) { _, item throws(Fault) in
      if let indexPath, item == 0 {
        let index = try SafetensorsIndex(path: indexPath)
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
  var states: [(name: String, state: CheckpointSurvey.ShardState)] {
    let states = results.withLock { $0 }
    return zip(names, states).compactMap { name, state in state.map { (name, $0) } }
  }

  private func state(of item: Int) -> CheckpointSurvey.ShardState {
    do throws(Fault) {
      let path = Folder.join(folder, names[item])
      if let standIns, try Folder.kind(of: path) == nil,
        let (file, header) = try ShardStandIn.open(
          in: standIns, for: path, shard: item, within: budget)
      {
        return .read(Shard(name: names[item], file: file, metadata: header.metadata), header)
      }
      let file: InputFile
      switch try PackedFile.opening(path, within: budget) {
      case .plain(let plain): file = plain
      case .packed(let packed): file = packed.original
      case .cut(let packed, let minimum): return .cut(packed, atLeast: minimum)
      }
      switch try SafetensorsHeader.read(file, shard: item, within: budget) {
      case .cut(let minimum): return .cut(file, atLeast: minimum)
      case .header(let header):
        try budget.tensors.take(header.tensors.count, for: file.path)
        return .read(Shard(name: names[item], file: file, metadata: header.metadata), header)
      }
    } catch {
      return .faulty(error)
    }
  }
}
