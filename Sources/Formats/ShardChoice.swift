package import Platform

/// Which of the files in a folder are the checkpoint: those that its index names, with what else is
/// called as one of their set; without an index all that look like it.
struct ShardChoice {
  typealias State = (name: ExactText, state: CheckpointSurvey.ShardState)

  /// The checkpoint's files.
  private(set) var own: [State] = []
  /// Files that look like a checkpoint's and that the index does not name.
  private(set) var others: [State] = []
  /// Files that the index names and that were not looked at yet.
  let unread: [ExactText]

  /// - Parameter named: the files that an index names; nil where there is none.
  init(_ states: [State], named: [ExactText]?) {
    guard let named else {
      own = states
      unread = []
      return
    }
    let names = Set(named)
    let sets = Set(named.compactMap { ShardNames.Numbered($0)?.set })
    for state in states {
      let isOwn =
        names.contains(state.name)
        || ShardNames.Numbered(state.name).map { sets.contains($0.set) } == true
      if isOwn { own.append(state) } else { others.append(state) }
    }
    let known = Set(states.map(\.name))
    unread = named.filter { !known.contains($0) }
  }

  /// Names of the checkpoint's files.
  var names: [ExactText] { own.map(\.name) }

  /// Takes what has been looked at since.
  mutating func add(_ states: [State]) { own += states }

  /// Whether files that an index names are absent, and the others hold every tensor that it lists.
  func isForeign(_ index: SafetensorsIndex) -> Bool {
    let isAbsent = own.contains {
      if case .faulty(let fault) = $0.state { fault.kind == .notFound } else { false }
    }
    guard isAbsent, !others.isEmpty else { return false }
    var held: Set<ExactText> = []
    for (_, state) in others {
      guard case .read(_, let header) = state else { return false }
      held.formUnion(header.tensors.lazy.map(\.name))
    }
    return index.entries.allSatisfy { held.contains(index.name(of: $0)) }
  }
}

extension CheckpointSurvey {
  /// What an index is that was written for other files, for whoever needs one that is right.
  package var foreignIndexFault: Fault? {
    guard isIndexForeign, let index else { return nil }
    var fault = Fault(
      .malformed, "belongs to another division of these weights", file: index.path,
      expected: "the files that lie here: \(CheckpointSurvey.list(shards.map(\.name)))",
      found: CheckpointSurvey.list(index.files))
    fault.advice =
      "all \(index.entries.count) tensors that it lists are in the files here: without "
      + "\(SafetensorsIndex.fileName) they are a whole checkpoint"
    return fault
  }

  /// Files beside the checkpoint that are no part of it, as a line; nil for none.
  package var straysNote: String? {
    strays.isEmpty
      ? nil
      : "passed over, since "
        + (index == nil || isIndexForeign
          ? "other files are the checkpoint: " : "the index does not name them: ")
        + CheckpointSurvey.list(strays)
  }

  /// The first of some names, and how many there are.
  package static func list(_ names: [ExactText]) -> String {
    let first = names.prefix(3).map(\.text).joined(separator: ", ")
    return names.count > 3 ? "\(first), … (\(names.count) files)" : first
  }
}
