import Tensors
import Testing

/// Sums in which the order of the additions does not show.
@Suite struct DoubleSumTests {
  /// Numbers over 60 binades, of 48 bits as squares of F32 numbers are.
  private static let numbers: [Double] = {
    var state: UInt64 = 1
    return (0..<4096).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let exponent = Int(state >> 58) - 32
      return Double((state << 8) >> 16) * Double(sign: .plus, exponent: exponent, significand: 1)
    }
  }()

  private func sum(_ numbers: some Sequence<Double>) -> DoubleSum {
    var sum = DoubleSum()
    for number in numbers { sum.add(number) }
    return sum
  }

  @Test func theOrderDoesNotShow() {
    let numbers = Self.numbers
    let expected = sum(numbers).value
    #expect(numbers.reduce(0, +) != numbers.sorted().reduce(0, +), "in F64 it does")
    #expect(sum(numbers.reversed()).value == expected)
    #expect(sum(numbers.sorted()).value == expected)
    for size in [1, 7, 512, 4095] {
      var joined = DoubleSum()
      for start in stride(from: 0, to: numbers.count, by: size) {
        joined.add(sum(numbers[start..<min(start + size, numbers.count)]))
      }
      #expect(joined.value == expected, "groups of \(size)")
    }
  }

  @Test func whatF64WouldLoseIsThere() {
    let one = sum([1] + [Double](repeating: 0x1p-60, count: 1 << 10))
    #expect(one.value == 1 + 0x1p-50)
    #expect(sum([1, .infinity]).value == .infinity)
    #expect(sum([.infinity, 1]).value == .infinity)
    #expect(sum([1, .nan, 1]).value.isNaN)
    #expect(sum([.infinity, -.infinity]).value.isNaN)
    #expect(sum([]).value == 0)
  }

  @Test func columnsAreSummedAlike() {
    let rows = (0..<100).map { row in (0..<5).map { Float(row * 7 + $0 * $0) * 0.37 } }
    var (all, first, rest) = (
      ColumnSums(columns: 5), ColumnSums(columns: 5), ColumnSums(columns: 2)
    )
    for (index, row) in rows.enumerated() {
      row.withUnsafeBufferPointer { row in
        all.addSquares(of: row.baseAddress!)
        index < 60 ? first.addSquares(of: row.baseAddress!) : ()
        if index >= 60 { rest.addSquares(of: row.baseAddress! + 3) }
      }
    }
    first.add(rest, from: 3)
    for column in 0..<5 {
      let expected = sum(
        rows[..<(column < 3 ? 60 : 100)].map { Double($0[column]) * Double($0[column]) })
      #expect(first[column] == expected.value)
      #expect(all[column] == sum(rows.map { Double($0[column]) * Double($0[column]) }).value)
    }
    var joined = first
    joined.append(rest)
    joined.add(1, to: 6)
    #expect(joined.count == 7 && joined[5] == rest[0] && joined[6] == rest[1] + 1)
  }
}
