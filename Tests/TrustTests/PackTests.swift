import Foundation
import Support
import Testing

/// `fathom pack` and `unpack`, and commands on what was packed. That others can read it, and ZipNN's
/// ratio, is for `scripts/interop`.
@Suite struct PackTests {
  let workspace: Workspace

  init() throws { workspace = try Workspace() }

  private func run(_ arguments: String..., status: Int32 = 0) throws -> FathomProcess {
    let run = try FathomProcess(arguments)
    #expect(run.status == status, "\(arguments): \(run.messages)")
    return run
  }

  private func sample(_ name: String) -> String { "\(Repository.samples)/\(name)" }

  private func packed(_ model: String, _ name: String = "packed") throws -> String {
    _ = try run("pack", model, workspace.path(name))
    return workspace.path(name)
  }

  /// Puts other bytes in a file.
  private func change(_ path: String, _ body: (inout [UInt8]) throws -> Void) throws {
    var bytes = try contents(path)
    try body(&bytes)
    try Data(bytes).write(to: URL(fileURLWithPath: path))
  }

  private func convert(_ model: String, _ name: String, _ options: String...) throws -> String {
    let run = try FathomProcess(["convert", model, workspace.path(name), "--to"] + options)
    #expect(run.status == 0, "\(run.messages)")
    return workspace.path(name)
  }

  @Test(arguments: Repository.sampleNames)
  func samplesComeBackByteForByte(name: String) throws {
    let packed = try packed(sample(name))
    let document = try JSONDocument(
      String(decoding: contents("\(packed)/fathom-pack.json"), as: UTF8.self))
    #expect(try JSONSchema(named: "fathom.pack.1").faults(in: document).isEmpty)
    _ = try run("unpack", packed, workspace.path("back"))
    let (before, after) = (try files(sample(name)), try files(workspace.path("back")))
    #expect(before == after)
    #expect(
      try files(packed)["model.safetensors"] != before["model.safetensors"]
        || before["model.safetensors"] == nil)
    let hash = try run("hash", sample(name)).output
    #expect(try run("hash", packed).output == hash)
    #expect(
      try run("validate", packed, "--deep").output == run("validate", sample(name), "--deep").output
    )
  }

  @Test func otherFormatsComeBackToo() throws {
    let model = sample("tiny-trained")
    let models = [
      try convert(model, "a.gguf", "gguf", "--quant", "q4_k_m"),
      try convert(model, "b-mlx", "mlx", "--quant", "4bit", "--group-size", "32"),
      try convert(model, "c-native", "deepseek"),
      try convert(sample("tiny-bf16"), "d.gguf", "gguf", "--quant", "f16"),
    ]
    for path in models {
      let packed = try packed(path, "\(Folder.name(path))-packed")
      let back = workspace.path("back-" + Folder.name(path))
      _ = try run("unpack", packed, back)
      #expect(FileManager.default.contentsEqual(atPath: path, andPath: back), "\(path)")
      #expect(try run("hash", packed).output == run("hash", path).output)
      let report = try JSONDocument(
        printedBy: ["inspect", packed], schema: "fathom.inspect.1")
      #expect((report.number("packed", "ratio") ?? 0) > 1)
      #expect(try run("inspect", packed).output.contains("times smaller"))
    }
  }

  @Test func splitsStayTogether() throws {
    let first = try convert(
      sample("tiny-bf16"), "s.gguf", "gguf", "--quant", "bf16", "--max-shard-size", "200KB")
    let splits = try workspace.names().filter { $0.hasPrefix("s-0") }.sorted()
    #expect(splits.count > 2 && !FileManager.default.fileExists(atPath: first))
    let packed = try packed(workspace.path(splits[1]))
    #expect(try workspace.names("packed").sorted() == (splits + ["fathom-pack.json"]).sorted())
    let hash = try run("hash", workspace.path(splits[0])).output
    #expect(try run("hash", "\(packed)/\(splits[2])").output == hash)
  }

  /// What a conversion of a packed model gives is what one of the model gives.
  @Test func everyCommandReadsThem() throws {
    let (model, packed) = (sample("tiny-fp8"), try packed(sample("tiny-fp8")))
    let targets = [
      ["hf", "--quant", "bf16"], ["gguf", "--quant", "q8_0"], ["mlx", "--quant", "8bit"],
    ]
    for (number, options) in targets.enumerated() {
      let made = try [model, packed].enumerated().map { index, source in
        let path = workspace.path("out-\(number)-\(index)")
        let run = try FathomProcess(["convert", source, path, "--to"] + options)
        #expect(run.status == 0, "\(run.messages)")
        return path
      }
      if options[0] == "gguf" {
        // Its metadata has the model's name, which is the folder's.
        #expect(try run("hash", made[0]).output == run("hash", made[1]).output)
      } else {
        var (one, other) = (try files(made[0]), try files(made[1]))
        // The manifest names the source.
        #expect(one.removeValue(forKey: "fathom-manifest.json") != nil)
        #expect(other.removeValue(forKey: "fathom-manifest.json") != nil)
        #expect(one == other)
      }
    }
    let tokens = try workspace.write("tokens.json", "[1, 5, 9, 200, 31]".utf8)
    let logits = try [model, packed].map { path in
      let output = workspace.path("logits")
      _ = try run("logits", path, "--tokens", tokens, "-o", output, "--overwrite")
      return try contents(output)
    }
    #expect(logits[0] == logits[1])
    let report = try JSONDocument(
      printedBy: ["verify", model, packed, "--tokens", tokens],
      schema: "fathom.verify.1")
    #expect(report.number("main", "maxAbsDifference") == 0)
    #expect(try run("diff", model, packed).output == run("diff", model, model).output)
  }

  @Test func threadsDoNotMatter() throws {
    for threads in ["1", "5"] {
      _ = try run("pack", sample("tiny-bf16"), workspace.path("t\(threads)"), "--threads", threads)
      _ = try run(
        "unpack", workspace.path("t\(threads)"), workspace.path("b\(threads)"), "--threads", threads
      )
    }
    #expect(try files(workspace.path("t1")) == files(workspace.path("t5")))
    #expect(try files(workspace.path("b1")) == files(workspace.path("b5")))
  }

  @Test func placesAreRespected() throws {
    let packed = try packed(sample("tiny-bf16"))
    #expect(try run("pack", sample("tiny-bf16"), packed, status: 73).messages.contains("exists"))
    _ = try run("pack", sample("tiny-bf16"), packed, "--overwrite")
    #expect(
      try run("pack", packed, workspace.path("p2"), status: 64).messages.contains("packed already"))
    #expect(
      try run("unpack", sample("tiny-bf16"), workspace.path("p2"), status: 65).messages
        .contains("nothing that is packed"))
    _ = try run("unpack", workspace.path("nowhere"), workspace.path("p2"), status: 66)
    _ = try run("unpack", packed, status: 64)
    _ = try run("unpack", packed, packed + "/inside", status: 73)
    #expect(try workspace.names() == ["packed"])
    let check = try JSONDocument(
      printedBy: ["unpack", packed, "--check"], schema: "fathom.unpack.1")
    #expect(check.integer("files") == 6)
    let unpacked = try JSONDocument(
      printedBy: ["unpack", packed, workspace.path("u")],
      schema: "fathom.unpack.1")
    #expect(unpacked.string("output") == workspace.path("u"))
  }

  /// Weights carry their own hashes; what lies beside them is in the folder's list alone.
  @Test func aLostListIsSpokenOf() throws {
    let packed = try packed(sample("tiny-bf16"))
    #expect(try run("unpack", packed, "--check").messages.isEmpty)
    try FileManager.default.removeItem(atPath: packed + "/fathom-pack.json")
    #expect(try run("unpack", packed, "--check").messages.contains("no fathom-pack.json"))
    #expect(try run("unpack", packed, workspace.path("u")).messages.contains("is not checked"))
    #expect(try files(workspace.path("u")) == files(sample("tiny-bf16")))
  }
}

/// The last part of a path.
private enum Folder {
  static func name(_ path: String) -> String { String(path.split(separator: "/").last ?? "") }
}
