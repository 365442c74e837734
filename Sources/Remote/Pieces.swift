internal import Platform

/// A range of a distant file, held or on its way.
final class Piece: @unchecked Sendable {
  let range: Range<Int>
  /// Bytes that are still to be read of it.
  var left: Int
  /// The bytes, once they came; constant from then on, while the rest is the store's to change.
  private(set) var bytes: [UInt8]?
  /// Why they did not come.
  var fault: Fault?
  /// When it was used last, by the store's count.
  var lastUse = 0
  /// Whether it is of those that are kept for a while rather than until they are read.
  let isSmall: Bool

  /// Whether it has been read as often as was said, and stays for a moment only.
  var isDone = false
  /// Whether the store has let go of it.
  var isGone = false

  /// - Parameter reads: bytes that will be read of it, some of them twice perhaps.
  init(_ range: Range<Int>, reads: Int, isSmall: Bool) {
    self.range = range
    left = reads
    self.isSmall = isSmall
  }

  func fill(_ bytes: [UInt8]) { self.bytes = bytes }
}

/// Something about a range of a file.
protocol Ranged: AnyObject {
  var range: Range<Int> { get }
}

extension Piece: Ranged {}

/// What there is about ranges of one file, in the order of their bytes, none overlapping.
struct RangeList<Element: Ranged> {
  private(set) var elements: [Element] = []

  /// Where the first one that ends behind an offset stands.
  private func index(behind offset: Int) -> Int {
    var (low, high) = (0, elements.count)
    while low < high {
      let middle = (low + high) / 2
      if elements[middle].range.upperBound <= offset { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The one that has an offset; else how far none has anything, up to a limit.
  func find(_ offset: Int, limit: Int) -> (element: Element?, gapEnd: Int) {
    let index = index(behind: offset)
    guard index < elements.count else { return (nil, limit) }
    let element = elements[index]
    if element.range.contains(offset) { return (element, offset) }
    return (nil, min(limit, element.range.lowerBound))
  }

  /// The bytes of a range around an offset in it that none has; nil where one has the offset.
  func gap(at offset: Int, in range: Range<Int>) -> Range<Int>? {
    let index = index(behind: offset)
    if index < elements.count, elements[index].range.contains(offset) { return nil }
    let start = index > 0 ? elements[index - 1].range.upperBound : 0
    let end = index < elements.count ? elements[index].range.lowerBound : Int.max
    return max(start, range.lowerBound)..<min(end, range.upperBound)
  }

  /// The first bytes of a range that none has; nil where all are there.
  func firstGap(in range: Range<Int>) -> Range<Int>? {
    var offset = range.lowerBound
    while offset < range.upperBound {
      guard let element = find(offset, limit: range.upperBound).element else {
        return gap(at: offset, in: range)
      }
      offset = element.range.upperBound
    }
    return nil
  }

  /// Adds one where there is none yet.
  mutating func insert(_ element: Element) {
    elements.insert(element, at: index(behind: element.range.lowerBound))
  }

  mutating func remove(_ element: Element) {
    let index = index(behind: element.range.lowerBound)
    guard index < elements.count, elements[index] === element else { return }
    elements.remove(at: index)
  }
}
