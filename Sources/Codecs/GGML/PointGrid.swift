internal import CKernels

/// A grid as an encoder sees it: which of its points are near to any combination of codes.
///
/// A word holds the codes of a group, the first lowest, `bits` each. A cell is a word as a number
/// to the base `levels`. Made once, when a type is first written.
struct PointGrid: Sendable {
  /// Elements of a group.
  let elements: Int
  /// Codes are 0 ..< levels.
  let levels: Int
  /// Bits of a code in a word.
  let bits: Int
  /// The number of the point that a word is; `none` where it is no point.
  let indices: [UInt16]
  /// For each cell: start of its list / 16 · 2¹⁰ + length · 2 + (1 where the cell is a point, which
  /// is then all that its list has).
  let cells: [UInt32]
  /// Lists of words, the nearest points first and of those as near the first in the grid; each
  /// filled up to a multiple of 16 with its last word.
  let lists: [UInt16]

  static let none = UInt16.max

  /// - Parameter shells: how many different distances a list holds.
  init(_ entries: [UInt16], elements: Int, levels: Int, shells: Int) {
    let bits = levels > 4 ? 3 : 2
    (self.elements, self.levels, self.bits) = (elements, levels, bits)
    var indices = [UInt16](repeating: PointGrid.none, count: 1 << (bits * elements))
    for (index, word) in entries.enumerated() { indices[Int(word)] = UInt16(index) }
    let cellCount = (0..<elements).reduce(1) { product, _ in product * levels }
    let distances = HalfDistances(bits: bits, digits: elements / 2)
    var cells = [UInt32](repeating: 0, count: cellCount)
    var lists: [UInt16] = []
    for cell in 0..<cellCount {
      let word = PointGrid.word(ofCell: cell, elements: elements, levels: levels, bits: bits)
      let isPoint = indices[Int(word)] != PointGrid.none
      let list = isPoint ? [word] : distances.nearest(to: word, among: entries, shells: shells)
      cells[cell] = UInt32(lists.count / 16) << 10 | UInt32(list.count) << 1 | (isPoint ? 1 : 0)
      lists += list
      lists += [UInt16](repeating: list[list.count - 1], count: (16 - list.count % 16) % 16)
    }
    (self.indices, self.cells, self.lists) = (indices, cells, lists)
  }

  private static func word(ofCell cell: Int, elements: Int, levels: Int, bits: Int) -> UInt16 {
    var (word, rest): (UInt16, Int) = (0, cell)
    for element in 0..<elements {
      word |= UInt16(rest % levels) << UInt16(bits * element)
      rest /= levels
    }
    return word
  }

  /// As kernels take it.
  func withPointers(_ body: (UnsafePointer<fathom_grid>) -> Void) {
    cells.withUnsafeBufferPointer { cells in
      lists.withUnsafeBufferPointer { lists in
        indices.withUnsafeBufferPointer { indices in
          var grid = fathom_grid(
            cells: cells.baseAddress!, lists: lists.baseAddress!, indices: indices.baseAddress!)
          body(&grid)
        }
      }
    }
  }

  static let iq2XXS = PointGrid(GridEntries.iq2xxs, elements: 8, levels: 3, shells: 2)
  static let iq2XS = PointGrid(GridEntries.iq2xs, elements: 8, levels: 3, shells: 2)
  static let iq2S = PointGrid(GridEntries.iq2s, elements: 8, levels: 3, shells: 1)
  static let iq3XXS = PointGrid(GridEntries.iq3xxs, elements: 4, levels: 8, shells: 2)
  static let iq3S = PointGrid(GridEntries.iq3s, elements: 4, levels: 8, shells: 3)
  static let iq1 = PointGrid(GridEntries.iq1, elements: 8, levels: 3, shells: 3)
}

/// Squared distances between words, by tables of half words.
private struct HalfDistances {
  let bits: Int
  let mask: Int
  let table: [UInt8]

  init(bits: Int, digits: Int) {
    let (count, half) = (1 << (bits * digits), bits * digits)
    (self.bits, mask) = (half, count - 1)
    var table = [UInt8](repeating: 0, count: count * count)
    for one in 0..<count {
      for other in 0..<count {
        var sum = 0
        for digit in 0..<digits {
          let (shift, most) = (bits * digit, 1 << bits - 1)
          let difference = (one >> shift & most) - (other >> shift & most)
          sum += difference * difference
        }
        table[one * count + other] = UInt8(sum)
      }
    }
    self.table = table
  }

  /// The entries at the least `shells` distances, by distance and then by place.
  func nearest(to word: UInt16, among entries: [UInt16], shells: Int) -> [UInt16] {
    let low = (Int(word) & mask) * (mask + 1)
    let high = (Int(word) >> bits) * (mask + 1)
    return table.withUnsafeBufferPointer { table in
      withUnsafeTemporaryAllocation(of: UInt8.self, capacity: entries.count) { distances in
        var present = [Bool](repeating: false, count: 256)
        for (index, entry) in entries.enumerated() {
          let distance = table[low + Int(entry) & mask] + table[high + Int(entry) >> bits]
          distances[index] = distance
          present[Int(distance)] = true
        }
        var list: [UInt16] = []
        for distance in present.indices.lazy.filter({ present[$0] }).prefix(shells) {
          for (index, entry) in entries.enumerated() where Int(distances[index]) == distance {
            list.append(entry)
          }
        }
        return list
      }
    }
  }
}
