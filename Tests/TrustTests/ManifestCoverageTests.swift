import Foundation
import Support
import Testing

/// A manifest covers every byte of every file, what lies beside them, and itself.
@Suite struct ManifestCoverageTests {
  let workspace: Workspace
  private static let source = Repository.samples + "/tiny-bf16"

  init() throws { workspace = try Workspace() }

  private func convert(_ name: String, _ options: String...) throws -> String {
    let path = workspace.path(name)
    let run = try FathomProcess(["convert", ManifestCoverageTests.source, path, "--to"] + options)
    #expect(run.status == 0, "\(run.messages)")
    return path
  }

  private func validate(
    _ model: String, _ more: [String] = ["--manifest"], status: Int32 = 0
  ) throws -> JSONDocument {
    try JSONDocument(
      printedBy: ["validate", model] + more, schema: "fathom.validate.1", status: status)
  }

  private func mismatches(_ document: JSONDocument) -> [JSONDocument] {
    document.list("findings").filter { $0.string("rule") == "manifest-mismatch" }
  }

  /// Values of metadata that change what a model computes or says, and change no tensor.
  @Test(
    arguments: [
      ("deepseek2.rope.freq_base", [0, 0, 0xF6, 0x42]),
      ("deepseek2.expert_weights_scale", [0, 0, 0, 0x40]),
      ("deepseek2.attention.layer_norm_rms_epsilon", [0, 0, 0, 0x3F]),
    ] as [(String, [UInt8])])
  func changedMetadataIsFound(key: String, value: [UInt8]) throws {
    let path = try convert("m.gguf", "gguf", "--quant", "q8_0")
    #expect(try validate(path).string("verdict") == "valid")
    try GGUFPatch.set(key, bytes: value, in: path)
    let found = try mismatches(validate(path, status: 1))
    #expect(found.count == 1 && found.first?.string("file") == "m.gguf")
    #expect(found.first?.string("hint")?.contains("outside of the tensors") == true)
  }

  /// Every byte before the first tensor and every byte of padding, in steps.
  @Test func noByteOfAHeaderIsFree() throws {
    let path = try convert("m.gguf", "gguf", "--quant", "f16")
    let bytes = try contents(path)
    let token = try #require(Data(bytes).range(of: Data("tokenizer.ggml.tokens".utf8)))
    // Inside the list of tokens: nothing but the text of a token changes.
    for place in [token.upperBound + 16, token.upperBound + 17] {
      var changed = bytes
      changed[place + 8] ^= 1
      try Data(changed).write(to: URL(fileURLWithPath: path))
      let run = try FathomProcess("validate", path, "--manifest")
      #expect(run.status != 0, "byte \(place)")
    }
  }

  @Test func metadataOfSafetensorsIsCovered() throws {
    let folder = try convert("out", "hf")
    let path = folder + "/model.safetensors"
    var bytes = try contents(path)
    let place = try #require(Data(bytes).range(of: Data(#""format":"pt""#.utf8)))
    bytes[place.upperBound - 2] = UInt8(ascii: "f")
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    let found = try mismatches(validate(folder, status: 1))
    #expect(found.map { $0.string("file") } == ["model.safetensors"])
  }

  /// What loaders would run, use or take for weights.
  @Test(arguments: [
    "modeling_deepseek.py", "chat_template.jinja", "pytorch_model.bin", "adapter_config.json",
    "model.safetensors.index.json.bak", "notes",
  ])
  func whatWasAddedIsFound(name: String) throws {
    let folder = try convert("out", "hf")
    #expect(try validate(folder).string("verdict") == "valid")
    try workspace.write("out/" + name, "print(1)".utf8)
    let document = try validate(folder, status: 1)
    #expect(mismatches(document).map { $0.string("file") } == [name])
    #expect(document.integer("manifest", "files", "unexpected") == 1)
  }

  @Test func foldersAreFoundAndHiddenEntriesCounted() throws {
    let folder = try convert("out", "hf")
    try workspace.write("out/.cache/huggingface/x", "".utf8)
    try workspace.write("out/.gitattributes", "".utf8)
    let document = try validate(folder)
    #expect(document.integer("manifest", "files", "notCompared") == 2)
    #expect(mismatches(document).map { $0.string("severity") } == ["warning"])
    try workspace.write("out/original/consolidated.pth", "".utf8)
    #expect(
      try mismatches(validate(folder, status: 1)).map { $0.string("file") }.contains("original"))
  }

  /// A GGUF file lies among others, and may be renamed with its manifest.
  @Test func aFileMayLieAmongOthersAndBeRenamed() throws {
    let path = try convert("m.gguf", "gguf", "--quant", "q8_0")
    try workspace.write("thesis.tex", "x".utf8)
    let document = try validate(path)
    #expect(document.integer("manifest", "files", "unexpected") == 0)
    try FileManager.default.moveItem(atPath: path, toPath: workspace.path("n.gguf"))
    try FileManager.default.moveItem(
      atPath: workspace.path("m.fathom-manifest.json"),
      toPath: workspace.path("n.fathom-manifest.json"))
    #expect(try validate(workspace.path("n.gguf")).string("verdict") == "valid")
  }

  @Test func aPackedModelIsComparedAsWhatItHolds() throws {
    let folder = try convert("out", "hf")
    #expect(try FathomProcess("pack", folder, workspace.path("packed")).status == 0)
    #expect(try validate(workspace.path("packed")).string("verdict") == "valid")
    try workspace.write("packed/modeling_x.py", "".utf8)
    #expect(try validate(workspace.path("packed"), status: 1).string("verdict") == "invalid")
  }

  // MARK: The manifest itself

  @Test func aManifestCoversItself() throws {
    let folder = try convert("out", "hf")
    let path = folder + "/fathom-manifest.json"
    let bytes = try contents(path)
    for place in stride(from: 3, to: bytes.count, by: bytes.count / 40) {
      var changed = bytes
      changed[place] = changed[place] == UInt8(ascii: "1") ? UInt8(ascii: "2") : UInt8(ascii: "1")
      try Data(changed).write(to: URL(fileURLWithPath: path))
      let run = try FathomProcess("validate", folder, "--manifest")
      #expect(run.status == 65 && run.messages.contains("fathom-manifest.json"), "byte \(place)")
    }
    try Data(bytes + Array("\n".utf8)).write(to: URL(fileURLWithPath: path))
    #expect(try FathomProcess("validate", folder, "--manifest").status == 65)
  }

  /// A manifest that was made anew for a changed model is another one.
  @Test func theHashOfAManifestIsSaid() throws {
    let folder = workspace.path("out")
    let made = try JSONDocument(
      printedBy: ["convert", ManifestCoverageTests.source, folder, "--to", "hf"],
      schema: "fathom.convert.1")
    let hash = try #require(made.string("manifestHash"))
    #expect(try validate(folder).string("manifest", "blake3") == hash)
    let pinned = try FathomProcess("validate", folder, "--manifest", "--manifest-hash", hash)
    #expect(pinned.status == 0 && pinned.output.contains(hash))
    let resumed = try FathomProcess(
      "convert", ManifestCoverageTests.source, folder, "--to", "hf", "--resume")
    #expect(resumed.output.contains("manifest: \(hash)"), "\(resumed.output)")
    let next = workspace.path("next")
    let other = try FathomProcess(
      "convert", ManifestCoverageTests.source, next, "--to", "hf", "--quant", "f32")
    #expect(other.status == 0)
    let run = try FathomProcess("validate", next, "--manifest", "--manifest-hash", hash)
    #expect(run.status == 1 && run.messages.contains("another manifest"))
    #expect(try FathomProcess("validate", next, "--manifest-hash", hash).status == 64)
    #expect(try FathomProcess("validate", next, "--manifest", "--manifest-hash", "x").status == 64)
    // One that lies elsewhere is not the one in the folder.
    let file = ["--manifest-file", folder + "/fathom-manifest.json"]
    #expect(
      try mismatches(validate(next, file, status: 1)).contains {
        $0.string("file") == "fathom-manifest.json"
      })
  }

  /// A manifest of version 1, which knows no headers.
  @Test func anOldManifestIsReadAndSaidToCoverLess() throws {
    let path = try convert("m.gguf", "gguf", "--quant", "q8_0")
    let file = workspace.path("m.fathom-manifest.json")
    var text = String(decoding: try contents(file), as: UTF8.self)
    text = text.replacingOccurrences(of: "fathom.manifest/2", with: "fathom.manifest/1")
    let seal = try #require(text.range(of: ",\n  \"self\""))
    text = text[..<seal.lowerBound] + "\n}\n"
    try text.write(toFile: file, atomically: false, encoding: .utf8)
    let header = try #require(
      text.range(of: #", ?"header": ?"[0-9a-f]{64}""#, options: .regularExpression))
    text.removeSubrange(header)
    try text.write(toFile: file, atomically: false, encoding: .utf8)
    let document = try validate(path)
    #expect(document.string("manifest", "version") == "fathom.manifest/1")
    #expect(document.integer("manifest", "files", "notCompared") == 1)
    let warning = try #require(mismatches(document).first)
    #expect(warning.string("severity") == "warning")
    #expect(warning.string("hint")?.contains("are not compared") == true)
  }
}
