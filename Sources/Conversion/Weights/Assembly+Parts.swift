internal import Formats

extension Assembly {
  /// Some rows; of parts that are stacked, those that they are made up of.
  public func rows(_ range: Range<Int>) -> Assembly {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows)
    if range.count == rows { return self }
    if case .stacked(let parts) = form, let some = Self.parts(parts, in: range, \.rows) {
      return .stacked(some)
    }
    return slices(Slices(first: range.lowerBound, count: range.count, period: rows))
  }

  /// Some columns of every row; of parts beside each other, those that they are made up of.
  public func columns(_ range: Range<Int>) -> Assembly {
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

  private init(_ form: Form, like other: Assembly) {
    self.init(form, rows: other.rows, columns: other.columns)
  }

  /// The codes alone, as they lie.
  var codes: Assembly {
    switch form {
    case .stored(let tensor, _): Assembly(tensor)
    case .stacked(let parts): .stacked(parts.map(\.codes))
    case .beside(let parts): .beside(parts.map(\.codes))
    case .slices(let part, let slices): Assembly(.slices(part.codes, slices), like: self)
    case .transposedSlices(let part, let slices):
      Assembly(.transposedSlices(part.codes, slices), like: self)
    case .columns(let part, let range): Assembly(.columns(part.codes, range), like: self)
    case .joined(let keys, let values, let heads):
      Assembly(.joined(keys: keys.codes, values: values.codes, heads: heads), like: self)
    }
  }

  /// The scales of a matrix, put together as its codes are; nil where that is not how blocks of one
  /// size lie in the whole, or where a part has none.
  var grid: Assembly? {
    switch form {
    case .stored(_, let scaling):
      guard case .blocks? = scaling?.kind else { return nil }
      return scaling.map { Assembly($0.scales) }
    case .stacked(let parts):
      guard let block = block, parts.dropLast().allSatisfy({ $0.rows % block.rows == 0 }) else {
        return nil
      }
      let grids = parts.compactMap(\.grid)
      return grids.count == parts.count ? .stacked(grids) : nil
    case .beside(let parts):
      guard let block = block, parts.dropLast().allSatisfy({ $0.columns % block.columns == 0 })
      else { return nil }
      let grids = parts.compactMap(\.grid)
      return grids.count == parts.count ? .beside(grids) : nil
    case .slices, .transposedSlices, .columns, .joined: return nil
    }
  }

  /// The block that all leaves share; nil where they differ, or have none.
  private var block: BlockSize? {
    guard case .blocks(let block)? = first.scaling?.kind,
      allLeaves({ $1?.kind == .blocks(block) })
    else { return nil }
    return block
  }
}
