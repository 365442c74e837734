import Foundation
import Support
import Testing

/// Commands on networks whose queries are scaled by their positions: `tiny-mistral4`, from position 5
/// on, and `mistral-large3` in Mistral's own form.
@Suite struct MistralTests {
  private static let small = Repository.samples + "/tiny-mistral4"
  private static let large = Repository.samples + "/mistral-large3"
  let workspace: Workspace

  init() throws { workspace = try Workspace() }

  private func run(_ arguments: String...) throws -> FathomProcess {
    let run = try FathomProcess(arguments)
    #expect(run.status == 0, "\(run.messages)")
    return run
  }

  private func json(_ path: String) throws -> JSONDocument {
    try JSONDocument(String(decoding: contents(path), as: UTF8.self))
  }

  private func tensors(_ folder: String) throws -> [String] {
    try SafetensorsView(folder + "/model.safetensors").header.keys.sorted()
  }

  private func expectSame(_ reference: String, _ candidate: String, within kl: String) throws {
    let tokens = (reference == Self.large ? Self.large : Self.small) + "/expected.safetensors"
    _ = try run("verify", reference, candidate, "--tokens", tokens, "--max-kl", kl)
  }

  /// Planted faults, what is blamed first, and whether tokens before position 5 differ too.
  static let faults: [(fault: PlantedFault, isEarly: Bool)] = [
    (
      PlantedFault("queries grow twice as much", "rope_parameters.llama_4_scaling_beta") {
        try $0.set("text_config.rope_parameters.llama_4_scaling_beta", 0.9)
      }, false
    ),
    (
      PlantedFault("queries do not grow", "rope_parameters.llama_4_scaling_beta") {
        try $0.set("text_config.rope_parameters.llama_4_scaling_beta", 0.0)
      }, false
    ),
    (
      PlantedFault("gates for ups", "model.layers.1.mlp.experts") { editor in
        try editor.change("language_model.model.layers.1.mlp.experts.gate_up_proj") { rows in
          // Each of 4 experts has 10 gates and 10 ups.
          for start in stride(from: 0, to: 80, by: 20) {
            for row in start..<start + 10 { rows.swapAt(row, row + 10) }
          }
        }
      }, true
    ),
  ]

  @Test(arguments: faults.indices) func aPlantedFaultIsNamed(index: Int) throws {
    let (fault, isEarly) = Self.faults[index]
    let editor = try SampleEditor("tiny-mistral4", in: workspace)
    try fault.plant(editor)
    func report(_ tokens: String) throws -> JSONDocument {
      let file = try workspace.write("\(tokens.count).json", "[\(tokens)]".utf8)
      return try JSONDocument(
        run(
          "verify", Self.small, editor.path, "--tokens", file, "--blame", "--format", "json"
        ).output)
    }
    let late = try report("[1,5,9,200,3,77,14,30,7,8,9,10]")
    #expect((late.number("main", "klMean") ?? 0) > 1e-7)
    let first = try #require(late.list("blame").first?.string("name"))
    #expect(fault.expected.contains { first.hasPrefix($0) }, "\(first)")
    let early = try report("[1,5,9,200,3]")
    #expect(((early.number("main", "klMax") ?? 1) > 1e-12) == isEarly)
  }

  /// Stacks come and go as the files of the network have them.
  @Test func expertsStayInStacks() throws {
    let output = workspace.path("hf")
    _ = try run("convert", Self.small, output, "--to", "hf", "--quant", "f32")
    let stored = try tensors(output)
    #expect(stored.contains("language_model.model.layers.0.mlp.experts.gate_up_proj"))
    #expect(stored.contains("language_model.model.layers.1.mlp.experts.down_proj"))
    #expect(!stored.contains { $0.contains(".experts.0.") })
    let coded = workspace.path("fp8")
    _ = try run(
      "convert", Self.small, coded, "--to", "hf", "--quant", "fp8", "--block-size", "10x10")
    #expect(
      try tensors(coded).contains(
        "language_model.model.layers.0.mlp.experts.gate_up_proj_scale_inv"))
    _ = try run("validate", "--deep", coded)
    let plain = workspace.path("plain")
    _ = try run("convert", coded, plain, "--to", "hf", "--quant", "f32")
    try expectSame(coded, plain, within: "1e-9")
    let again = workspace.path("again")
    _ = try run("convert", coded, again, "--to", "hf")
    try expectSame(coded, again, within: "0")
    let refused = try FathomProcess(
      "convert", Self.small, workspace.path("x"), "--to", "hf", "--quant", "fp8")
    #expect(refused.status == 64)
    #expect(refused.messages.contains("two experts") && refused.messages.contains("--block-size"))
  }

  @Test func validateFindsWhatIsWrongOfAStack() throws {
    func findings(_ name: String, _ change: (inout SafetensorsRewriter) -> Void) throws -> [String]
    {
      try workspace.findings(in: Self.small, as: name, change)
    }
    let stack = "language_model.model.layers.1.mlp.experts.down_proj"
    // All three of each of four experts, or those of one projection.
    #expect(
      try Set(findings("missing") { $0.rename(stack, to: "language_model.x") })
        == ["error missing-tensor", "error unexpected-tensor"])
    let norm = "language_model.model.layers.1.input_layernorm.weight"
    #expect(
      try Set(
        findings("flat") {
          $0.rename(stack, to: "language_model.x")
          $0.rename(norm, to: stack)
        }
      ).contains("error missing-tensor"))
  }

  @Test func mistralsOwnFormIsRead() throws {
    let document = try JSONDocument(
      run("validate", "--deep", "--format", "json", Self.large).output)
    #expect(document.list("findings").isEmpty && document.integer("unchecked") == 1)
    let inspection = try JSONDocument(run("inspect", Self.large, "--format", "json").output)
    #expect(try JSONSchema(named: "fathom.inspect.1").faults(in: inspection).isEmpty)
    #expect(inspection.string("architecture") == "mistral4")
    #expect(inspection.integer("positions", "queryTemperature", "length") == 5)
    #expect(try run("inspect", Self.large).output.contains("a step each 5"))
    try expectSame(Self.large, Self.large, within: "1e-12")
  }

  @Test(
    arguments: [
      ["hf", "bf16"], ["hf", "f32"], ["gguf", "f32"], ["gguf", "bf16"], ["mlx", "bf16"],
    ])
  func mistralsOwnFormIsTheSameInEveryFormat(format: [String]) throws {
    let output = workspace.path(format[0] == "gguf" ? "model.gguf" : "model")
    _ = try run("convert", Self.large, output, "--to", format[0], "--quant", format[1])
    _ = try run("validate", "--deep", output)
    try expectSame(Self.large, output, within: "1e-9")
    if format[0] == "hf" {
      let config = try json(output + "/config.json")
      #expect(config.string("model_type") == "mistral4")
      #expect(config.number("rope_parameters", "attention_factor") == 1)
      #expect(try tensors(output).contains("model.layers.1.mlp.experts.gate_up_proj"))
      #expect(try !tensors(output).contains { $0.contains("vision") })
    }
    guard format[0] == "gguf" else { return }
    let back = workspace.path("back")
    _ = try run("convert", output, back, "--to", "hf")
    try expectSame(Self.large, back, within: "1e-9")
    #expect(try json(back + "/config.json").string("model_type") == "mistral4")
  }

  /// Published folders have a config.json beside, of a class that no loader of these files reads.
  @Test func paramsCountBesideMistralsFiles() throws {
    let path = workspace.path("both")
    try FileManager.default.copyItem(atPath: Self.large, toPath: path)
    try Data(#"{"architectures": ["Mistral3ForConditionalGeneration"]}"#.utf8)
      .write(to: URL(fileURLWithPath: path + "/config.json"))
    try expectSame(Self.large, path, within: "0")
    try FileManager.default.removeItem(atPath: path + "/params.json")
    #expect(try FathomProcess("validate", path).status == 65)
  }

  @Test func whatIsMissingHasMistralsName() throws {
    let path = workspace.path("missing")
    try FileManager.default.copyItem(atPath: Self.large, toPath: path)
    var file = try SafetensorsRewriter(path + "/consolidated.safetensors")
    file.rename("layers.1.experts.2.w1.weight", to: "layers.1.experts.2.w9.weight")
    file.close()
    try file.write()
    let run = try FathomProcess("validate", path)
    #expect(run.status == 1)
    #expect(run.output.contains("layers.1.experts.2.w1.weight"), "\(run.output)")
    #expect(run.output.contains("layers.1.experts.2.w9.weight"))
  }
}
