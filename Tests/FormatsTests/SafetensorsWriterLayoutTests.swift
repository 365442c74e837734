import Formats
import Platform
import Support
import Tensors
import Testing

@Suite struct SafetensorsWriterLayoutTests {
  typealias Entry = SafetensorsWriterLayout.Entry

  private func entry(_ name: String, _ type: ElementType, _ shape: [Int]) throws -> Entry {
    let shape = try #require(Shape(shape))
    return try #require(Entry(name: ExactText(name), type: type, shape: shape))
  }

  private func names(_ layout: SafetensorsWriterLayout) -> [[String]] {
    layout.files.map { file in file.tensors.map { layout.entries[$0].name.text } }
  }

  @Test func namesAreInNaturalOrder() throws {
    let sorted = [
      "lm_head.weight", "model.layers.2.weight", "model.layers.2.weight_scale_inv",
      "model.layers.02.x", "model.layers.2.x", "model.layers.10.weight", "model.layers.10x",
      "model.layers.100", "model.norm",
    ]
    let entries = try sorted.map { try entry($0, .f32, [2]) }
    for order in [
      sorted.indices.map { $0 }, sorted.indices.reversed(), [4, 2, 0, 8, 6, 1, 3, 5, 7],
    ] {
      let layout = try SafetensorsWriterLayout(order.map { entries[$0] }, shardLimit: 1 << 30)
      #expect(names(layout) == [sorted])
    }
  }

  @Test func everyTensorIsAlignedToItsElements() throws {
    let entries = try [
      entry("a", .u8, [3]), entry("b", .f32, [1]), entry("c", .bf16, [1]), entry("d", .i64, [1]),
      entry("e", .f8E4M3, [16]), entry("f", .bf16, [3]), entry("g", .f32, [5]),
      entry("h", .f4, [2]), entry("i", .f64, []), entry("j", .f32, [0, 3]),
    ]
    let layout = try SafetensorsWriterLayout(entries, shardLimit: 1 << 30)
    let file = layout.files[0]
    #expect(names(layout) == [["d", "e", "i", "j", "b", "g", "c", "f", "a", "h"]])
    #expect(file.header.count % 8 == 0)
    for (index, offset) in zip(file.tensors, file.offsets) {
      #expect(offset % max(1, entries[index].type.bits / 8) == 0)
    }
    #expect(layout.totalSize == entries.reduce(0) { $0 + $1.byteCount })
  }

  @Test func ourReaderAcceptsWhatIsWritten() throws {
    let workspace = try Workspace()
    let entries = try [
      entry("with \"quotes\" \\ and \u{1F419} \n", .bf16, [2, 3]), entry("scalar", .f32, []),
      entry("empty", .i8, [0]), entry("half", .f4, [4]),
    ]
    let layout = try SafetensorsWriterLayout(entries, shardLimit: 1 << 30)
    let file = layout.files[0]
    let data = [UInt8](repeating: 7, count: layout.totalSize)
    let path = try workspace.write(file.name.text, file.header + data)
    let input = try InputFile(path: path)
    #expect(input.size == file.byteCount)
    guard case .header(let header) = try SafetensorsHeader.read(input, shard: 0) else {
      Issue.record("the header is cut")
      return
    }
    try header.requireSize(of: input)
    #expect(header.metadata.map(\.key) == ["format"] && header.metadata.map(\.value) == ["pt"])
    for (index, offset) in zip(file.tensors, file.offsets) {
      let read = try #require(header.tensors.first { $0.name == entries[index].name })
      #expect(read.offset == offset && read.type == entries[index].type)
      #expect(read.shape == entries[index].shape)
    }
  }

  @Test func shardsAreFilledUpToTheLimit() throws {
    let entries = try (0..<10).map { try entry("t\($0)", .u8, [$0 == 4 ? 100 : 8]) }
    let layout = try SafetensorsWriterLayout(entries, shardLimit: 16)
    #expect(
      names(layout)
        == [["t0", "t1"], ["t2", "t3"], ["t4"], ["t5", "t6"], ["t7", "t8"], ["t9"]])
    #expect(layout.files[1].name == "model-00002-of-00006.safetensors")
    let bytes = try #require(layout.index)
    let index = try JSONDocument(String(decoding: bytes, as: UTF8.self))
    #expect(index.integer("metadata", "total_size") == 172)
    #expect(index.string("weight_map", "t4") == "model-00003-of-00006.safetensors")
    #expect((index["weight_map"] as? [String: Any])?.count == 10)
  }

  @Test func oneFileNeedsNoIndex() throws {
    let layout = try SafetensorsWriterLayout([entry("t", .u8, [8])], shardLimit: 8)
    #expect(layout.files.map(\.name) == ["model.safetensors"])
    #expect(layout.index == nil)
    let none = try SafetensorsWriterLayout([], shardLimit: 8)
    #expect(none.files.count == 1 && none.totalSize == 0)
  }

  @Test func sizesThatOverflowAreRefused() throws {
    let huge = try (0..<3).map { try entry("t\($0)", .u8, [Int.max / 8]) }
    let many = Array(repeating: huge, count: 4).joined()
    #expect(throws: Fault.self) { try SafetensorsWriterLayout(Array(many), shardLimit: 8) }
    let odd = try #require(Shape([3]))
    #expect(Entry(name: "t", type: .f4, shape: odd) == nil)
  }
}
