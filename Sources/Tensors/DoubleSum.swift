/// A sum in about twice F64's precision (Ogita, Rump and Oishi 2005, "Sum2"): of n numbers without signs
/// it is good to about n · 2^-106 of itself. So the order of the additions, and with it how sequences are
/// divided among groups and runs, shows in none of the 53 bits of `value`, unless the sum lies that close
/// to the middle between two of them.
package struct DoubleSum: Sendable, Hashable {
  /// What an F64 holds of the sum.
  package private(set) var high: Double
  /// What rounding has taken from it.
  package private(set) var low: Double

  /// Begins with a sum that another one has left, or with 0.
  package init(high: Double = 0, low: Double = 0) { (self.high, self.low) = (high, low) }

  /// The sum, rounded to F64; infinite or NaN where one of the numbers was.
  package var value: Double { high.isFinite ? high + low : high }

  /// Adds a number.
  package mutating func add(_ number: Double) {
    let sum = high + number
    let part = sum - high
    low += (high - (sum - part)) + (number - part)
    high = sum
  }

  /// Adds another such sum.
  package mutating func add(_ other: DoubleSum) {
    add(other.high)
    low += other.low
  }
}

/// Such sums by column.
package struct ColumnSums: Sendable {
  /// `DoubleSum.high` of each column.
  package private(set) var highs: [Double]
  /// `DoubleSum.low` of each column.
  package private(set) var lows: [Double]

  /// Begins with zeros.
  package init(columns: Int) {
    highs = [Double](repeating: 0, count: columns)
    lows = highs
  }

  /// Begins with what other sums have left, one pair for each column.
  package init(highs: [Double], lows: [Double]) {
    precondition(highs.count == lows.count)
    (self.highs, self.lows) = (highs, lows)
  }

  /// Columns.
  package var count: Int { highs.count }

  /// A column's sum, rounded to F64.
  package subscript(column: Int) -> Double {
    DoubleSum(high: highs[column], low: lows[column]).value
  }

  /// Adds sums to those from column `start` on.
  package mutating func add(_ other: ColumnSums, from start: Int = 0) {
    for column in 0..<other.count {
      var sum = DoubleSum(high: highs[start + column], low: lows[start + column])
      sum.add(DoubleSum(high: other.highs[column], low: other.lows[column]))
      (highs[start + column], lows[start + column]) = (sum.high, sum.low)
    }
  }

  /// Adds a number to a column.
  package mutating func add(_ number: Double, to column: Int) {
    var sum = DoubleSum(high: highs[column], low: lows[column])
    sum.add(number)
    (highs[column], lows[column]) = (sum.high, sum.low)
  }

  /// Puts the sums of further columns behind these.
  package mutating func append(_ other: ColumnSums) {
    highs += other.highs
    lows += other.lows
  }

  /// Adds the square of each number of a row, as many as there are columns; F64 holds it exactly.
  package mutating func addSquares(of row: UnsafePointer<Float>) {
    highs.withUnsafeMutableBufferPointer { highs in
      lows.withUnsafeMutableBufferPointer { lows in
        for column in 0..<highs.count {
          let square = Double(row[column]) * Double(row[column])
          let sum = highs[column] + square
          let part = sum - highs[column]
          lows[column] += (highs[column] - (sum - part)) + (square - part)
          highs[column] = sum
        }
      }
    }
  }
}
