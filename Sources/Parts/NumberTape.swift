package import Tensors

/// Numbers that are written one after the other, or read in the same order. What is kept in a part's
/// file passes a tape by one function for both, so that the two cannot differ.
package struct NumberTape {
  /// What numbers that are read must be below.
  package struct Sizes: Sendable {
    /// Tokens of the vocabulary.
    package let vocabulary: Int
    /// Experts of a layer.
    package let experts: Int
    /// Experts of a token.
    package let choices: Int

    /// States the sizes of a network.
    package init(vocabulary: Int, experts: Int, choices: Int) {
      (self.vocabulary, self.experts, self.choices) = (vocabulary, experts, choices)
    }
  }

  /// What numbers that are read must be below.
  package let sizes: Sizes
  /// What has been written, or is read.
  package private(set) var numbers: [Double]
  /// Whether everything that was read could be what was written.
  package private(set) var isSound = true
  private let isReading: Bool
  private var place = 0

  /// Begins to write, or to read some numbers.
  package init(_ sizes: Sizes, reading numbers: [Double]? = nil) {
    (self.sizes, self.numbers, isReading) = (sizes, numbers ?? [], numbers != nil)
  }

  /// Whether all has been read, and could be what was written.
  package var isRead: Bool { isSound && place == numbers.count }

  /// Notes that what was read cannot be what was written, where something does not hold.
  package mutating func require(_ holds: Bool) { if isReading, !holds { isSound = false } }

  /// Passes a number.
  package mutating func pass(_ number: inout Double) {
    guard isReading else { return numbers.append(number) }
    guard place < numbers.count else {
      isSound = false
      return
    }
    number = numbers[place]
    place += 1
  }

  /// Passes a count, or an index. Below 2^40 the sums over all parts do not overflow.
  package mutating func pass(_ count: inout Int, below limit: Int = 1 << 40) {
    var number = Double(count)
    pass(&number)
    guard isReading else { return }
    let read = Int(exactly: number) ?? -1
    require((0..<limit).contains(read))
    if isSound { count = read }
  }

  /// Passes a sum with all its bits.
  package mutating func pass(_ sum: inout DoubleSum) {
    var (high, low) = (sum.high, sum.low)
    pass(&high)
    pass(&low)
    sum = DoubleSum(high: high, low: low)
  }

  /// Passes numbers, how many there are before them.
  package mutating func pass(_ list: inout [Double]) { pass(&list, 0) { $1.pass(&$0) } }

  /// Passes weights of experts.
  package mutating func pass(weights list: inout [Float]) {
    pass(&list, 0) { weight, tape in
      var number = Double(weight)
      tape.pass(&number)
      weight = Float(number)
    }
  }

  /// Passes indices of experts.
  package mutating func pass(experts list: inout [Int]) {
    pass(&list, 0) { $1.pass(&$0, below: $1.sizes.experts) }
  }

  /// How many there are, and then each.
  private mutating func pass<Element>(
    _ list: inout [Element], _ empty: Element,
    _ each: (_ element: inout Element, _ tape: inout NumberTape) -> Void
  ) {
    var count = list.count
    pass(&count, below: numbers.count - place + 1)
    guard isSound else { return }
    if isReading { list = [Element](repeating: empty, count: count) }
    for index in list.indices { each(&list[index], &self) }
  }
}
