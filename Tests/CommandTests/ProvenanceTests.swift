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
    try JSONDocument(printedBy: ["hash", workspace.path(name)], schema: "fathom.hash.1")
      .string("checkpoint")
  }

  /// `__metadata__` of every file of weights; an empty one where there is none.
  private func metadata(_ folder: String) throws -> [JSONDocument] {
    try workspace.names(folder).filter { $0.hasSuffix(".safetensors") }.map { name in
      let file = try bytes("\(folder)/\(name)")
      let count = file[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
      let header = try JSONDocument(String(decoding: file[8..<8 + count], as: UTF8.self))
      return try JSONDocument(
        String(
          decoding: JSONSerialization.data(withJSONObject: header["__metadata__"] ?? [:]),
          as: UTF8.self))
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
    let all = try metadata("out")
    #expect(!all.isEmpty)
    for metadata in all {
      #expect(metadata.string("fathom.source") == "tiny-fp8")
      #expect(metadata.string("fathom.source.format") == "safetensors")
      #expect(metadata.string("fathom.version")?.isEmpty == false)
      #expect(
        metadata.string("fathom.manifest")
          == (options.contains("--no-manifest") ? nil : "fathom-manifest.json"))
      let recipe = try JSONDocument(metadata.string("fathom.recipe") ?? "")
      #expect(recipe.string("to") == options[1])
      if !options.contains("--no-manifest") {
        try requireDecisions(metadata, in: "out/fathom-manifest.json")
      }
    }
    #expect(try metadata("plain").allSatisfy { $0.string("fathom.version") == nil })
    #expect(try checkpoint("out") == checkpoint("plain"))
    #expect(try FathomProcess("validate", workspace.path("out"), "--deep").status == 0)
  }

  /// The counted decisions are those of the manifest's tensors.
  private func requireDecisions(_ metadata: JSONDocument, in name: String) throws {
    let manifest = try JSONDocument(String(decoding: bytes(name), as: UTF8.self))
    var counts: [String: Int] = [:]
    for tensor in manifest.list("output", "tensors") {
      counts["\(tensor.string("decision") ?? ""): \(tensor.string("reason") ?? "")", default: 0] +=
        1
    }
    let decisions = try JSONDocument(
      "{\"all\": \(metadata.string("fathom.decisions") ?? "")}")
    var stated: [String: Int] = [:]
    for row in decisions.list("all") {
      stated["\(row.string("decision") ?? ""): \(row.string("reason") ?? "")", default: 0] +=
        row.integer("tensors") ?? 0
    }
    #expect(stated == counts)
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
    #expect(try metadata("out").allSatisfy { $0.string("fathom.source") == name })
  }
}
