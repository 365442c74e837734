internal import Codecs
internal import Conversion
internal import Formats
internal import Locks
package import Platform
internal import Reports
package import Tensors
package import Weights

/// What the numbers of some tensors look like, scales applied.
package struct WeightStatistics: Sendable, Hashable {
  /// Tensors that were read.
  package private(set) var tensors = 0
  /// Elements that were read.
  package private(set) var elements = 0
  /// Elements that are NaN or infinite; the others make up the rest.
  package private(set) var nonFinite = 0
  /// Elements that are zero.
  package private(set) var zeros = 0
  /// Smallest finite value, +∞ where there is none.
  package private(set) var smallest = Float.infinity
  /// Largest finite value, −∞ where there is none.
  package private(set) var largest = -Float.infinity
  private var sum = 0.0
  private var squares = 0.0

  /// Mean of the finite values.
  package var mean: Double { finite > 0 ? sum / Double(finite) : 0 }
  /// Root of the mean square of the finite values.
  package var rootMeanSquare: Double { finite > 0 ? (squares / Double(finite)).squareRoot() : 0 }
  private var finite: Int { elements - nonFinite }
  /// Whether there is nothing but zeros.
  var isZero: Bool { elements > 0 && zeros == elements }

  mutating func add(_ values: UnsafeBufferPointer<Float>) {
    elements += values.count
    for value in values {
      guard value.isFinite else {
        nonFinite += 1
        continue
      }
      if value == 0 { zeros += 1 }
      smallest = min(smallest, value)
      largest = max(largest, value)
      sum += Double(value)
      squares += Double(value) * Double(value)
    }
  }

  /// Takes further weights in.
  package mutating func add(_ other: WeightStatistics) {
    tensors += other.tensors
    elements += other.elements
    nonFinite += other.nonFinite
    zeros += other.zeros
    smallest = min(smallest, other.smallest)
    largest = max(largest, other.largest)
    sum += other.sum
    squares += other.squares
  }
}

extension WeightStatistics {
  /// Reads weights and returns one row per weight whose name, or that of a tensor that it is stored
  /// in, matches `glob`; without one a row for all weights that differ in their layer and expert
  /// alone.
  ///
  /// - Throws: what reading throws, with the tensor.
  package static func rows(
    of weights: SourceWeights, matching glob: Glob?, threads: Int
  ) throws(Fault) -> [(name: ExactText, statistics: WeightStatistics)] {
    let chosen = weights.all.filter { weight in
      let leaves = weight.assembly.leaves
      return leaves.allSatisfy { Codec.codec(for: $0.tensor.type) != nil }
        && (glob.map { glob in
          glob.matches(weight.name.text) || leaves.contains { glob.matches($0.tensor.name.text) }
        } ?? true)
    }
    let found = try all(chosen, of: weights, threads: threads)
    var rows: [(name: ExactText, statistics: WeightStatistics)] = []
    var places: [ExactText: Int] = [:]
    for (weight, statistics) in zip(chosen, found) {
      let name =
        glob == nil
        ? ExactText(FindingCollector.pattern(of: weight.name, wholeExperts: false)) : weight.name
      if let place = places[name] {
        rows[place].statistics.add(statistics)
      } else {
        places[name] = rows.count
        rows.append((name, statistics))
      }
    }
    return rows.sorted { $0.name < $1.name }
  }

  /// Elements that are decoded at a time.
  private static let window = 1 << 20
  /// Longest row of a weight: each thread holds one.
  private static let columnLimit = 1 << 22

  init(_ weight: SourceWeight, of weights: SourceWeights) throws(Fault) {
    tensors = 1
    let (rows, columns) = (weight.assembly.rows, weight.assembly.columns)
    guard columns <= Self.columnLimit else {
      throw Fault(
        .malformed, "has rows that are too long to be looked at", tensor: weight.name,
        expected: "at most \(Self.columnLimit) columns", found: "\(columns)")
    }
    let rowsAtOnce = max(1, Self.window / max(1, columns))
    for row in stride(from: 0, to: rows, by: rowsAtOnce) {
      let values = try weights.values(weight, rows: row..<min(rows, row + rowsAtOnce))
      add(UnsafeBufferPointer(values.bytes.bindMemory(to: Float.self)))
      withExtendedLifetime(values) {}
    }
    ReadingMeter.add(WeightStatistics.bytes(of: weight))
  }

  /// Reads weights: what there is to say of each, in their order.
  ///
  /// - Throws: what reading throws, with the tensor.
  static func all(
    _ chosen: [SourceWeight], of weights: SourceWeights, threads: Int
  ) throws(Fault) -> [WeightStatistics] {
    let results = Guarded([WeightStatistics](repeating: WeightStatistics(), count: chosen.count))
    ReadingMeter.expect(chosen.reduce(0) { $0 + bytes(of: $1) })
    for weight in chosen { weights.fetchAhead(weight) }
    try Workers.run(threads: threads, count: chosen.count) { _, item throws(Fault) in
      let statistics = try WeightStatistics(chosen[item], of: weights)
      results.withLock { $0[item] = statistics }
    }
    return results.withLock { $0 }
  }

  /// Bytes that a weight is stored in, scales apart.
  static func bytes(of weight: SourceWeight) -> Int {
    var bytes = 0
    weight.assembly.forEachLeaf { tensor, _ in bytes += tensor.byteCount }
    return bytes
  }
}

// MARK: - Reports

extension WeightStatistics {
  /// A table of rows.
  package static func table(
    _ rows: [(name: ExactText, statistics: WeightStatistics)]
  ) -> OutputText {
    var table = TextTable(
      [
        ("weights", .left), ("tensors", .right), ("elements", .right), ("smallest", .right),
        ("largest", .right), ("mean", .right), ("rms", .right), ("zeros", .right),
        ("NaN, Inf", .right),
      ], namesFirst: true)
    for (name, row) in rows {
      table.add([
        name.text, Quantity.count(row.tensors), Quantity.count(row.elements),
        Quantity.significant(Double(row.smallest)), Quantity.significant(Double(row.largest)),
        Quantity.significant(row.mean), Quantity.significant(row.rootMeanSquare),
        Quantity.count(row.zeros), Quantity.count(row.nonFinite),
      ])
    }
    return table.lines.joined(separator: "\n") + "\n"
  }

  /// The `stats` member of `fathom.inspect/1`.
  package static func json(_ rows: [(name: ExactText, statistics: WeightStatistics)]) -> JSONValue {
    .array(
      rows.map { name, row in
        .object([
          "name": .string(name.text), "tensors": .integer(row.tensors),
          "elements": .integer(row.elements), "smallest": .number(Double(row.smallest)),
          "largest": .number(Double(row.largest)), "mean": .number(row.mean),
          "rms": .number(row.rootMeanSquare), "zeros": .integer(row.zeros),
          "nonFinite": .integer(row.nonFinite),
        ])
      })
  }
}
