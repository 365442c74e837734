internal import Codecs
public import Formats
public import Models
public import Platform
internal import Synchronization
public import Tensors

/// What the numbers of some tensors look like, scales applied.
public struct WeightStatistics: Sendable, Hashable {
  /// Tensors that were read.
  public private(set) var tensors = 0
  /// Elements that were read.
  public private(set) var elements = 0
  /// Elements that are NaN or infinite; the others make up the rest.
  public private(set) var nonFinite = 0
  /// Elements that are zero.
  public private(set) var zeros = 0
  /// Smallest finite value, +∞ where there is none.
  public private(set) var smallest = Float.infinity
  /// Largest finite value, −∞ where there is none.
  public private(set) var largest = -Float.infinity
  private var sum = 0.0
  private var squares = 0.0

  /// Mean of the finite values.
  public var mean: Double { finite > 0 ? sum / Double(finite) : 0 }
  /// Root of the mean square of the finite values.
  public var rootMeanSquare: Double { finite > 0 ? (squares / Double(finite)).squareRoot() : 0 }
  private var finite: Int { elements - nonFinite }

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

  mutating func add(_ other: WeightStatistics) {
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
  /// Reads weights and returns one row per tensor that matches `glob`, or without one a row for
  /// all tensors that differ in their layer and expert alone. Scales of FP8 weights have no row.
  ///
  /// - Throws: what reading throws, with the tensor.
  public static func rows(
    of inventory: Inventory, config: DeepSeekV3Config, matching glob: Glob?, threads: Int
  ) throws(Fault) -> [(name: String, statistics: WeightStatistics)] {
    let tensors = inventory.tensors.filter { tensor in
      (glob?.matches(tensor.name) ?? true) && !tensor.name.hasSuffix("_scale_inv")
        && Codec.codec(for: tensor.type) != nil
    }
    let results = Mutex([WeightStatistics](repeating: WeightStatistics(), count: tensors.count))
    try Workers.run(threads: threads, count: tensors.count) { _, item throws(Fault) in
      let statistics = try WeightStatistics(tensors[item], in: inventory, fp8: config.fp8)
      results.withLock { $0[item] = statistics }
    }
    var rows: [(name: String, statistics: WeightStatistics)] = []
    var places: [String: Int] = [:]
    for (tensor, statistics) in zip(tensors, results.withLock { $0 }) {
      let name =
        glob == nil
        ? FindingCollector.pattern(of: tensor.name, wholeExperts: false) : tensor.name
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

  private init(
    _ tensor: StoredTensor, in inventory: Inventory, fp8: DeepSeekV3Config.FP8Quantization?
  ) throws(Fault) {
    tensors = 1
    guard tensor.shape.elementCount > 0, let codec = Codec.codec(for: tensor.type) else { return }
    let columns = tensor.shape.dimensions.last ?? 1
    let rows = tensor.shape.elementCount / columns
    let scales = try WeightStatistics.scales(of: tensor, in: inventory, fp8: fp8)
    // Types below a byte are cut where whole bytes end: at the tensor's own end only.
    let isWhole = tensor.type.isBlock || tensor.type.bits >= 8
    let rowsAtOnce = isWhole ? max(1, min(rows, Self.window / columns)) : rows
    let values = ByteBuffer(count: rowsAtOnce * columns * MemoryLayout<Float>.stride)
    let bytes = ByteBuffer(count: tensor.type.byteCount(elements: rowsAtOnce * columns) ?? 0)
    for row in stride(from: 0, to: rows, by: rowsAtOnce) {
      let count = min(rowsAtOnce, rows - row)
      let width = tensor.type.byteCount(elements: count * columns) ?? 0
      let piece = UnsafeMutableRawBufferPointer(rebasing: bytes.bytes[..<width])
      try inventory.read(tensor, from: tensor.type.byteOffset(of: row * columns), into: piece)
      let floats = UnsafeMutableBufferPointer(
        rebasing: values.bytes.bindMemory(to: Float.self)[..<(count * columns)])
      if let scales {
        scales.decode(
          UnsafeRawBufferPointer(piece), type: tensor.type,
          tile: MatrixTile(rows: row..<row + count, width: columns), into: floats)
      } else {
        codec.decode(UnsafeRawBufferPointer(piece), into: floats)
      }
      add(UnsafeBufferPointer(floats))
    }
  }

  /// The grid of an FP8 weight, nil for plain weights and where it is not what it should be (which
  /// `validate` tells).
  private static func scales(
    of tensor: StoredTensor, in inventory: Inventory, fp8: DeepSeekV3Config.FP8Quantization?
  ) throws(Fault) -> BlockScales? {
    guard let fp8, tensor.type == .f8E4M3, let shape = fp8.scaleShape(of: tensor.shape),
      let stored = inventory[ExpectedTensor.scaleName(for: tensor.name)], stored.shape == shape,
      let codec = Codec.codec(for: stored.type)
    else { return nil }
    let bytes = try inventory.read(stored)
    let values = [Float](unsafeUninitializedCapacity: shape.elementCount) { buffer, count in
      count = shape.elementCount
      codec.decode(
        UnsafeRawBufferPointer(bytes.bytes),
        into: UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
    }
    return BlockScales(values: values, blockRows: fp8.blockRows, blockColumns: fp8.blockColumns)
  }
}

// MARK: - Reports

extension WeightStatistics {
  /// A table of rows.
  public static func table(
    _ rows: [(name: String, statistics: WeightStatistics)]
  ) -> String {
    var table = TextTable([
      ("weights", .left), ("tensors", .right), ("elements", .right), ("smallest", .right),
      ("largest", .right), ("mean", .right), ("rms", .right), ("zeros", .right),
      ("NaN, Inf", .right),
    ])
    for (name, row) in rows {
      table.add([
        name.printable, Quantity.count(row.tensors), Quantity.count(row.elements),
        Quantity.significant(Double(row.smallest)), Quantity.significant(Double(row.largest)),
        Quantity.significant(row.mean), Quantity.significant(row.rootMeanSquare),
        Quantity.count(row.zeros), Quantity.count(row.nonFinite),
      ])
    }
    return table.lines.joined(separator: "\n") + "\n"
  }

  /// The `stats` member of `fathom.inspect/1`.
  public static func json(_ rows: [(name: String, statistics: WeightStatistics)]) -> JSONValue {
    .array(
      rows.map { name, row in
        .object([
          "name": .string(name), "tensors": .integer(row.tensors),
          "elements": .integer(row.elements), "smallest": .number(Double(row.smallest)),
          "largest": .number(Double(row.largest)), "mean": .number(row.mean),
          "rms": .number(row.rootMeanSquare), "zeros": .integer(row.zeros),
          "nonFinite": .integer(row.nonFinite),
        ])
      })
  }
}
