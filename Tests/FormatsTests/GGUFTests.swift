import Formats
import Foundation
import Platform
import Support
import Tensors
import Testing

/// GGUF files: what is read is what was written, and what is malformed is refused with its place.
@Suite struct GGUFTests {
  static let hostile = Repository.samples + "/hostile-gguf"
  static let hostileNames = ((try? FileManager.default.contentsOfDirectory(atPath: hostile)) ?? [])
    .filter { $0.hasSuffix(".gguf") }.sorted()

  @Test func thereAreHostileFiles() { #expect(GGUFTests.hostileNames.count > 50) }

  /// A type that nobody knows makes no header unsound: the tensor cannot be decoded, and says so.
  @Test(arguments: ["type-2-32.gguf", "type-unknown.gguf"])
  func typesThatNobodyKnowsAreNamed(name: String) throws {
    let files = try GGUFFiles(path: GGUFTests.hostile + "/" + name)
    #expect(files.inventory.tensors.count == 1)
  }

  @Test(arguments: hostileNames.filter { !["type-2-32.gguf", "type-unknown.gguf"].contains($0) })
  func hostileFileIsRefused(name: String) throws {
    let text = String(
      decoding: try contents(GGUFTests.hostile + "/expected.json"), as: UTF8.self)
    let expected = try #require(try JSONDocument(text).string(name))
    do {
      _ = try GGUFFiles(path: GGUFTests.hostile + "/" + name)
      Issue.record("\(name) was opened")
    } catch {
      #expect(error.kind == .malformed && error.file != nil, "\(error)")
      #expect(error.description.contains(expected), "\(name): \(error)")
    }
  }

  /// One value of each type, arrays and nested arrays included.
  static let metadata: Metadata = {
    var metadata = Metadata()
    metadata["general.architecture"] = .string("deepseek2")
    metadata["u8"] = .uint8(255)
    metadata["i8"] = .int8(-128)
    metadata["u16"] = .uint16(65535)
    metadata["i16"] = .int16(-2)
    metadata["u32"] = .uint32(4_000_000_000)
    metadata["i32"] = .int32(-3)
    metadata["f32"] = .float32(-0.1)
    metadata["yes"] = .bool(true)
    metadata["text"] = .string("▁é\u{0}")
    metadata["u64"] = .uint64(.max)
    metadata["i64"] = .int64(.min)
    metadata["f64"] = .float64(.pi)
    metadata["ids"] = .array(MetadataArray(int32: [1, -1, 70000]))
    metadata["tokens"] = .array(MetadataArray(.strings(["a", "", "ü"])))
    metadata["nested"] = .array(
      MetadataArray(.arrays([MetadataArray(.fixed(.uint8, [1, 2])), MetadataArray(.strings([]))])))
    return metadata
  }()

  private func entries() throws -> [OutputLayout.Entry] {
    try [
      ("output.weight", .q80, [3, 64]), ("blk.0.norm", .f32, [5]), ("blk.0.empty", .f16, [0, 4]),
      ("blk.0.stack", .bf16, [2, 3, 7]),
    ].map { (name: String, type: ElementType, shape: [Int]) in
      let shape = try #require(Shape(shape))
      return try #require(OutputLayout.Entry(name: ExactText(name), type: type, shape: shape))
    }
  }

  /// Writes a layout with bytes that count up, zeros between tensors.
  private func write(_ layout: OutputLayout, to workspace: Workspace) throws {
    for file in layout.files {
      var bytes = file.header
      for (index, offset) in zip(file.tensors, file.offsets) {
        bytes += [UInt8](repeating: 0, count: offset - bytes.count)
        bytes += (0..<layout.entries[index].byteCount).map { UInt8(truncatingIfNeeded: $0) }
      }
      bytes += [UInt8](repeating: 0, count: file.byteCount - bytes.count)
      try workspace.write(file.name.text, bytes)
    }
  }

  @Test func whatIsWrittenIsRead() throws {
    let workspace = try Workspace()
    let layout = try GGUFWriterLayout.layout(
      entries(), metadata: GGUFTests.metadata, name: "m.gguf", division: .limit(.max))
    try write(layout, to: workspace)
    let files = try GGUFFiles(path: workspace.path("m.gguf"))
    #expect(files.metadata == GGUFTests.metadata)
    #expect(files.metadata.keys == GGUFTests.metadata.keys)
    for (entry, offset) in zip(layout.entries, layout.files[0].offsets) {
      let stored = try #require(files.inventory[entry.name])
      #expect(stored.type == entry.type && stored.shape == entry.shape)
      #expect(stored.offset == offset && offset % 32 == 0)
    }
    #expect(files.metadata["ids"]?.array?.integers == [1, -1, 70000])
    #expect(files.metadata["u64"]?.integer == nil && files.metadata["i8"]?.integer == -128)
  }

  @Test func versionTwoIsReadAndTheLastPaddingMayLack() throws {
    let workspace = try Workspace()
    let layout = try GGUFWriterLayout.layout(
      entries(), metadata: GGUFTests.metadata, name: "m.gguf", division: .limit(.max))
    try write(layout, to: workspace)
    var bytes = try contents(workspace.path("m.gguf"))
    bytes[4] = 2
    try workspace.write("two.gguf", bytes)
    #expect(try GGUFFiles(path: workspace.path("two.gguf")).inventory.tensors.count == 4)
    try workspace.write("unpadded.gguf", bytes.dropLast(32 - 84 % 32))
    #expect(try GGUFFiles(path: workspace.path("unpadded.gguf")).inventory.tensors.count == 4)
  }

  @Test func anySplitOpensTheSet() throws {
    let workspace = try Workspace()
    let layout = try GGUFWriterLayout.layout(
      entries(), metadata: GGUFTests.metadata, name: "m.gguf", division: .limit(100))
    try write(layout, to: workspace)
    let names = layout.files.map(\.name)
    #expect(
      names == [
        "m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf",
      ])
    for name in names {
      let files = try GGUFFiles(path: workspace.path(name.text))
      #expect(files.metadata == GGUFTests.metadata)
      #expect(files.inventory.tensors.count == 4)
    }
    let third = try contents(workspace.path(names[2].text))
    try FileManager.default.removeItem(atPath: workspace.path(names[2].text))
    #expect(throws: Fault.self) { try GGUFFiles(path: workspace.path(names[0].text)) }
    try workspace.write(names[2].text, try contents(workspace.path(names[1].text)))
    #expect(throws: Fault.self) { try GGUFFiles(path: workspace.path(names[0].text)) }
    try workspace.write(names[2].text, third)
    #expect(try GGUFFiles(path: workspace.path(names[0].text)).inventory.tensors.count == 4)
  }
}
