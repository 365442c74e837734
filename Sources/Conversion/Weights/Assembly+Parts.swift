public import Codecs
public import Formats
internal import Models

extension Assembly {
  /// What a tensor of another dialect takes of the Hugging Face ones that it holds.
  func taking(_ form: WeightForm, of config: DeepSeekV3Config) -> Assembly {
    let (keys, values) = (config.nopeHeadSize, config.valueHeadSize)
    return switch form {
    case .whole, .experts: self
    case .keyHeads: transposedSlices(Slices(first: 0, count: keys, period: keys + values))
    case .valueHeads: slices(Slices(first: keys, count: values, period: keys + values))
    }
  }

  /// The scheme of groups that all leaves have; nil where they have others, or none.
  public var scheme: GroupScheme? {
    guard let scheme = first.scaling?.scheme, allLeaves({ $1?.scheme == scheme }) else {
      return nil
    }
    return scheme
  }

  /// The same tree of one component of the leaves: of their codes, scales or offsets. Nil where a
  /// leaf has none, and where rows or columns are not cut between groups or blocks.
  public func component(
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
    case .beside, .transposedSlices, .joined: return nil
    }
  }

  /// Whether its rows are whole blocks, so that other rows of scales may follow.
  private var endsWithBlocks: Bool {
    guard case .blocks(let block)? = first.scaling?.kind else { return true }
    return rows % block.rows == 0
  }
}
