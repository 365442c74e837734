package import Formats
internal import Tensors

/// Where the rows of a weight come from, as a tree whose leaves are stored tensors.
///
/// A weight is seen as a matrix whose columns are its innermost dimension, so that a stack of
/// matrices has the rows of all of them, one after the other.
package struct Assembly: Sendable, Hashable {
  /// How one is made of others.
  package indirect enum Form: Sendable, Hashable {
    /// A tensor as it is stored, and what turns its codes into numbers.
    case stored(StoredTensor, Scaling?)
    /// All rows of one part after the other.
    case stacked([Assembly])
    /// All columns of one part after the other.
    case beside([Assembly])
    /// Some of every so many rows.
    case slices(Assembly, Slices)
    /// The same, each slice transposed.
    case transposedSlices(Assembly, Slices)
    /// Some columns of every row.
    case columns(Assembly, Range<Int>)
    /// For each head its keys, which are stored transposed, then its values: keys (heads × columns,
    /// rows of a head's keys), values (heads × rows of a head's values, columns).
    case joined(keys: Assembly, values: Assembly, heads: Int)
  }

  /// Of every `period` rows `count` from `first` on.
  package struct Slices: Sendable, Hashable {
    /// The first row of a period that is taken.
    package let first: Int
    /// Rows of each period that are taken.
    package let count: Int
    /// Rows from one slice to the next.
    package let period: Int

    /// Names the rows; they lie within a period.
    package init(first: Int, count: Int, period: Int) {
      precondition(first >= 0 && count > 0 && first + count <= period)
      self.first = first
      self.count = count
      self.period = period
    }
  }

  /// How it is made.
  package let form: Form
  /// Rows, seen as a matrix.
  package let rows: Int
  /// Columns, seen as a matrix.
  package let columns: Int

  /// Makes one of a form whose sizes are those.
  package init(_ form: Form, rows: Int, columns: Int) {
    self.form = form
    self.rows = rows
    self.columns = columns
  }

  /// A stored tensor.
  ///
  /// One whose rows do not fill whole bytes is seen as a single row.
  package init(_ tensor: StoredTensor, scaling: Scaling? = nil) {
    let columns = tensor.shape.dimensions.last ?? 1
    let rows = tensor.shape.elementCount / max(1, columns)
    let isWhole = tensor.type.byteCount(elements: columns) != nil
    self.init(
      .stored(tensor, scaling), rows: isWhole ? rows : 1,
      columns: isWhole ? columns : rows * columns)
  }

  /// Parts of equally many columns, one below the other.
  package static func stacked(_ parts: [Assembly]) -> Assembly {
    precondition(parts.allSatisfy { $0.columns == parts[0].columns })
    if parts.count == 1 { return parts[0] }
    return Assembly(
      .stacked(parts), rows: parts.reduce(0) { $0 + $1.rows }, columns: parts[0].columns)
  }

  /// Parts of equally many rows, one beside the other.
  package static func beside(_ parts: [Assembly]) -> Assembly {
    precondition(parts.allSatisfy { $0.rows == parts[0].rows })
    if parts.count == 1 { return parts[0] }
    return Assembly(
      .beside(parts), rows: parts[0].rows, columns: parts.reduce(0) { $0 + $1.columns })
  }

  /// Keys (heads, columns, rows of keys) and values (heads, rows of values, columns) as the one
  /// matrix that they were cut from.
  package static func joined(keys: Assembly, values: Assembly, heads: Int) -> Assembly {
    precondition(heads > 0 && keys.rows == heads * values.columns && values.rows % heads == 0)
    return Assembly(
      .joined(keys: keys, values: values, heads: heads),
      rows: heads * keys.columns + values.rows, columns: values.columns)
  }

  /// Some of every so many rows; of keys and values that were joined, one of them.
  package func slices(_ slices: Slices) -> Assembly {
    if case .joined(let keys, let values, _) = form,
      slices
        == Slices(
          first: keys.columns, count: slices.count, period: keys.columns + slices.count),
      values.rows * slices.period == rows * slices.count
    {
      return values
    }
    return Assembly(
      .slices(self, slices), rows: rows / slices.period * slices.count, columns: columns)
  }

  /// The same, each slice transposed.
  package func transposedSlices(_ slices: Slices) -> Assembly {
    if case .joined(let keys, _, let heads) = form, slices.first == 0,
      slices.count == keys.columns, heads * slices.period == rows
    {
      return keys
    }
    return Assembly(
      .transposedSlices(self, slices), rows: rows / slices.period * columns,
      columns: slices.count)
  }
}

extension Assembly {
  /// Calls `body` for each stored tensor in order, with its scaling.
  package func forEachLeaf(_ body: (StoredTensor, Scaling?) -> Void) {
    switch form {
    case .stored(let tensor, let scaling): body(tensor, scaling)
    case .stacked(let parts), .beside(let parts): for part in parts { part.forEachLeaf(body) }
    case .slices(let part, _), .transposedSlices(let part, _), .columns(let part, _):
      part.forEachLeaf(body)
    case .joined(let keys, let values, _):
      keys.forEachLeaf(body)
      values.forEachLeaf(body)
    }
  }

  /// The stored tensors in order, each with its scaling.
  package var leaves: [(tensor: StoredTensor, scaling: Scaling?)] {
    var leaves: [(tensor: StoredTensor, scaling: Scaling?)] = []
    forEachLeaf { leaves.append(($0, $1)) }
    return leaves
  }

  /// The first leaf; every assembly has one.
  package var first: (tensor: StoredTensor, scaling: Scaling?) {
    switch form {
    case .stored(let tensor, let scaling): (tensor, scaling)
    case .stacked(let parts), .beside(let parts): parts[0].first
    case .slices(let part, _), .transposedSlices(let part, _), .columns(let part, _): part.first
    case .joined(let keys, _, _): keys.first
    }
  }

  /// The stored tensor where it is nothing else.
  package var single: (tensor: StoredTensor, scaling: Scaling?)? {
    if case .stored(let tensor, let scaling) = form { (tensor, scaling) } else { nil }
  }

  /// Where rows are stored one after the other, as rows of that tensor; nil where they are put
  /// together or lie in several.
  package func stored(
    rows: Range<Int>
  ) -> (tensor: StoredTensor, scaling: Scaling?, rows: Range<Int>)? {
    switch form {
    case .stored(let tensor, let scaling): return (tensor, scaling, rows)
    case .stacked(let parts):
      var top = 0
      for part in parts {
        if rows.lowerBound < top + part.rows {
          guard rows.upperBound <= top + part.rows else { return nil }
          return part.stored(rows: rows.lowerBound - top..<rows.upperBound - top)
        }
        top += part.rows
      }
      return nil
    case .beside, .slices, .transposedSlices, .columns, .joined: return nil
    }
  }

  /// All stored tensors, scales behind what they scale.
  package var stored: [StoredTensor] {
    var stored: [StoredTensor] = []
    forEachStored { stored.append($0) }
    return stored
  }

  /// Calls `body` for every stored tensor, scales behind what they scale.
  package func forEachStored(_ body: (StoredTensor) -> Void) {
    forEachLeaf { tensor, scaling in
      body(tensor)
      scaling?.forEachStored(body)
    }
  }

  /// Whether a property holds of all leaves.
  package func allLeaves(_ holds: (StoredTensor, Scaling?) -> Bool) -> Bool {
    switch form {
    case .stored(let tensor, let scaling): holds(tensor, scaling)
    case .stacked(let parts), .beside(let parts): parts.allSatisfy { $0.allLeaves(holds) }
    case .slices(let part, _), .transposedSlices(let part, _), .columns(let part, _):
      part.allLeaves(holds)
    case .joined(let keys, let values, _): keys.allLeaves(holds) && values.allLeaves(holds)
    }
  }

  /// Whether each row is made of pieces of stored rows, so that bytes may be moved.
  package var keepsRows: Bool {
    switch form {
    case .stored: true
    case .stacked(let parts), .beside(let parts): parts.allSatisfy(\.keepsRows)
    case .slices(let part, _): part.keepsRows
    case .columns(let part, let range): part.keepsRows && part.isWhole(range)
    case .transposedSlices, .joined: false
    }
  }

  /// Whether columns begin and end where those that are read together do.
  package func isWhole(_ columns: Range<Int>) -> Bool {
    columns.lowerBound % columnUnit == 0
      && (columns.upperBound % columnUnit == 0 || columns.upperBound == self.columns)
  }

  /// How many detours over memory of their own lie within one another: transpositions, and columns
  /// that are cut out of blocks.
  package var turns: Int {
    switch form {
    case .stored: 0
    case .stacked(let parts), .beside(let parts): parts.map(\.turns).max() ?? 0
    case .slices(let part, _): part.turns
    case .transposedSlices(let part, _): 1 + part.turns
    case .columns(let part, let range): part.turns + (part.isWhole(range) ? 0 : 1)
    case .joined(let keys, let values, _): max(1 + keys.turns, values.turns)
    }
  }

  /// Columns that are read together at the least.
  package var columnUnit: Int {
    switch form {
    case .stored(let tensor, _): tensor.type.leastElements
    case .stacked(let parts), .beside(let parts): parts.map(\.columnUnit).max() ?? 1
    case .slices(let part, _): part.columnUnit
    // What is transposed is read row by row of the source, each as wide as need be.
    case .transposedSlices: 1
    case .columns(let part, let range): part.isWhole(range) ? part.columnUnit : 1
    case .joined(_, let values, _): values.columnUnit
    }
  }

  /// The word that reports use for what happens to rows; nil where they stay as they are.
  package var arrangement: String? {
    switch form {
    case .stored: nil
    case .stacked: "stacked"
    case .beside: "put side by side"
    case .slices, .columns: "split"
    case .transposedSlices: "split and transposed"
    case .joined: "joined"
    }
  }
}

extension ElementType {
  /// The fewest elements that fill whole bytes: a block, or as many as share bytes.
  package var leastElements: Int {
    block?.elements ?? [1, 2, 4].first { byteCount(elements: $0) != nil } ?? 8
  }
}
