import FathomFormats
import Foundation
import Support
import Testing

/// GGUF files by the library alone.
@Suite struct GGUFLibraryTests {
  static let hostile = Repository.samples + "/hostile-gguf"
  static let foreign = ["type-2-32.gguf", "type-unknown.gguf"]
  static let hostileNames =
    ((try? FileManager.default.contentsOfDirectory(atPath: hostile)) ?? [])
    .filter { $0.hasSuffix(".gguf") && !foreign.contains($0) }.sorted()

  /// A file that the command has made.
  private func converted(_ workspace: Workspace) throws -> String {
    let path = workspace.path("model.gguf")
    let run = try FathomProcess(
      "convert", Repository.samples + "/tiny-trained", path, "--to", "gguf", "--quant", "q4_k_m")
    #expect(run.status == 0, "\(run.messages)")
    return path
  }

  /// Writes what a file has, in its order.
  private func copy(
    _ file: GGUFFile, to path: String, splitLimit: Int? = nil, overwrite: Bool = false
  ) throws {
    let writer = GGUFWriter(file.tensors.map(\.info), metadata: file.metadata)
    try writer.write(to: path, splitLimit: splitLimit, overwrite: overwrite) {
      tensor, output throws(FormatError) in
      if let stored = file[tensor.name] { try output.append(stored.read()) }
    }
  }

  /// Both the product's writer and the library's give llama.cpp's layout: the same bytes.
  @Test func aCopyHasTheBytesOfTheOriginal() throws {
    let workspace = try Workspace()
    let path = try converted(workspace)
    let file = try GGUFFile(path: path)
    #expect(file.metadata["general.architecture"]?.text == "deepseek2")
    #expect(file.metadata["tokenizer.ggml.tokens"]?.array?.strings?.isEmpty == false)
    #expect(file.tensors.contains { $0.type == .q4K })
    try copy(file, to: workspace.path("copy.gguf"))
    let isSame = try contents(path) == contents(workspace.path("copy.gguf"))
    #expect(isSame)
    // The bytes are those that stand in the file.
    let bytes = try contents(path)
    for tensor in file.tensors {
      let isEqual =
        try Array(bytes[tensor.offset..<tensor.offset + tensor.byteCount])
        == tensor.read()
      #expect(isEqual, "\(tensor)")
    }
  }

  @Test func splitsAreOneFile() throws {
    let workspace = try Workspace()
    let file = try GGUFFile(path: converted(workspace))
    let third = file.tensors.reduce(0) { $0 + $1.byteCount } / 3
    try copy(file, to: workspace.path("split.gguf"), splitLimit: third)
    let names = try workspace.names().filter { $0.hasPrefix("split-") }
    #expect(names.count > 2)
    #expect(
      kind { try copy(file, to: workspace.path("split.gguf"), splitLimit: third) }
        == .cannotCreate)
    try copy(file, to: workspace.path("split.gguf"), splitLimit: third, overwrite: true)
    let splits = try GGUFFile(path: workspace.path(names[1]))
    #expect(splits.files == names && splits.metadata == file.metadata)
    #expect(splits.tensors.map(\.description) == file.tensors.map(\.description))
    for tensor in splits.tensors {
      let isEqual = try tensor.read() == file[tensor.name]?.read()
      #expect(isEqual, "\(tensor)")
    }
    try FileManager.default.removeItem(atPath: workspace.path(names[2]))
    let found = error { _ = try GGUFFile(path: workspace.path(names[0])) }
    #expect(found?.kind == .notFound && found?.file == workspace.path(names[2]))
  }

  /// One value of each type.
  private var metadata: GGUFMetadata {
    var metadata = GGUFMetadata()
    let values: [MetadataValue] = [
      .uint8(255), .int8(-128), .uint16(65535), .int16(-2), .uint32(4_000_000_000), .int32(-3),
      .float32(-0.1), .bool(true), .string("▁é\u{0}"), .uint64(.max), .int64(.min), .float64(.pi),
      .array(MetadataArray(int32: [1, -1, 70000])), .array(MetadataArray(float32: [0.5])),
      .array(MetadataArray(strings: ["a", "", "ü"])),
    ]
    for (number, value) in values.enumerated() { metadata["key.\(number)"] = value }
    return metadata
  }

  @Test func valuesOfEachTypeComeBack() throws {
    let workspace = try Workspace()
    let path = workspace.path("model.gguf")
    try GGUFWriter([], metadata: metadata).write(to: path) { _, _ in }
    let file = try GGUFFile(path: path)
    #expect(file.metadata == metadata && file.tensors.isEmpty)
    #expect(file.metadata.keys == (0..<15).map { "key.\($0)" })
    let integers = file.metadata.keys.map { file.metadata[$0]?.integer }
    #expect(integers.prefix(6) == [255, -128, 65535, -2, 4_000_000_000, -3])
    #expect(integers[9] == nil && integers[10] == .min)
    #expect(file.metadata["key.11"]?.number == .pi)
    let array = try #require(file.metadata["key.12"]?.array)
    #expect(array.integers == [1, -1, 70000] && array.typeName == "[INT32]")
    #expect(array.values == [.int32(1), .int32(-1), .int32(70000)] && array.count == 3)
    var fewer = file.metadata
    fewer["key.0"] = nil
    #expect(fewer.keys.first == "key.1" && fewer != file.metadata)
  }

  /// An array of each type of value, alone and in an array of arrays.
  @Test func arraysOfEachTypeComeBack() throws {
    let workspace = try Workspace()
    var arrays = GGUFMetadata()
    for key in metadata.keys {
      let value = try #require(metadata[key])
      let array = try #require(MetadataArray([value, value]))
      #expect(array.values == [value, value] && array.count == 2)
      arrays[key] = .array(array)
    }
    let path = workspace.path("model.gguf")
    try GGUFWriter([], metadata: arrays).write(to: path) { _, _ in }
    let file = try GGUFFile(path: path)
    #expect(file.metadata == arrays)
    #expect(file.metadata["key.12"]?.array?.typeName == "[[INT32]]")
    #expect(MetadataArray([]) == nil && MetadataArray([.int8(1), .uint8(1)]) == nil)
  }

  /// Headers that no reader would take are not written, and leave nothing.
  @Test func whatDoesNotFitIsRefused() throws {
    let workspace = try Workspace()
    func write(_ tensors: [TensorInfo], _ metadata: GGUFMetadata = GGUFMetadata()) -> FormatError? {
      error {
        try GGUFWriter(tensors, metadata: metadata).write(to: workspace.path("x.gguf")) { _, _ in }
      }
    }
    let wrong = [
      write([TensorInfo("a", .u8, [0])]), write([TensorInfo("a", .q4K, [1, 255])]),
      write([TensorInfo("a", .q4K, [256, 1])]), write([TensorInfo("a", .f32, [1, 1, 1, 1, 0])]),
      write([TensorInfo("a", .f32, [0]), TensorInfo("a", .f32, [0])]),
    ]
    for error in wrong {
      #expect(error?.kind == .malformed && error?.tensor == "a", "\(String(describing: error))")
    }
    #expect(write([TensorInfo(String(repeating: "a", count: 64), .f32, [0])])?.kind == .malformed)
    for (key, value) in [
      ("", MetadataValue.bool(true)), ("general.alignment", .uint32(64)),
      ("general.alignment", .uint64(32)),
    ] {
      var metadata = GGUFMetadata()
      metadata[key] = value
      let found = write([], metadata)
      #expect(found?.kind == .malformed && found?.file == workspace.path("x.gguf"), "\(key)")
    }
    #expect(try workspace.names() == [])
  }

  @Test func thereAreHostileFiles() { #expect(GGUFLibraryTests.hostileNames.count > 50) }

  @Test(arguments: hostileNames)
  func hostileFileIsRefused(name: String) throws {
    let list = try contents(GGUFLibraryTests.hostile + "/expected.json")
    let expected = try #require(
      try JSONDocument(String(decoding: list, as: UTF8.self)).string(name))
    let path = GGUFLibraryTests.hostile + "/" + name
    let found = try #require(error { _ = try GGUFFile(path: path) })
    #expect(found.kind == .malformed && found.file != nil)
    #expect(found.description.contains(expected), "\(name): \(found)")
  }

  /// Types of other programs have a name and no size, and their bytes are there all the same.
  @Test(arguments: foreign)
  func typesThatNobodyKnowsAreNamed(name: String) throws {
    let file = try GGUFFile(path: GGUFLibraryTests.hostile + "/" + name)
    let tensor = try #require(file.tensors.first)
    #expect(tensor.type.byteCount(elements: 256) == nil && tensor.type.ggmlNumber == nil)
    #expect(try tensor.read().count == tensor.byteCount)
    #expect(ElementType(named: tensor.type.name) == nil)
  }

  @Test(arguments: ElementType.all)
  func eachTypeHasItsName(type: ElementType) {
    #expect(ElementType(named: type.name) == type)
    #expect(type.isInSafetensors || type.ggmlNumber != nil)
    #expect(type.byteCount(elements: 8 * type.blockElements) != nil)
  }
}
