package import Codecs
package import Formats
package import Models

extension Assembly {
  /// Some rows; of parts that are stacked, those that they are made up of.
  package func rows(_ range: Range<Int>) -> Assembly {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows)
    if range.count == rows { return self }
    if case .stacked(let parts) = form, let some = Self.parts(parts, in: range, \.rows) {
      return .stacked(some)
    }
    return slices(Slices(first: range.lowerBound, count: range.count, period: rows))
  }

  /// Some columns of every row; of parts beside each other, those that they are made up of.
  package func columns(_ range: Range<Int>) -> Assembly {
    precondition(range.lowerBound >= 0 && range.upperBound <= columns)
    if range.count == columns { return self }
    if case .beside(let parts) = form, let some = Self.parts(parts, in: range, \.columns) {
      return .beside(some)
    }
    return Assembly(.columns(self, range), rows: rows, columns: range.count)
  }

  /// Those parts that together are the range; nil where it cuts one.
  private static func parts(
    _ parts: [Assembly], in range: Range<Int>, _ size: (Assembly) -> Int
  ) -> [Assembly]? {
    var start = 0
    var some: [Assembly] = []
    for part in parts {
      let own = start..<start + size(part)
      start = own.upperBound
      guard own.overlaps(range) else { continue }
      guard own.clamped(to: range) == own else { return nil }
      some.append(part)
    }
    return some.isEmpty ? nil : some
  }

  /// What a tensor of another dialect takes of the Hugging Face ones that it holds.
  package func taking(_ form: WeightForm, of config: ModelConfig) -> Assembly {
    let (keys, values) = (config.nopeHeadSize, config.valueHeadSize)
    return switch form {
    case .whole, .experts, .expertPairs, .beside: self
    case .keyHeads: transposedSlices(Slices(first: 0, count: keys, period: keys + values))
    case .valueHeads: slices(Slices(first: keys, count: values, period: keys + values))
    }
  }

  /// The scheme of groups that all leaves have; nil where they have others, or none.
  package var scheme: GroupScheme? {
    guard let scheme = first.scaling?.scheme, allLeaves({ $1?.scheme == scheme }) else {
      return nil
    }
    return scheme
  }

  /// The same tree of one component of the leaves: of their codes, scales or offsets. Nil where a
  /// leaf has none, and where rows or columns are not cut between groups or blocks.
  package func component(
    _ pick: (StoredTensor, Scaling?) -> StoredTensor?
  ) -> Assembly? {
    switch form {
    case .stored(let tensor, let scaling): return pick(tensor, scaling).map { Assembly($0) }
    case .stacked(let parts):
      let components = parts.compactMap { $0.component(pick) }
      guard components.count == parts.count, parts.dropLast().allSatisfy(\.endsWithBlocks),
        components.allSatisfy({ $0.columns == components[0].columns })
      else { return nil }
      return .stacked(components)
    case .slices(let part, let slices):
      guard part.allLeaves({ $1.map { $0.scheme != nil } ?? true }) else { return nil }
      return part.component(pick)?.slices(slices)
    case .beside(let parts):
      let components = parts.compactMap { $0.component(pick) }
      guard components.count == parts.count, parts.dropLast().allSatisfy(\.endsWithBlockColumns),
        components.allSatisfy({ $0.rows == components[0].rows })
      else { return nil }
      return .beside(components)
    case .transposedSlices, .columns, .joined: return nil
    }
  }

  /// Whether its rows are whole blocks, so that other rows of scales may follow.
  private var endsWithBlocks: Bool {
    guard case .blocks(let block)? = first.scaling?.kind else { return true }
    return rows % block.rows == 0
  }

  /// Whether its columns are whole blocks, so that other columns of scales may follow; groups are
  /// whole in every part.
  private var endsWithBlockColumns: Bool {
    guard case .blocks(let block)? = first.scaling?.kind else { return true }
    return columns % block.columns == 0
  }
}
