import FathomFormats
import Foundation
import Support
import Testing

/// Safetensors files by the library alone: what it reads is what `SampleTensors` finds, which knows
/// nothing of the product's readers, and that finds what it writes.
@Suite struct SafetensorsLibraryTests {
  static let hostile = Repository.samples + "/hostile"
  /// Metadata that is no text says nothing of the tensors, and stands as JSON.
  static let loose = ["metadata-nested.safetensors", "metadata-number.safetensors"]
  static let hostileNames =
    ((try? FileManager.default.contentsOfDirectory(atPath: hostile)) ?? [])
    .filter { $0.hasSuffix(".safetensors") && !loose.contains($0) }.sorted()

  /// The tensors are those of a sample, with their bytes.
  private func expect(_ tensors: [FileTensor], are sample: SampleTensors) throws {
    #expect(Set(tensors.map(\.name)) == Set(sample.tensors.keys))
    for tensor in tensors {
      let expected = sample[tensor.name]
      #expect(tensor.type.name == expected.type && tensor.shape == expected.shape)
      let isEqual = try tensor.read() == expected.bytes
      #expect(isEqual, "\(tensor)")
      #expect(tensor.byteCount == expected.bytes.count)
      #expect(tensor.byteCount == tensor.type.byteCount(elements: tensor.elementCount))
    }
  }

  /// Copies a folder by the library, in pieces, as those have to who cannot hold a tensor.
  private func copy(_ source: SafetensorsFolder, to path: String, shardLimit: Int) throws {
    let writer = SafetensorsWriter(
      source.tensors.map(\.info), metadata: [("format", "pt"), ("näme", "\"\n")])
    try writer.writeFolder(to: path, shardLimit: shardLimit) {
      tensor, output throws(FormatError) in
      guard let stored = source[tensor.name] else { return }
      for start in stride(from: 0, to: stored.byteCount, by: 1000) {
        let end = min(start + 1000, stored.byteCount)
        try output.append(stored.read(bytes: start..<end))
      }
    }
  }

  @Test(arguments: ["tiny-fp8", "tiny-bf16", "malformed/none"])
  func aFolderIsReadAndWrittenAgain(name: String) throws {
    let workspace = try Workspace()
    let sample = try SampleTensors(name)
    let folder = try SafetensorsFolder(path: Repository.samples + "/" + name)
    try expect(folder.tensors, are: sample)
    let third = folder.tensors.reduce(0) { $0 + $1.byteCount } / 3
    for (target, limit) in [("shards", third), ("whole", .max)] {
      try copy(folder, to: workspace.path(target), shardLimit: limit)
      try workspace.write(
        target + "/config.json", contents("\(Repository.samples)/\(name)/config.json"))
      try expect(SafetensorsFolder(path: workspace.path(target)).tensors, are: sample)
      let found = try SampleTensors(folder: workspace.path(target))
      #expect(found.tensors.keys == sample.tensors.keys)
      for (name, tensor) in found.tensors { #expect(tensor.bytes == sample[name].bytes) }
    }
    #expect(try workspace.names("shards").contains("model.safetensors.index.json"))
    #expect(try workspace.names("whole") == ["config.json", "model.safetensors"])
    let written = try SafetensorsFolder(path: workspace.path("shards"))
    #expect(written.files.count > 2)
    for file in written.files {
      #expect(file.metadata.map(\.key) == ["format", "näme"])
      #expect(file.metadata.map(\.value) == ["pt", "\"\n"])
    }
  }

  @Test func aPackedFileShowsItsOriginal() throws {
    let workspace = try Workspace()
    let path = workspace.path("packed")
    let run = try FathomProcess("pack", Repository.samples + "/tiny-bf16", path)
    #expect(run.status == 0, "\(run.messages)")
    let folder = try SafetensorsFolder(path: path)
    try expect(folder.tensors, are: SampleTensors("tiny-bf16"))
    for name in folder.files.map(\.name) {
      let file = try SafetensorsFile(path: path + "/" + name)
      let bytes = try contents(path + "/" + name)
      for tensor in file.tensors {
        let original = try SafetensorsFile(path: "\(Repository.samples)/tiny-bf16/\(name)")
        let isEqual = try original[tensor.name]?.read() == tensor.read()
        #expect(isEqual && original[tensor.name]?.offset == tensor.offset)
      }
      #expect(bytes.count < folder.tensors.reduce(0) { $0 + $1.byteCount })
    }
  }

  @Test func oneFileHasTheNameThatWasAskedFor() throws {
    let workspace = try Workspace()
    let path = workspace.path("some name")
    let tensors = [
      TensorInfo("b", .u8, [3]), TensorInfo("a", .f32, [2, 1]), TensorInfo("none", .bf16, [0]),
    ]
    let contents: [String: [UInt8]] = ["a": [0, 0, 128, 63, 0, 0, 0, 64], "b": [1, 2, 3]]
    let writer = SafetensorsWriter(tensors)
    try writer.write(to: path) { tensor, output throws(FormatError) in
      try output.append(contents[tensor.name] ?? [])
    }
    let file = try SafetensorsFile(path: path)
    // What is no multiple of eight bytes stands behind the others.
    #expect(file.tensors.map(\.description) == ["a F32 [2, 1]", "none BF16 [0]", "b U8 [3]"])
    #expect(file.metadata.isEmpty)
    #expect(try file["b"]?.read(bytes: 1..<3) == [2, 3])
    #expect(file["c"] == nil && file["a"]?.file == path)
    // Behind the first tensor lies another one, whose bytes are not its own.
    let further = error { _ = try file["a"]?.read(bytes: 1..<9) }
    #expect(further?.kind == .invalidArgument && further?.tensor == "a")
    // Another one takes its place only where that is said, and when it is complete.
    #expect(kind { try writer.write(to: path) { _, _ in } } == .cannotCreate)
    #expect(kind { try writer.write(to: path, overwrite: true) { _, _ in } } == .invalidArgument)
    try file.requireUnchanged()
    try SafetensorsWriter([TensorInfo("c", .i8, [1])]).write(to: path, overwrite: true) {
      _, output throws(FormatError) in try output.append([7])
    }
    #expect(try SafetensorsFile(path: path)["c"]?.read() == [7])
    #expect(try workspace.names() == ["some name"])
  }

  /// What cannot be written leaves nothing, and says which tensor it is.
  @Test func whatDoesNotFitIsRefused() throws {
    let workspace = try Workspace()
    func write(_ tensors: TensorInfo..., bytes: [UInt8] = []) -> FormatError? {
      error {
        try SafetensorsWriter(tensors).write(to: workspace.path("x")) {
          _, output throws(FormatError) in try output.append(bytes)
        }
      }
    }
    let wrong = [
      write(TensorInfo("a", .f16, [2]), bytes: [1, 2, 3]),
      write(TensorInfo("a", .f16, [2]), bytes: [1, 2, 3, 4, 5]),
      write(TensorInfo("a", .f4, [3])), write(TensorInfo("a", .f16, [-1])),
      write(TensorInfo("a", .f64, [.max, 2])), write(TensorInfo("a", .q4K, [256])),
      write(TensorInfo("a", .u8, [0]), TensorInfo("a", .u8, [0])),
    ]
    for error in wrong { #expect(error?.tensor == "a", "\(String(describing: error))") }
    #expect(wrong.map { $0?.kind == .malformed } == [false, false, true, true, true, true, true])
    #expect(wrong[0]?.expected == "1 more" && wrong[1]?.expected == "at most 4 more")
    let own = error {
      try SafetensorsWriter([TensorInfo("a", .u8, [1])]).write(to: workspace.path("x")) {
        _, _ throws(FormatError) in throw FormatError(.inputOutput, "own", expected: "more")
      }
    }
    #expect(own == FormatError(.inputOutput, "own", expected: "more"))
    #expect(try workspace.names() == [])
  }

  @Test func thereAreHostileFiles() { #expect(SafetensorsLibraryTests.hostileNames.count > 40) }

  @Test(arguments: hostileNames)
  func hostileFileIsRefused(name: String) throws {
    let path = SafetensorsLibraryTests.hostile + "/" + name
    let found = error { _ = try SafetensorsFile(path: path) }
    #expect(found?.kind == .malformed && found?.file == path)
    #expect(found?.description.hasPrefix(path + ": ") == true)
  }

  @Test(arguments: loose)
  func metadataThatIsNoTextStandsAsJSON(name: String) throws {
    let file = try SafetensorsFile(path: SafetensorsLibraryTests.hostile + "/" + name)
    #expect(!file.metadata.isEmpty)
  }

  @Test(arguments: [
    ("truncated-shard", FormatError.Kind.malformed, "model-00002-of-00002.safetensors"),
    ("missing-shard", .notFound, "model-00002-of-00002.safetensors"),
    ("index-mismatch", .malformed, "model.safetensors.index.json"),
    ("index-mismatch-lies", .malformed, "model.safetensors.index.json"),
    ("duplicate-tensor", .malformed, "model-00002-of-00002.safetensors"),
  ])
  func aFolderThatIsNotWholeIsRefused(
    name: String, kind: FormatError.Kind, file: String
  ) throws {
    let path = "\(Repository.samples)/malformed/\(name)"
    let found = error { _ = try SafetensorsFolder(path: path) }
    #expect(found?.kind == kind && found?.file == path + "/" + file, "\(String(describing: found))")
  }

  @Test func aFileThatChangedIsNotTrusted() throws {
    let workspace = try Workspace()
    let path = try workspace.copy(sample: "tiny-bf16")
    let folder = try SafetensorsFolder(path: path)
    try folder.requireUnchanged()
    let tensor = try #require(folder.tensors.last)
    let handle = try #require(FileHandle(forWritingAtPath: tensor.file))
    try handle.truncate(atOffset: UInt64(tensor.offset + tensor.byteCount - 1))
    try handle.close()
    #expect(kind { try folder.requireUnchanged() } == .malformed)
    let found = error { _ = try tensor.read() }
    #expect(found?.kind == .inputOutput && found?.tensor == tensor.name)
  }
}

/// The error that something ends with; nil where it does not.
func error(_ body: () throws -> Void) -> FormatError? {
  do { try body() } catch { return error as? FormatError }
  return nil
}

/// Its kind.
func kind(_ body: () throws -> Void) -> FormatError.Kind? { error(body)?.kind }
