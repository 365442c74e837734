import Foundation
import Support
import Testing

/// What `fathom types` lists is what `fathom convert` takes, and costs what it writes.
@Suite struct TypesTests {
  private func list(_ arguments: String...) throws -> JSONDocument {
    try JSONDocument(printedBy: ["types"] + arguments, schema: "fathom.types.1")
  }

  @Test func everyNameIsTaken() throws {
    let workspace = try Workspace()
    let targets = try list().list("targets")
    #expect(
      targets.compactMap { $0.string("target") }
        == ["hf", "gguf", "mlx", "compressed-tensors", "modelopt", "deepseek"])
    for target in targets {
      let name = try #require(target.string("target"))
      for type in target.list("types") {
        let quant = try #require(type.string("name"))
        // Blocks of 256 need rows as long.
        let sample = name == "gguf" ? "tiny-trained" : "tiny-bf16"
        let run = try FathomProcess(
          "convert", "\(Repository.samples)/\(sample)", workspace.path("out"), "--to", name,
          "--quant", quant, "--dry-run")
        // A matrix that is needed is asked for, and nothing else is amiss.
        let needs = type.bool("needsImportance") == true
        // Rows of the sample are too short for the one type without a fallback.
        if quant == "q1_0", run.messages.contains("has no fallback") { continue }
        #expect(run.status == (needs ? 64 : 0), "\(name) \(quant): \(run.messages)")
        if needs { #expect(run.messages.contains("importance matrix"), "\(quant)") }
      }
    }
  }

  @Test func typesOfTensorsAreTaken() throws {
    let workspace = try Workspace()
    let gguf = try #require(try list("gguf").list("targets").first)
    #expect(gguf.list("tensorTypes").count > 20)
    for type in gguf.list("tensorTypes") where type.bool("needsImportance") == false {
      let name = try #require(type.string("name"))
      let run = try FathomProcess(
        "convert", Repository.samples + "/tiny-bf16", workspace.path("out.gguf"), "--to", "gguf",
        "--quant", "q8_0", "--tensor-type", "ffn_down_exps=\(name)", "--dry-run")
      #expect(run.status == 0 || run.messages.contains("no whole number of blocks"), "\(name)")
    }
  }

  @Test(
    arguments: [
      ("hf", "fp8", 8.001953125), ("hf", "bf16", 16.0), ("mlx", "4bit", 4.5),
      ("mlx", "mxfp8", 8.25), ("mlx", "nvfp4", 4.5), ("compressed-tensors", "int4-g32", 4.5),
      ("compressed-tensors", "int4-g32-asymmetric", 4.625), ("compressed-tensors", "mxfp4", 4.25),
      ("modelopt", "nvfp4", 4.5), ("gguf", "f16", 16.0), ("deepseek", "f32", 32.0),
    ] as [(String, String, Double)])
  func bitsFollowFromTheLayout(target: String, name: String, bits: Double) throws {
    let types = try #require(try list(target).list("targets").first).list("types")
    let type = try #require(types.first { $0.string("name") == name })
    // llama.cpp's plain files have norms in F32.
    let found = try #require(type.number("bitsPerWeight"))
    #expect(abs(found - bits) < (target == "gguf" ? 0.01 : 1e-12), "\(found)")
  }

  @Test func blocksTakeWhatGGMLSays() throws {
    let types = try #require(try list("gguf").list("targets").first).list("tensorTypes")
    let expected = [
      "q4_0": 4.5, "q8_0": 8.5, "q2_k": 2.625, "q4_k": 4.5, "q6_k": 6.5625, "iq1_s": 1.5625,
      "iq2_xxs": 2.0625, "iq4_xs": 4.25, "mxfp4": 4.25, "nvfp4": 4.5, "tq1_0": 1.6875, "f32": 32,
    ]
    for (name, bits) in expected {
      let type = try #require(types.first { $0.string("name") == name }, "\(name)")
      #expect(type.number("bitsPerWeight") == bits, "\(name)")
    }
    // More bits leave more.
    let order = ["q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "q8_0", "bf16", "f16"]
    let noise = try order.map { name in
      try #require(types.first { $0.string("name") == name }?.number("signalToNoise"), "\(name)")
    }
    #expect(noise == noise.sorted(), "\(noise)")
    #expect(types.first { $0.string("name") == "f32" }?["signalToNoise"] is NSNull)
  }

  /// The mean of a mix is that of the file that a conversion would write.
  @Test(arguments: ["q4_k_m", "q3_k_l", "iq4_xs", "q8_0", "mxfp4_moe", "bf16"])
  func aMixTakesWhatAPlanSays(quant: String) throws {
    let workspace = try Workspace()
    let sample = Repository.samples + "/tiny-trained"
    let types = try #require(try list("gguf", "--model", sample).list("targets").first)
      .list("types")
    let type = try #require(types.first { $0.string("name") == quant })
    let plan = try JSONDocument(
      printedBy: [
        "convert", sample, workspace.path("out.gguf"), "--to", "gguf", "--quant", quant,
        "--dry-run",
      ], schema: "fathom.plan.1")
    var (bytes, elements) = (0, 0)
    for tensor in plan.list("tensors") {
      bytes += tensor.integer("bytes") ?? 0
      elements += (tensor["shape"] as? [Int] ?? []).reduce(1, *)
    }
    let expected = 8 * Double(bytes) / Double(elements)
    let found = try #require(type.number("bitsPerWeight"))
    #expect(abs(found - expected) < 1e-9, "\(found), \(expected)")
  }

  /// Rows of 32 are no blocks of 128, and Q1_0 has no fallback.
  @Test func whatAModelCannotHaveIsNamed() throws {
    let target = try #require(
      try list("gguf", "--model", Repository.samples + "/tiny-trained").list("targets").first)
    #expect(!target.list("types").contains { $0.string("name") == "q1_0" })
    let remarks = target["remarks"] as? [String] ?? []
    #expect(remarks.first?.hasPrefix("q1_0 is not written of this model: ") == true, "\(remarks)")
  }

  @Test func theReferenceIsThePublishedConfig() throws {
    let own = try FathomProcess("types", "gguf", "--format", "json")
    let published = try FathomProcess(
      "types", "gguf", "--model", Repository.samples + "/deepseek-v3/config.json", "--format",
      "json")
    let name = #""model": "DeepSeek-V3""#
    #expect(own.output.contains(name))
    #expect(
      published.output.replacingOccurrences(of: #""model": "config.json""#, with: name)
        == own.output)
    #expect(try FathomProcess("types", "gguf").output.contains("q4_k_m"))
  }

  @Test func aSlipIsNamed() throws {
    let run = try FathomProcess("types", "ggfu")
    #expect(run.status == 64 && run.output.isEmpty)
    #expect(run.messages.contains("'ggfu' is no target: did you mean gguf?"), "\(run.messages)")
    #expect(try FathomProcess("types", "MLX").status == 0)
  }
}
