import Codecs
import Conversion
import Dialects
import Formats
import Platform
import Support
import Tensors
import Testing
import Weights

/// Stored tensors that are hashed by what is made of them, in the same reading.
@Suite struct SourceWindowTests {
  /// A tensor whose rows end nowhere near its parts, and a smaller one.
  static let tensors: [(String, ElementType, [Int])] = [
    ("long", .bf16, [901, 1000]), ("short", .bf16, [40, 1000]), ("other", .bf16, [300, 1000]),
  ]

  /// Values of the parts of a tensor, by reading all of it.
  private func values(_ tensor: StoredTensor, _ inventory: Inventory) throws -> [[UInt8]] {
    let bytes = try inventory.read(tensor)
    let room = ByteBuffer(count: BLAKE3Stream.valueBytes(of: tensor.byteCount))
    let count = BLAKE3Stream.hash(
      UnsafeRawBufferPointer(bytes.bytes), from: 0, of: tensor.byteCount, into: room.bytes)
    return stride(from: 0, to: count, by: BLAKE3Value.byteCount).map {
      Array(room.bytes[$0..<$0 + BLAKE3Value.byteCount])
    }
  }

  /// Reads the rows of a weight by tiles of so many, and of those some at a time.
  private func read(
    _ weight: Assembly, _ inventory: Inventory, tile: Int, group: Int, _ seen: SeenParts
  ) throws -> [UInt8] {
    let (room, scratch) = (ByteBuffer(count: SourceWindow.byteCount), ByteBuffer(count: 2 << 20))
    var result: [UInt8] = []
    for top in stride(from: 0, to: weight.rows, by: tile) {
      let rows = top..<min(weight.rows, top + tile)
      let window = SourceWindow(
        inventory, of: weight, rows: rows, columns: 0..<weight.columns, memory: room.bytes,
        seen: seen)
      var reader = AssemblyReader(inventory: inventory, scratch: scratch.bytes, turned: []) { _ in }
      reader.window = window
      for first in stride(from: rows.lowerBound, to: rows.upperBound, by: group) {
        try AssemblyReader.forEachPiece(
          of: weight, rows: first..<min(rows.upperBound, first + group),
          columns: 0..<weight.columns
        ) { piece throws(Fault) in
          guard let tensor = piece.weight.single?.tensor else { return }
          result += try reader.fetch(
            tensor,
            MatrixTile(rows: piece.rows, columns: piece.columns, width: piece.weight.columns))
        }
      }
    }
    return result
  }

  @Test(arguments: [(901, 901), (250, 60), (131, 33), (7, 1)])
  func everyPartIsHashedByTheTileThatItBeginsIn(tile: Int, group: Int) throws {
    let store = try AssemblyTests.Store(SourceWindowTests.tensors)
    let inventory = store.inventory
    let weight = try Assembly.stacked(["long", "short", "other"].map(store.assembly))
    let perStretch = 4
    let seen = SeenParts(
      inventory, isHashed: [true, true, true], stretchBytes: perStretch * BLAKE3Stream.partBytes)
    let bytes = try read(weight, inventory, tile: tile, group: group, seen)
    let names = ["long", "short", "other"]
    let stored = try names.flatMap {
      try Array(inventory.read(#require(inventory[ExactText($0)])).bytes)
    }
    #expect(bytes == stored)
    for name in names {
      let tensor = try #require(inventory[ExactText(name)])
      let expected = try values(tensor, inventory)
      for number in 0...(expected.count - 1) / perStretch {
        let stretch = seen.take(tensor: tensor.index, number: number)
        for part in 0..<perStretch where number * perStretch + part < expected.count {
          #expect(
            stretch?[part].map { Array($0) } == expected[number * perStretch + part],
            "\(name), part \(part) of \(number)")
        }
        #expect(seen.take(tensor: tensor.index, number: number) == nil)
      }
      #expect(!seen.wants(tensor.index))
    }
  }

  /// What has been asked for is not noted: nobody would take it.
  @Test func whatComesTooLateIsLeft() throws {
    let store = try AssemblyTests.Store(SourceWindowTests.tensors)
    let seen = SeenParts(
      store.inventory, isHashed: [true, false], stretchBytes: 2 * BLAKE3Stream.partBytes)
    let long = try #require(store.inventory["long"])
    let bytes = try store.inventory.read(long)
    #expect(seen.wants(0) && !seen.wants(1) && !seen.wants(2))
    #expect(seen.take(tensor: 0, number: 1) == nil)
    seen.see(tensor: 0, from: 0, UnsafeRawBufferPointer(bytes.bytes))
    #expect(seen.take(tensor: 0, number: 0) == nil)
    #expect(seen.take(tensor: 0, number: 1) == nil)
    let third = try #require(seen.take(tensor: 0, number: 2))
    #expect(third[0] != nil && third[1] != nil && third[2] == nil)
  }

  /// Small tensors alone are read again for the manifest, and its hashes are those of a run that has no
  /// memory for windows and reads everything twice.
  @Test(arguments: ["mlx", "f32", "fp8"])
  func conversionsReadLongTensorsOnce(kind: String) throws {
    let workspace = try Workspace()
    try Conversions.writeModel(
      to: workspace, like: "tiny-bf16", hiddenSize: 1024, intermediateSize: 1280)
    var recipe =
      kind == "mlx"
      ? Recipe(target: .mlx(MLXRecipe(try MLXStorage(named: "4bit", groupSize: 64))))
      : Recipe(target: .huggingFace, weights: WeightStorage.named(kind))
    let some = try Conversions(
      workspace.path, recipe, resources: Resources(threads: 1, memory: 5_000_000))
    let all = try Conversions(workspace.path, recipe, resources: Resources(threads: 1))
    recipe.writesManifest = false
    let bare = try Conversions(workspace.path, recipe, resources: Resources(threads: 1))
    #expect(try differences(some.allFiles(), all.allFiles()).isEmpty)
    let source = try SourceModel(path: workspace.path, threads: 1).checkpoint.inventory
    let side = bare.plan.files.filter { $0.kind == .side }.reduce(0) { $0 + $1.byteCount }
    // Of a weight, codes and scales are found in one reading.
    #expect(bare.result.bytesRead == source.tensors.reduce(0) { $0 + $1.byteCount } + side)
    let copied = Set(
      all.plan.tensors.compactMap { tensor -> Int? in
        if case .copy = tensor.operation { tensor.source.index } else { nil }
      })
    let hashed = source.tensors.filter { !copied.contains($0.index) }
    let small = hashed.filter { $0.byteCount <= 4 * BLAKE3Stream.partBytes }
    #expect(hashed.count > small.count)
    #expect(
      all.result.bytesRead == bare.result.bytesRead + small.reduce(0) { $0 + $1.byteCount })
    #expect(
      some.result.bytesRead >= bare.result.bytesRead + hashed.reduce(0) { $0 + $1.byteCount })
  }
}
