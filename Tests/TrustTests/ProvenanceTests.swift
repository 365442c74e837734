import Foundation
import Support
import Testing

/// What `convert --embed-provenance` writes into files of weights. That peers read them is
/// checked in `scripts/interop`.
@Suite struct ProvenanceTests {
  let workspace: Workspace
  private static let model = Repository.samples + "/tiny-fp8"

  init() throws { workspace = try Workspace() }

  static let folders: [[String]] = [
    ["--to", "hf"], ["--to", "hf", "--quant", "bf16", "--max-shard-size", "500KB"],
    ["--to", "mlx", "--quant", "4bit", "--group-size", "32"],
    ["--to", "deepseek", "--quant", "bf16", "--mp", "2"],
    ["--to", "compressed-tensors", "--quant", "int4-g32", "--no-manifest"],
  ]

  private func convert(
    _ output: String, _ options: [String], of model: String = model, status: Int32 = 0,
    mishap: Mishap? = nil
  ) throws -> FathomProcess {
    let run = try FathomProcess(
      ["convert", model, workspace.path(output)] + options,
      environment: mishap?.environment(below: workspace.path) ?? [:])
    #expect(run.status == status, "\(run.messages)")
    return run
  }

  private func bytes(_ name: String) throws -> [UInt8] { try contents(workspace.path(name)) }

  private func checkpoint(_ name: String) throws -> String? {
    try JSONDocument(printedBy: ["hash", workspace.path(name)], schema: "fathom.hash.2")
      .string("checkpoint")
  }

  /// Every file of weights in a folder.
  private func files(_ folder: String) throws -> [SafetensorsView] {
    try workspace.names(folder).filter { $0.hasSuffix(".safetensors") }.map {
      try SafetensorsView(workspace.path("\(folder)/\($0)"))
    }
  }

  /// A string among the keys of a GGUF file, as it is encoded.
  private func encoded(_ key: String, _ value: String) -> [UInt8] {
    func sized(_ text: String) -> [UInt8] {
      (0..<8).map { UInt8(truncatingIfNeeded: text.utf8.count >> (8 * $0)) } + Array(text.utf8)
    }
    return sized(key) + [8, 0, 0, 0] + sized(value)
  }

  @Test(arguments: folders)
  func foldersSayWhatTheyWereMadeFrom(options: [String]) throws {
    _ = try convert("plain", options)
    _ = try convert("out", options + ["--embed-provenance"])
    let files = try files("out")
    #expect(!files.isEmpty)
    for file in files {
      let metadata = file.metadata
      #expect(metadata["fathom.source"] == "tiny-fp8")
      #expect(metadata["fathom.source.format"] == "safetensors")
      #expect(metadata["fathom.version"]?.isEmpty == false)
      #expect(
        metadata["fathom.manifest"]
          == (options.contains("--no-manifest") ? nil : "fathom-manifest.json"))
      let recipe = try JSONDocument(metadata["fathom.recipe"] ?? "")
      #expect(recipe.string("to") == options[1])
      if !options.contains("--no-manifest") {
        let manifest = try JSONDocument(
          String(decoding: bytes("out/fathom-manifest.json"), as: UTF8.self))
        try requireDecisions(metadata, of: manifest)
        try requireHashes(file, of: manifest, isMP: options.contains("--mp"))
      }
    }
    #expect(try self.files("plain").allSatisfy { $0.metadata["fathom.version"] == nil })
    #expect(try checkpoint("out") == checkpoint("plain"))
    #expect(try FathomProcess("validate", workspace.path("out"), "--deep").status == 0)
  }

  /// The counted decisions are those of the manifest's tensors.
  private func requireDecisions(
    _ metadata: [String: String], of manifest: JSONDocument
  ) throws {
    var counts: [String: Int] = [:]
    for tensor in manifest.list("output", "tensors") {
      counts["\(tensor.string("decision") ?? ""): \(tensor.string("reason") ?? "")", default: 0] +=
        1
    }
    let decisions = try JSONDocument("{\"all\": \(metadata["fathom.decisions"] ?? "")}")
    var stated: [String: Int] = [:]
    for row in decisions.list("all") {
      stated["\(row.string("decision") ?? ""): \(row.string("reason") ?? "")", default: 0] +=
        row.integer("tensors") ?? 0
    }
    #expect(stated == counts)
  }

  /// A file's hashes are those that the manifest has of what the file's tensors were made from.
  private func requireHashes(
    _ file: SafetensorsView, of manifest: JSONDocument, isMP: Bool
  ) throws {
    #expect(
      file.metadata["fathom.source.checkpoint"] == manifest.string("source", "checkpoint"))
    var sources: Set<String> = []
    for tensor in manifest.list("output", "tensors") {
      let name = tensor.string("name") ?? ""
      // Shards have tensors of one name: a manifest puts the shard before it.
      let own = isMP ? String(name.split(separator: "/").last ?? "") : name
      if file.header[own] != nil, !isMP || name.hasPrefix("\(file.stem)/") {
        sources.formUnion(tensor["sources"] as? [String] ?? [])
      }
    }
    var expected: [String: String] = [:]
    for tensor in manifest.list("source", "tensors") {
      guard let name = tensor.string("name"), sources.contains(name) else { continue }
      expected[name] = tensor.string("hash")
    }
    var stated: [String: String] = [:]
    for line in (file.metadata["fathom.source.hashes"] ?? "").split(separator: "\n") {
      let parts = line.components(separatedBy: "  ")
      #expect(stated.updateValue(parts[0], forKey: parts[2]) == nil)
    }
    #expect(!expected.isEmpty && stated == expected)
  }

  /// `fathom hash` takes what a file says as its own list.
  @Test func hashesAreAListForTheCommandThatPrintsThem() throws {
    _ = try convert("out", ["--to", "hf", "--quant", "bf16", "--embed-provenance"])
    let said = try #require(try files("out").first?.metadata["fathom.source.hashes"])
    try workspace.write("list", Array(said.utf8))
    let check = ["hash", ProvenanceTests.model, "--check", workspace.path("list")]
    #expect(try FathomProcess(check).status == 0)
    try workspace.write("list", Array(said.replacing("  F8_E4M3", with: "0 F8_E4M3").utf8))
    #expect(try FathomProcess(check).status != 0)
  }

  /// A plan gives every file its size before the hashes are known.
  @Test func aDryRunKnowsTheSizes() throws {
    let options = ["--to", "hf", "--max-shard-size", "500KB", "--embed-provenance"]
    let plan = try JSONDocument(
      printedBy: ["convert", ProvenanceTests.model, workspace.path("out"), "--dry-run"]
        + options + ["--format", "json"], schema: "fathom.plan.1")
    _ = try convert("out", options)
    let files = plan.list("files")
    #expect(files.count > 3)
    for file in files {
      #expect(try bytes("out/\(file.string("name") ?? "")").count == file.integer("bytes"))
    }
  }

  @Test func whatIsReadAgainIsNotDeleted() throws {
    let copy = workspace.path("model")
    try FileManager.default.copyItem(atPath: ProvenanceTests.model, toPath: copy)
    let run = try convert(
      "out", ["--to", "hf", "--embed-provenance", "--free-source", "--yes-delete-source"],
      of: copy, status: 64)
    #expect(run.messages.contains("--free-source deletes it"))
  }

  @Test func soDoGGUFFilesAndWhatIsMadeFromThemDoesNotRepeatIt() throws {
    _ = try convert("plain.gguf", ["--to", "gguf", "--quant", "f16"])
    _ = try convert("out.gguf", ["--to", "gguf", "--quant", "f16", "--embed-provenance"])
    let file = try bytes("out.gguf")
    for (key, value) in [
      ("fathom.source", "tiny-fp8"), ("fathom.source.format", "safetensors"),
      ("fathom.manifest", "out.fathom-manifest.json"),
    ] {
      #expect(file.firstRange(of: encoded(key, value)) != nil, "\(key)")
    }
    let hashes = try FathomProcess("hash", ProvenanceTests.model).output
      .split(separator: "\n", omittingEmptySubsequences: false).dropLast(2)
    #expect(
      file.firstRange(
        of: encoded("fathom.source.hashes", hashes.map { $0 + "\n" }.joined())) != nil)
    #expect(try bytes("plain.gguf").firstRange(of: Array("fathom.".utf8)) == nil)
    #expect(try checkpoint("out.gguf") == checkpoint("plain.gguf"))
    #expect(try FathomProcess("validate", workspace.path("out.gguf"), "--deep").status == 0)
    let again = ["--to", "gguf", "--quant", "q8_0"]
    for name in ["plain", "out"] {
      _ = try convert("\(name)-q8_0.gguf", again, of: workspace.path("\(name).gguf"))
    }
    #expect(try bytes("out-q8_0.gguf") == bytes("plain-q8_0.gguf"))
    _ = try convert(
      "named.gguf", again + ["--embed-provenance"], of: workspace.path("out.gguf"))
    #expect(
      try bytes("named.gguf").firstRange(of: encoded("fathom.source", "out.gguf")) != nil)
  }

  @Test func unfinishedWorkKeepsTheChoice() throws {
    let options = ["--to", "hf", "--quant", "bf16", "--flush-every", "200KB"]
    let said = options + ["--embed-provenance"]
    _ = try convert("whole", said)
    _ = try convert("out", said, status: 130, mishap: Mishap("interrupt", at: 100))
    let run = try convert("out", options + ["--resume"], status: 73)
    #expect(run.messages.contains("embedsProvenance"))
    _ = try convert("out", said + ["--resume"])
    #expect(try bytes("out/model.safetensors") == bytes("whole/model.safetensors"))
  }

  /// A name of signs that JSON escapes, without the path to it.
  @Test func namesAreQuotedAndPathsLeftOut() throws {
    let name = "a \"quoted\" \\ name\t"
    try FileManager.default.copyItem(atPath: ProvenanceTests.model, toPath: workspace.path(name))
    _ = try convert("out", ["--to", "hf", "--embed-provenance"], of: workspace.path(name))
    #expect(try files("out").allSatisfy { $0.metadata["fathom.source"] == name })
  }
}
