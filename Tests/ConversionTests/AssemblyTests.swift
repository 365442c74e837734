import Conversion
import Formats
import Platform
import Support
import Tensors
import Testing
import Weights

/// Trees of stored tensors against the same trees evaluated number by number.
@Suite struct AssemblyTests {
  /// A matrix of numbers, evaluated without files.
  struct Matrix: Equatable {
    var rows: [[Float]]

    func slices(_ slices: Assembly.Slices) -> Matrix {
      Matrix(
        rows: rows.enumerated().filter {
          (slices.first..<slices.first + slices.count).contains($0.offset % slices.period)
        }.map(\.element))
    }

    func transposedSlices(_ slices: Assembly.Slices) -> Matrix {
      var result: [[Float]] = []
      for start in stride(from: 0, to: rows.count, by: slices.period) {
        let part = rows[start + slices.first..<start + slices.first + slices.count]
        for column in rows[0].indices { result.append(part.map { $0[column] }) }
      }
      return Matrix(rows: result)
    }

    static func beside(_ parts: [Matrix]) -> Matrix {
      Matrix(rows: parts[0].rows.indices.map { row in parts.flatMap { $0.rows[row] } })
    }

    static func joined(keys: Matrix, values: Matrix, heads: Int) -> Matrix {
      let (latent, height) = (values.rows[0].count, values.rows.count / heads)
      return Matrix(
        rows: (0..<heads).flatMap { head in
          let own = keys.rows[head * latent..<(head + 1) * latent]
          return keys.rows[0].indices.map { column in own.map { $0[column] } }
            + values.rows[head * height..<(head + 1) * height]
        })
    }
  }

  /// Stored matrices by name, and what they hold.
  struct Store {
    let inventory: Inventory
    let workspace: Workspace

    init(_ tensors: [(String, ElementType, [Int])]) throws {
      workspace = try Workspace()
      let fixture = SafetensorsFixture(tensors)
      let size = try tensors.reduce(0) { total, tensor in
        total + (try #require(tensor.1.byteCount(elements: tensor.2.reduce(1, *))))
      }
      // BF16 numbers without NaN or infinity, each another one.
      let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 % 2 == 0 ? $0 * 7 / 2 : 0x3F) }
      let path = try workspace.write("model.safetensors", fixture.header + bytes)
      inventory = try Inventory(safetensorsFile: path)
    }

    func assembly(_ name: String) throws -> Assembly {
      Assembly(try #require(inventory[ExactText(name)]))
    }

    func matrix(_ name: String) throws -> Matrix { try values(assembly(name)) }

    /// In pieces of a few rows.
    func values(_ assembly: Assembly, step: Int = 5) throws -> Matrix {
      var rows: [[Float]] = []
      for start in stride(from: 0, to: assembly.rows, by: step) {
        let range = start..<min(assembly.rows, start + step)
        let buffer = try assembly.values(rows: range, from: inventory)
        let numbers = withExtendedLifetime(buffer) {
          Array(buffer.bytes.bindMemory(to: Float.self))
        }
        for row in 0..<range.count {
          rows.append(Array(numbers[row * assembly.columns..<(row + 1) * assembly.columns]))
        }
      }
      return Matrix(rows: rows)
    }
  }

  static let heads = 3
  /// kv_b_proj of 3 heads, 4 + 2 rows each, 8 columns; its halves; and it in two ranks' parts.
  static let tensors: [(String, ElementType, [Int])] = [
    ("joint", .bf16, [18, 8]), ("keys", .bf16, [3, 8, 4]), ("values", .bf16, [3, 2, 8]),
    ("top", .bf16, [6, 8]), ("bottom", .bf16, [12, 8]), ("left", .bf16, [18, 6]),
    ("right", .bf16, [18, 2]),
  ]
  static let keySlices = Assembly.Slices(first: 0, count: 4, period: 6)
  static let valueSlices = Assembly.Slices(first: 4, count: 2, period: 6)

  @Test(arguments: [1, 5, 100])
  func partsAreEvaluatedAsTheyAreWritten(step: Int) throws {
    let store = try Store(AssemblyTests.tensors)
    let joint = try store.matrix("joint")
    let whole = try store.assembly("joint")
    func expect(_ assembly: Assembly, _ matrix: Matrix) throws {
      #expect(assembly.rows == matrix.rows.count && assembly.columns == matrix.rows[0].count)
      #expect(try store.values(assembly, step: step) == matrix)
    }
    try expect(whole.slices(Self.valueSlices), joint.slices(Self.valueSlices))
    try expect(whole.transposedSlices(Self.keySlices), joint.transposedSlices(Self.keySlices))
    let stacked = try Assembly.stacked([store.assembly("top"), store.assembly("bottom")])
    let rows = try Matrix(rows: store.matrix("top").rows + store.matrix("bottom").rows)
    try expect(stacked, rows)
    let beside = try Assembly.beside([store.assembly("left"), store.assembly("right")])
    let columns = try Matrix.beside([store.matrix("left"), store.matrix("right")])
    try expect(beside, columns)
    // A tree on a tree: halves of what lies in two parts.
    try expect(stacked.transposedSlices(Self.keySlices), rows.transposedSlices(Self.keySlices))
    try expect(stacked.slices(Self.valueSlices), rows.slices(Self.valueSlices))
    try expect(beside.transposedSlices(Self.keySlices), columns.transposedSlices(Self.keySlices))
    try expect(
      Assembly.stacked([beside, whole]).slices(Self.valueSlices),
      Matrix(rows: columns.rows + joint.rows).slices(Self.valueSlices))
  }

  @Test func halvesAreJoinedAndTakenApart() throws {
    let store = try Store(AssemblyTests.tensors)
    let (keys, values) = (try store.assembly("keys"), try store.assembly("values"))
    let joined = Assembly.joined(keys: keys, values: values, heads: Self.heads)
    let expected = try Matrix.joined(
      keys: store.matrix("keys"), values: store.matrix("values"), heads: Self.heads)
    #expect(try store.values(joined) == expected)
    // What was joined is not turned around to be taken apart: it is what is stored.
    #expect(joined.transposedSlices(Self.keySlices) == keys)
    #expect(joined.slices(Self.valueSlices) == values)
    // Other slices than those are.
    let odd = Assembly.Slices(first: 3, count: 2, period: 6)
    #expect(try store.values(joined.slices(odd)) == expected.slices(odd))
    #expect(
      try store.values(joined.transposedSlices(odd)) == expected.transposedSlices(odd))
    // Halves of halves: each transposition has memory of its own.
    let again = Assembly.joined(
      keys: joined.transposedSlices(Assembly.Slices(first: 0, count: 4, period: 18)),
      values: values, heads: 1)
    #expect(
      try store.values(again)
        == Matrix.joined(
          keys: expected.transposedSlices(Assembly.Slices(first: 0, count: 4, period: 18)),
          values: store.matrix("values"), heads: 1))
  }

  @Test func whatLiesInOnePlaceIsKnownToDoSo() throws {
    let store = try Store(AssemblyTests.tensors)
    let (top, bottom) = (try store.assembly("top"), try store.assembly("bottom"))
    let stacked = Assembly.stacked([top, bottom])
    let part = try #require(stacked.stored(rows: 7..<12))
    #expect(part.tensor.name == "bottom" && part.rows == 1..<6)
    #expect(stacked.stored(rows: 5..<7) == nil)
    #expect(stacked.component { tensor, _ in tensor } == stacked)
    #expect(stacked.component { _, scaling in scaling?.scales } == nil)
  }
}
