import Conversion
import Dialects
import Formats
import Models
import Platform
import Support
import Tensors
import Testing
import Weights

/// Codes whose groups are not adjacent columns (`weight_g_idx`), and what else may stand beside codes.
@Suite struct ActivationOrderTests {
  private static let size = 32

  /// A sample whose codes have their columns' groups named, the columns being dealt out in turn or in
  /// order, and the scales made to differ from group to group.
  private func sample(order: Any?, dealt: Bool, to workspace: Workspace) throws -> SampleTensors {
    var model = try SampleTensors("tiny-int4")
    var groups = model.config["quantization_config"] as? [String: Any] ?? [:]
    var all = groups["config_groups"] as? [String: [String: Any]] ?? [:]
    for name in all.keys {
      var weights = all[name]?["weights"] as? [String: Any] ?? [:]
      weights["actorder"] = order
      all[name]?["weights"] = weights
    }
    groups["config_groups"] = all
    model.config["quantization_config"] = groups
    for name in model.names(endingWith: ".weight_packed") {
      let stem = name.dropLast("weight_packed".count)
      let columns = model[name].shape[1] * 8
      let count = columns / Self.size
      let indices = (0..<columns).map { dealt ? $0 % count : $0 / Self.size }
      model["\(stem)weight_g_idx"] = SampleTensors.Tensor(
        "I32", [columns], indices.flatMap { [UInt8($0), 0, 0, 0] })
    }
    return model
  }

  /// The values of a weight, worked out here: (code − 8) · scale of the column's group.
  private func values(_ model: SampleTensors, _ module: String) -> [Float] {
    let packed = model["\(module).weight_packed"]
    let scales = model["\(module).weight_scale"].floats
    let (rows, columns) = (packed.shape[0], packed.shape[1] * 8)
    let groups = model["\(module).weight_g_idx"].bytes.enumerated()
      .filter { $0.offset % 4 == 0 }.map { Int($0.element) }
    return (0..<rows * columns).map { index in
      let byte = packed.bytes[index / 2]
      let code = index % 2 == 0 ? byte & 15 : byte >> 4
      let group = groups[index % columns]
      return (Float(code) - 8) * scales[index / columns * (columns / Self.size) + group]
    }
  }

  private func decoded(_ path: String, _ module: String) throws -> [Float] {
    let source = try SourceModel(path: path, threads: 1)
    let weight = try source.weights.weight(ExactText("\(module).weight"))
    let values = try source.weights.values(weight, rows: 0..<weight.assembly.rows)
    return Array(values.bytes.bindMemory(to: Float.self))
  }

  @Test(arguments: ["group", "dynamic", "weight", nil])
  func columnsHaveTheScalesOfTheirGroups(order: String?) throws {
    let workspace = try Workspace()
    let model = try sample(order: order, dealt: true, to: workspace)
    let path = try model.write(to: workspace)
    for module in ["gate_proj", "down_proj"].map({ "model.layers.1.mlp.experts.3.\($0)" }) {
      #expect(try decoded(path, module) == values(model, module))
    }
    // The order matters for rows of more than one group.
    let plain = "model.layers.1.mlp.experts.3.gate_proj"
    #expect(try decoded(Repository.samples + "/tiny-int4", plain) != values(model, plain))
  }

  @Test func conversionsDecodeByTheOrderAndKeepItWhereItCanBeSaid() throws {
    let workspace = try Workspace()
    let model = try sample(order: "group", dealt: true, to: workspace)
    let path = try model.write(to: workspace)
    let module = "model.layers.1.mlp.experts.0.up_proj"
    let plain = try Conversions(path, Recipe(weights: .named("f32")))
    #expect(try decoded(plain.output, module) == values(model, module))
    let kept = try Conversions(path, Recipe(target: .compressed(.compressedTensors(nil))))
    #expect(kept.plan.tensors.allSatisfy { $0.treatment == .copied })
    #expect(
      try kept.tensors()["\(module).weight_g_idx"]?.bytes == model["\(module).weight_g_idx"].bytes)
    #expect(try decoded(kept.output, module) == values(model, module))
    // MLX has no place for the order: what it gets is decoded.
    let mlx = try Conversions(path, Recipe(target: .mlx(MLXRecipe(nil))))
    #expect(try mlx.tensors().keys.allSatisfy { !$0.contains("g_idx") })
    #expect(try decoded(mlx.output, module) == decoded(path, module).map { Float(bf16: $0) })
  }

  @Test func groupsThatAreNotThereStopTheDecoding() throws {
    let workspace = try Workspace()
    var model = try sample(order: "group", dealt: true, to: workspace)
    let name = "model.layers.1.mlp.experts.0.up_proj.weight_g_idx"
    model[name].bytes[4] = 9
    let path = try model.write(to: workspace)
    let fault = #expect(throws: Fault.self) {
      try decoded(path, "model.layers.1.mlp.experts.0.up_proj")
    }
    #expect(fault?.kind == .malformed)
    #expect(fault?.tensor == ExactText(name))
  }

  @Test func anUndeclaredOrderIsAWarningAndOneThatMattersAnError() throws {
    let workspace = try Workspace()
    let inOrder = try sample(order: "weight", dealt: false, to: workspace)
    let path = try inOrder.write(to: workspace, as: "order")
    let sound = try FathomProcess("validate", path, "--deep", "--format", "json")
    #expect(sound.status == 0, "\(sound.output)")
    #expect(try JSONDocument(sound.output).list("findings").count == 1)
    let other = try sample(order: nil, dealt: true, to: workspace).write(to: workspace, as: "other")
    #expect(try FathomProcess("validate", other).status == 0)
    let deep = try FathomProcess("validate", other, "--deep")
    #expect(deep.status == 1)
    #expect(deep.output.contains("actorder"), "\(deep.output)")
    let declared = try sample(order: "group", dealt: true, to: workspace)
    let right = try FathomProcess(
      "validate", declared.write(to: workspace, as: "declared"), "--deep")
    #expect(right.status == 0 && !right.output.contains("warning:"), "\(right.output)")
  }

  /// Codes of each dialect with something beside them that its reader does not know.
  @Test(arguments: [
    ("tiny-int4", "model.layers.1.mlp.experts.0.up_proj", "weight_scale_2"),
    ("tiny-fp8", "model.layers.1.mlp.experts.0.up_proj", "pre_quant_scale"),
    ("tiny-fp8", "model.layers.0.self_attn.o_proj", "weight_scale"),
  ])
  func anUnknownCompanionStopsTheDecoding(name: String, module: String, companion: String) throws {
    let workspace = try Workspace()
    var model = try SampleTensors(name)
    model["\(module).\(companion)"] = SampleTensors.Tensor([1], floats: [2])
    let path = try model.write(to: workspace)
    for arguments in [
      ["convert", path, workspace.path("out"), "--to", "hf", "--quant", "bf16"],
      ["convert", path, workspace.path("out.gguf"), "--to", "gguf", "--quant", "f16"],
    ] {
      let run = try FathomProcess(arguments)
      #expect(run.status == 65)
      #expect(run.messages.contains("\(module).\(companion)"), "\(run.messages)")
    }
    #expect(try FathomProcess("validate", path).status == 1)
    let fault = #expect(throws: Fault.self) { try decoded(path, module) }
    #expect(fault?.tensor == ExactText("\(module).\(companion)"))
  }

  @Test(arguments: [("tiny-int4", "input_scale"), ("tiny-fp8", "activation_scale")])
  func whatIsAboutActivationsChangesNothing(name: String, companion: String) throws {
    let workspace = try Workspace()
    var model = try SampleTensors(name)
    let module = "model.layers.1.mlp.experts.0.up_proj"
    let before = try decoded(model.write(to: workspace, as: "before"), module)
    model["\(module).\(companion)"] = SampleTensors.Tensor([1], floats: [2])
    let path = try model.write(to: workspace)
    #expect(try decoded(path, module) == before)
    #expect(try FathomProcess("validate", path).status == 0)
  }

  @Test func anUnknownCompanionInMLXStopsTheDecoding() throws {
    let workspace = try Workspace()
    let source = try FathomProcess(
      "convert", Repository.samples + "/tiny-trained", workspace.path("mlx"), "--to", "mlx",
      "--quant", "4bit", "--mtp", "drop")
    #expect(source.status == 0, "\(source.messages)")
    var file = try SafetensorsRewriter(workspace.path("mlx/model.safetensors"))
    file.add("model.layers.1.self_attn.o_proj.g_idx", "I32", count: 1, [0, 0, 0, 0])
    try file.write()
    let run = try FathomProcess(
      "convert", workspace.path("mlx"), workspace.path("out"), "--to", "hf", "--quant", "bf16")
    #expect(run.status == 65)
    #expect(run.messages.contains("o_proj.g_idx"), "\(run.messages)")
  }
}

extension Float {
  /// Rounded to BF16, ties to even.
  fileprivate init(bf16 value: Float) {
    let bits = value.bitPattern
    self.init(bitPattern: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) & 0xFFFF_0000)
  }
}
