import Formats
import Platform
import Support
import Tensors
import Testing

/// Tensors by their names.
@Suite struct TensorTableTests {
  private func tensor(_ name: String, offset: Int = 0) throws -> StoredTensor {
    StoredTensor(
      name: ExactText(name), type: .u8, shape: try #require(Shape([1])), shard: 0, offset: offset,
      byteCount: 1)
  }

  /// Short names and long ones, more of them than the table has room for at first.
  private static let names =
    (0..<500).map { "model.layers.\($0).mlp.down_proj.weight" } + (0..<500).map { "\($0)" } + [""]

  /// Names in a text of their own, as short ones are in Swift, and in memory; beside each all that
  /// differ from it in one bit. Marks have 32 bits: of 6,601 names two may share one.
  @Test func marksAreThoseOfTheBytes() {
    var marks: Set<UInt32> = []
    var count = 0
    for length in 0...40 {
      let bytes = (0..<length).map { UInt8(0x41 + $0) }
      let mark = ExactText(String(decoding: bytes, as: UTF8.self)).withBytes(MarkTable.mark)
      #expect(mark == bytes.withUnsafeBufferPointer(MarkTable.mark), "\(length) bytes")
      for bit in 0...8 * length {
        var other = bytes
        if bit > 0 { other[(bit - 1) / 8] ^= 1 << ((bit - 1) % 8) }
        marks.insert(other.withUnsafeBufferPointer(MarkTable.mark))
        count += 1
      }
    }
    #expect(marks.count >= count - 3)
  }

  /// A length that the bytes make up for, bit by bit.
  @Test func lengthsShow() {
    let names: [[UInt8]] = [[], [0], [1], [2, 0], [3, 0, 0], [0, 0]]
    #expect(Set(names.map { $0.withUnsafeBufferPointer(MarkTable.mark) }).count == names.count)
  }

  @Test func findsEachByItsName() throws {
    var table = TensorTable()
    for (place, name) in Self.names.enumerated() {
      #expect(table.add(try tensor(name, offset: place)) == nil)
    }
    for (place, name) in Self.names.enumerated() {
      #expect(table.place(of: ExactText(name)) == place, "\(name)")
      #expect(table[ExactText(name)]?.offset == place, "\(name)")
      #expect(table[ExactText(name + "x")] == nil, "\(name)")
      let cut = ExactText(String(name.dropLast(6)))
      #expect(table[cut, ExactText(String(name.suffix(6)))]?.offset == place, "\(name)")
    }
  }

  @Test func holdsOneOfEachName() throws {
    var table = TensorTable(capacity: 2)
    #expect(table.add(try tensor("a", offset: 1)) == nil)
    #expect(table.add(try tensor("a", offset: 2))?.offset == 1)
    #expect(table.tensors.map(\.offset) == [1])
    table.put(try tensor("a", offset: 3))
    table.put(try tensor("e\u{301}", offset: 4))
    #expect(table.tensors.map(\.offset) == [3, 4])
    // Swift's strings would be equal.
    #expect(table["é"] == nil)
  }

  @Test func anInventoryHasNoNameTwice() throws {
    let workspace = try Workspace()
    try workspace.write("a.safetensors", [0])
    let shard = Shard(
      name: "a.safetensors", file: try InputFile(path: workspace.path("a.safetensors")),
      metadata: [])
    let tensors = try ["a", "b", "a"].map { try tensor($0) }
    let sound = try Inventory(shards: [shard], tensors: Array(tensors.prefix(2)))
    #expect(sound.tensors.map(\.index) == [0, 1])
    #expect(sound.index(of: "b") == 1)
    #expect(throws: Fault.self) { try Inventory(shards: [shard], tensors: tensors) }
  }
}
