internal import Locks
package import Platform

/// Items with a size that many runs divide, each taking consecutive ones.
package struct PartDivision: Sendable {
  private let ends: [Int]

  /// Divides so that the sizes come out about even; no item is divided.
  package init(_ sizes: [Int], among count: Int) {
    let total = Double(sizes.reduce(0, +)) + Double(sizes.count)
    var ends: [Int] = []
    var (before, item) = (0.0, 0)
    for number in 1...count {
      let target = total * Double(number) / Double(count)
      // An item belongs where its middle lies.
      while item < sizes.count, before + Double(sizes[item] + 1) / 2 < target {
        before += Double(sizes[item] + 1)
        item += 1
      }
      ends.append(number == count ? sizes.count : item)
    }
    self.ends = ends
  }

  /// Indices of the items of a part, counted from 1.
  package func items(of number: Int) -> Range<Int> {
    (number == 1 ? 0 : ends[number - 2])..<ends[number - 1]
  }
}

/// What a run finds in items that it looks at one by one, a few numbers each, where several runs
/// divide these: each looks at its own, and a last one has what all have found.
package final class DividedScan: Sendable {
  /// The division of the command that runs; nil where one run looks at everything.
  @TaskLocal package static var current: DividedScan?

  private let part: PartChoice?
  /// What the parts have found, by part and then by list of items.
  private let known: [[[[Int]]]]
  /// How many lists have been asked for, and what was found in each.
  private let state = Guarded((lists: 0, found: [[[Int]]]()))

  /// A part of the work.
  package init(_ part: PartChoice) {
    self.part = part
    known = []
  }

  /// All of it, as the parts have found it.
  ///
  /// - Parameter results: `found` of each part, in their order.
  /// - Throws: `.malformed` where one holds something else.
  package init(results: [[JSONValue]], path: (_ part: Int) -> String) throws(Fault) {
    part = nil
    var known: [[[[Int]]]] = []
    for (index, lists) in results.enumerated() {
      let own = lists.compactMap(DividedScan.list)
      guard own.count == lists.count else {
        throw Fault(.malformed, "does not hold lists of numbers", file: path(index + 1))
      }
      known.append(own)
    }
    self.known = known
  }

  /// What a part has found, for its file.
  package var found: [JSONValue] {
    state.withLock { $0.found }.map { list in
      .array(list.map { .array($0.map { .integer($0) }) })
    }
  }

  private static func list(_ value: JSONValue) -> [[Int]]? {
    guard case .array(let items) = value else { return nil }
    var list: [[Int]] = []
    for case .array(let numbers) in items {
      let own = numbers.compactMap { if case .integer(let number) = $0 { number } else { nil } }
      guard own.count == numbers.count else { return nil }
      list.append(own)
    }
    return list.count == items.count ? list : nil
  }

  /// The items of a list that this run looks at.
  package static func own(_ sizes: [Int]) -> Range<Int> {
    guard let current else { return sizes.indices }
    guard let part = current.part else { return 0..<0 }
    return part.items(of: sizes)
  }

  /// Whether a part's findings are not all: nobody should judge by them.
  package static var isPart: Bool { current?.part != nil }

  /// Looks at the items of a list, those of this run by several threads, and gives out what is known
  /// of each.
  ///
  /// - Throws: what `scan` throws; `.malformed` where the parts have found something else than the
  ///   list has items.
  package static func values(
    _ sizes: [Int], threads: Int, scan: @Sendable (_ item: Int) throws(Fault) -> [Int]?
  ) throws(Fault) -> [[Int]?] {
    let own = own(sizes)
    let results = Guarded([[Int]?](repeating: nil, count: sizes.count))
    try Workers.run(threads: threads, count: own.count) { _, item throws(Fault) in
      let found = try scan(own.lowerBound + item)
      results.withLock { $0[own.lowerBound + item] = found }
    }
    let values = results.withLock { $0 }
    return try current?.merge(values, own, sizes) ?? values
  }

  private func merge(
    _ values: [[Int]?], _ own: Range<Int>, _ sizes: [Int]
  ) throws(Fault) -> [[Int]?] {
    let list = state.withLock { state in
      state.lists += 1
      // What could not be looked at has no numbers.
      if part != nil { state.found.append(own.map { values[$0] ?? [] }) }
      return state.lists - 1
    }
    if part != nil { return values }
    var all: [[Int]?] = []
    for lists in known where lists.indices.contains(list) {
      all += lists[list].map { $0.isEmpty ? nil : $0 }
    }
    guard all.count == sizes.count else {
      throw Fault(
        .malformed, "the parts have looked at other weights", expected: "\(sizes.count)",
        found: "\(all.count)")
    }
    return all
  }
}
