import Support
import Testing

/// Commands on networks whose queries see the keys that an indexer chooses: `tiny-glm52`, of whose six
/// layers three share a choice.
@Suite struct SparseAttentionTests {
  static let sample = "tiny-glm52"
  private static let indexer = "model.layers.3.self_attn.indexer."
  let workspace: Workspace
  private let reference = Repository.samples + "/" + sample
  private let tokens: String

  init() throws {
    workspace = try Workspace()
    let ids = (0..<40).map { ($0 * 97 + $0 * $0 * 31) % 288 }
    tokens = try workspace.write("tokens.json", "[\(ids)]".utf8)
  }

  private func verify(_ candidate: String, _ options: String...) throws -> JSONDocument {
    try verifyDocument([reference, candidate, "--tokens", tokens] + options)
  }

  /// Faults that are planted, what is blamed first, and the first layer that goes wrong by itself.
  static let faults: [(fault: PlantedFault, layer: Int)] = [
    (
      PlantedFault("the bias of the key's norm dropped", indexer + "k_norm.bias") { editor in
        try editor.change(indexer + "k_norm.bias") { matrix in
          for column in matrix[0].indices {
            matrix[0][column] = [UInt8](repeating: 0, count: matrix[0][column].count)
          }
        }
      }, 3
    ),
    (
      PlantedFault("heads of the queries exchanged", indexer + "wq_b.weight") { editor in
        try editor.change(indexer + "wq_b.weight") { $0.swapAt(0, 40) }
      }, 3
    ),
    (PlantedFault("halves in place of pairs", key: "indexer_rope_interleave", false), 0),
    (PlantedFault("half of the keys", key: "index_topk", 2), 0),
    (
      PlantedFault(
        "sharing off by one", key: "indexer_types",
        ["full", "full", "shared", "shared", "shared", "shared"]), 3
    ),
  ]

  @Test(arguments: faults.indices) func aPlantedFaultIsNamedFirst(index: Int) throws {
    let (fault, layer) = Self.faults[index]
    let editor = try SampleEditor(Self.sample, in: workspace)
    try fault.plant(editor)
    let report = try verify(editor.path, "--blame")
    let first = try #require(report.list("blame").first)
    #expect(fault.expected.contains(first.string("name") ?? ""), "\(report["blame"] ?? "")")
    #expect((first.number("klMean") ?? 0) > 1e-6)
    let layers = report.list("layers")
    let wrong = layers.filter { ($0.number("ownNmse") ?? 0) > 0 }.compactMap { $0.integer("index") }
    #expect(wrong.first == layer)
    #expect((layers[layer].number("ownKeyAgreement") ?? 1) < 1)
    for earlier in layers.prefix(layer) { #expect(earlier.number("keyAgreement") == 1) }
  }

  @Test func equalModelsSeeTheSameKeys() throws {
    let layers = try verify(reference, "--isolate").list("layers")
    #expect(layers.count == 7)
    for layer in layers {
      #expect(layer.number("keyAgreement") == 1 && layer.number("ownKeyAgreement") == 1)
      #expect(layer.integer("keyTies") == 0)
    }
    let few = try workspace.write("few.json", "[[1,2,3,4,5]]".utf8)
    let run = try FathomProcess(
      "verify", reference, reference, "--tokens", few, "--format", "json")
    let plain = try JSONDocument(run.output).list("layers")
    #expect(plain.allSatisfy { $0["keyAgreement"] == nil && $0["keyTies"] == nil })
  }

  @Test func reportsForPeopleTellOfTheKeys() throws {
    let editor = try SampleEditor(Self.sample, in: workspace)
    try editor.set("index_topk", 2)
    func text(_ options: String...) throws -> String {
      try FathomProcess(
        ["verify", reference, editor.path, "--tokens", tokens, "--isolate"] + options
      ).output
    }
    let plain = try text()
    #expect(plain.contains("same keys") && plain.contains("own keys"))
    #expect(plain.contains("config: index_topk is 2, the reference's 5"))
    #expect(try text("--format", "markdown").contains("same keys"))
    #expect(try text("--format", "html").contains("Key agreement"))
  }

  /// Of each kind of fault one; what stops a pass is named.
  @Test func validateFindsWhatIsWrongOfAnIndexer() throws {
    func findings(_ name: String, _ change: (inout SafetensorsRewriter) -> Void) throws -> [String]
    {
      try workspace.findings(in: reference, as: name, change)
    }
    let (here, shared) = (Self.indexer, "model.layers.4.self_attn.indexer.")
    #expect(
      try findings("missing") { $0.rename(here + "wk.weight", to: "wk.weight") }
        == ["error missing-tensor", "error unexpected-tensor"])
    #expect(
      try findings("shape") {
        $0.join(
          [here + "k_norm.weight", here + "k_norm.bias"], as: here + "k_norm.weight", shape: [32])
        $0.add(here + "k_norm.bias", "BF16", count: 16, [UInt8](repeating: 0, count: 32))
      } == ["error wrong-shape"])
    #expect(
      try findings("type") {
        $0.join([here + "k_norm.bias"], as: here + "k_norm.bias", shape: [16])
        $0.rename(here + "k_norm.bias", to: "x")
        $0.add(here + "k_norm.bias", "F16", count: 16, [UInt8](repeating: 0, count: 32))
        $0.rename("x", to: shared + "k_norm.weight")
      } == ["error wrong-type", "warning unexpected-tensor"])
    // In F32 the norm is as DeepSeek publishes it.
    #expect(
      try findings("f32") {
        $0.rename(here + "k_norm.bias", to: shared + "k_norm.bias")
        $0.add(here + "k_norm.bias", "F32", count: 16, [UInt8](repeating: 0, count: 64))
      } == ["warning unexpected-tensor"])
    let run = try FathomProcess(
      "logits", workspace.path("f32"), "--tokens", tokens, "-o", workspace.path("f32.safetensors"))
    #expect(run.status == 0, "\(run.messages)")
  }

  @Test func aRelabelledCheckpointIsRefused() throws {
    for (sample, label) in [("tiny-glm52", "deepseek_v3"), ("tiny-glm5", "glm4_moe_lite")] {
      let editor = try SampleEditor(sample, in: workspace, as: label)
      try editor.set("model_type", label)
      let run = try FathomProcess(
        "logits", editor.path, "--tokens", tokens, "-o", workspace.path("l.safetensors"))
      #expect(run.status == 65)
      #expect(run.messages.contains("lightning indexer") && run.messages.contains("key index"))
    }
  }

  /// llama.cpp's readers take a file without kinds of layers for one whose layers all choose, or for
  /// GLM-5.2 by its context.
  @Test func ggufNamesTheLayersThatChoose() throws {
    let file = workspace.path("model.gguf")
    let run = try FathomProcess("convert", reference, file, "--to", "gguf", "--quant", "f32")
    #expect(run.status == 0, "\(run.messages)")
    #expect(
      try FathomProcess("convert", file, workspace.path("back"), "--to", "hf").status == 0)
    let config = try JSONDocument(
      String(decoding: contents(workspace.path("back/config.json")), as: UTF8.self))
    #expect(
      config["indexer_types"] as? [String] == [
        "full", "full", "shared", "full", "shared", "shared",
      ])
    #expect(config.integer("index_topk") == 5 && config["indexer_rope_interleave"] as? Bool == true)
    let inspection = try FathomProcess("inspect", file)
    #expect(inspection.output.contains("glm-dsa"))
    let report = try verify(file)
    #expect(report.list("layers").allSatisfy { $0.number("keyAgreement") == 1 })
  }

  /// vLLM has them plain whatever a checkpoint says.
  @Test func weightsOfHeadsAreNotQuantized() throws {
    let output = workspace.path("compressed")
    let run = try FathomProcess(
      "convert", reference, output, "--to", "compressed-tensors", "--quant", "int8-channel")
    #expect(run.status == 0, "\(run.messages)")
    let config = try JSONDocument(
      String(decoding: contents(output + "/config.json"), as: UTF8.self))
    let section = config["quantization_config"] as? [String: Any]
    let ignored = section?["ignore"] as? [String] ?? []
    #expect(ignored.contains(#"re:.*indexer\.weights_proj$"#))
    let list = try FathomProcess("inspect", output, "--tensors", Self.indexer + "*").output
    #expect(list.contains("wq_b.weight_packed") || list.contains("wq_b.weight_scale"))
    #expect(list.contains("weights_proj.weight ") && !list.contains("weights_proj.weight_"))
    #expect(try FathomProcess("validate", "--deep", output).status == 0)
  }

  @Test func inspectTellsWhatContextCosts() throws {
    let run = try FathomProcess("inspect", reference, "--context", "1000", "--format", "json")
    let document = try JSONDocument(run.output)
    #expect(try JSONSchema(named: "fathom.inspect.1").faults(in: document).isEmpty)
    // 3 layers of 32 heads of 16; 6 layers of 2 heads of 20 + 12 + 28 that see 5 keys.
    #expect(document.integer("cost", "indexKeyBytesPerToken") == 3 * 16 * 2)
    #expect(document.integer("cost", "atContext", "indexerFlopsPerToken") == 2 * 3 * 32 * 16 * 1000)
    #expect(
      document.integer("cost", "atContext", "attentionFlopsPerToken") == 2 * 6 * 2 * 60 * 5)
    #expect(
      document.integer("cost", "atContext", "cacheBytes")
        == 1000 * (6 * (36 + 12) * 2 + 3 * 16 * 2))
    let text = try FathomProcess("inspect", reference, "--context", "4").output
    #expect(text.contains("32 heads of 16 choose 5 keys"))
    #expect(text.contains("3 take over") && !text.contains("their choice"))
    #expect(try FathomProcess("inspect", reference, "--context", "0").status == 64)
  }
}
