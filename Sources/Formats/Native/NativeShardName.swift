package import Platform

/// The name of one of DeepSeek's model-parallel shards: `model{i}-mp{n}.safetensors`, whose tensors
/// are shard i of n.
///
/// DeepSeek's loader opens that file alone and refuses tensors that its network lacks. MTP layers
/// are such, so Fathom puts them beside it, into `mtp{i}-mp{n}.safetensors`.
package struct NativeShardName: Sendable, Hashable {
  /// Which tensors a file holds.
  package enum Part: String, Sendable, Hashable, CaseIterable {
    /// Those that DeepSeek's code loads.
    case model
    /// Those of the MTP layers.
    case mtp
  }

  /// Which tensors it holds.
  package let part: Part
  /// Its number, from 0.
  package let rank: Int
  /// Shards that the model is divided into.
  package let count: Int

  /// Names a shard.
  package init(_ part: Part, rank: Int, of count: Int) {
    self.part = part
    self.rank = rank
    self.count = count
  }

  /// Reads a file's name; nil for any other, and for a rank that its count does not have.
  package init?(_ file: ExactText) {
    guard let pieces = file.without(suffix: Self.ending)?.split(separator: "-"),
      pieces.count == 2,
      let count = pieces[1].without(prefix: Self.mark).flatMap(Self.number)
    else { return nil }
    for part in Part.allCases {
      guard let rank = pieces[0].without(prefix: ExactText(part.rawValue)).flatMap(Self.number),
        rank < count
      else { continue }
      self.init(part, rank: rank, of: count)
      return
    }
    return nil
  }

  /// The file's name.
  package var file: ExactText { stem + Self.ending }
  /// The same without its ending.
  package var stem: ExactText { "\(part.rawValue)\(rank)-\(Self.mark)\(count)" }

  private static let ending: ExactText = ".safetensors"
  private static let mark: ExactText = "mp"

  /// A number as it is written without leading zeros.
  private static func number(_ text: ExactText) -> Int? {
    guard (1...5).contains(text.utf8.count), let number = Int(text.text), "\(number)" == text
    else { return nil }
    return number
  }

  /// Names that sets lack: one of n implies the others.
  ///
  /// - Throws: `.malformed` where all sets together lack more than a model may have.
  static func missing(
    _ names: [ExactText], in folder: String, within budget: ModelBudget
  ) throws(Fault) -> [ExactText] {
    let present = Set(names.compactMap { NativeShardName($0) })
    let sets = Dictionary(grouping: present) { NativeShardName($0.part, rank: 0, of: $0.count) }
    var missing: [ExactText] = []
    for (first, found) in sets where found.count < first.count {
      try budget.files.take(
        first.count - found.count, for: Folder.join(folder, found[0].file))
      missing += (0..<first.count).map { NativeShardName(first.part, rank: $0, of: first.count) }
        .filter { !present.contains($0) }.map(\.file)
    }
    return missing
  }
}
