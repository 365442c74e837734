import Foundation
import Support
import Testing

/// NVFP4 as NVIDIA's ModelOpt publishes it: codes under the weight's own name, scales in E4M3, and
/// `weight_scale_2`, by which scales are multiplied.
@Suite struct ModelOptTests {
  let workspace: Workspace

  init() throws { workspace = try Workspace() }

  private static let numbers: [Float] = [0, 0.5, 1, 1.5, 2, 3, 4, 6]

  /// A code: three bits of magnitude below a sign.
  private static func fp4(_ code: UInt8) -> Float {
    (code & 8 == 0 ? 1 : -1) * numbers[Int(code & 7)]
  }

  /// A positive number of E4M3 that is not subnormal.
  private static func e4m3(_ code: UInt8) -> Float {
    Float(sign: .plus, exponent: Int(code >> 3) - 7, significand: 1 + Float(code & 7) / 8)
  }

  /// Names of matrices that are stored as codes.
  private static func isQuantized(_ name: String, _ tensor: SampleTensors.Tensor) -> Bool {
    name.contains(".mlp.") && name.hasSuffix("_proj.weight") && tensor.shape[1] % 16 == 0
  }

  /// A sample whose MLPs are NVFP4, and its weights' true numbers.
  private func model() throws -> (SampleTensors, expected: [String: [Float]]) {
    var model = try SampleTensors("tiny-bf16")
    var expected: [String: [Float]] = [:]
    var state: UInt64 = 27
    func byte() -> UInt8 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(truncatingIfNeeded: state >> 33)
    }
    for (name, tensor) in model.tensors where ModelOptTests.isQuantized(name, tensor) {
      let (rows, columns) = (tensor.shape[0], tensor.shape[1])
      let codes = (0..<rows * columns / 2).map { _ in byte() }
      let scales = (0..<rows * columns / 16).map { _ in 8 + byte() % 119 }
      let global = (1 + Float(byte())) / 2999
      model[name] = .init("U8", [rows, columns / 2], codes)
      let module = name.dropLast("weight".count)
      model["\(module)weight_scale"] = .init("F8_E4M3", [rows, columns / 16], scales)
      model["\(module)weight_scale_2"] = .init("F32", [], bytes(of: global))
      model["\(module)input_scale"] = .init("F32", [], bytes(of: 0.02))
      expected[name] = (0..<rows * columns).map { index in
        let code = codes[index / 2] >> UInt8(index % 2 * 4) & 15
        return ModelOptTests.fp4(code) * (ModelOptTests.e4m3(scales[index / 16]) * global)
      }
    }
    try #require(expected.count > 20)
    return (model, expected)
  }

  private func bytes(of value: Float) -> [UInt8] {
    withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
  }

  /// The modules that stay as they are, as ModelOpt lists them.
  private static func excluded(_ model: SampleTensors) -> [String] {
    ["lm_head", "*self_attn*"]
      + model.tensors.filter { $0.value.type == "BF16" && $0.value.shape.count == 2 }
      .keys.map { String($0.dropLast(".weight".count)) }.sorted()
  }

  /// The numbers are the definition's, bit for bit, whichever file says what they are.
  @Test(arguments: ["config.json", "hf_quant_config.json"])
  func numbersAreThoseOfTheDefinition(place: String) throws {
    var (model, expected) = try model()
    let excluded = ModelOptTests.excluded(model)
    let group: [String: Any] = ["num_bits": 4, "type": "float", "group_size": 16]
    if place == "config.json" {
      model.config["quantization_config"] = [
        "quant_method": "modelopt", "quant_algo": "NVFP4", "ignore": excluded,
        "config_groups": [
          "group_0": ["weights": group, "input_activations": group, "targets": ["Linear"]]
        ],
      ]
    }
    let path = try model.write(to: workspace)
    if place != "config.json" {
      let settings: [String: Any] = [
        "quant_algo": "NVFP4", "group_size": 16, "exclude_modules": excluded,
        "kv_cache_quant_algo": "FP8",
      ]
      try workspace.write(
        "model/hf_quant_config.json",
        JSONSerialization.data(withJSONObject: ["quantization": settings]))
    }
    let validation = try FathomProcess("validate", path, "--deep")
    #expect(validation.status == 0, "\(validation.output)\(validation.messages)")
    // Who loads it.
    #expect(validation.output.contains("0 errors, 1 warning "), "\(validation.output)")
    #expect(validation.output.contains("transformers 5.23 does not read ModelOpt's NVFP4"))
    let inspection = try FathomProcess("inspect", path)
    #expect(inspection.output.contains("quantization  modelopt-nvfp4 ("), "\(inspection.output)")
    let output = workspace.path("out")
    let run = try FathomProcess("convert", path, output, "--to", "hf", "--quant", "f32")
    #expect(run.status == 0, "\(run.messages)")
    let written = try SampleTensors(folder: output)
    #expect(written.tensors.keys.allSatisfy { !$0.hasSuffix("_scale_2") })
    for (name, values) in expected {
      #expect(
        written[name].type == "F32" && written[name].bytes == values.flatMap(bytes), "\(name)")
    }
    #expect(written.config["quantization_config"] == nil)
    // Loaders would take the numbers for codes by it.
    #expect(try !workspace.names("out").contains("hf_quant_config.json"))
    #expect(run.messages.contains("hf_quant_config.json is not copied") == (place != "config.json"))
    let verdict = try FathomProcess(
      "verify", path, output, "--tokens", workspace.write("t.json", "[[1,5,9,200,3]]".utf8),
      "--max-kl", "0")
    #expect(verdict.status == 0, "\(verdict.messages)")
  }

  /// Codes and scales are moved, and what scales were multiplied by becomes what they are divided by;
  /// modules that are plain stay so, whether or not the section lists them.
  @Test func codesAreMoved() throws {
    var (model, expected) = try model()
    model.config["quantization_config"] = [
      "quant_method": "modelopt", "quant_algo": "NVFP4", "ignore": ["lm_head"],
    ]
    let path = try model.write(to: workspace)
    let refused = try FathomProcess("convert", path, workspace.path("out"), "--to", "hf")
    #expect(refused.status == 64 && refused.messages.contains("--quant"), "\(refused.messages)")
    #expect(try workspace.names() == ["model"])
    let output = workspace.path("out")
    let run = try FathomProcess("convert", path, output, "--to", "compressed-tensors")
    #expect(run.status == 0, "\(run.messages)")
    let moved = try SampleTensors(folder: output)
    for name in expected.keys {
      let module = name.dropLast("weight".count)
      #expect(moved["\(module)weight_packed"].bytes == model[name].bytes, "\(name)")
      #expect(moved["\(module)weight_scale"].bytes == model["\(module)weight_scale"].bytes)
      let factor = float(model["\(module)weight_scale_2"].bytes)
      #expect(float(moved["\(module)weight_global_scale"].bytes) == 1 / factor)
    }
    for (name, tensor) in model.tensors where tensor.type == "BF16" {
      #expect(moved[name].type == "BF16" && moved[name].bytes == tensor.bytes, "\(name)")
    }
    #expect(
      !moved.tensors.keys.contains { $0.hasSuffix("_scale_2") || $0.hasSuffix("input_scale") })
    let back = workspace.path("back")
    try #require(
      FathomProcess("convert", output, back, "--to", "hf", "--quant", "f32").status == 0)
    let written = try SampleTensors(folder: back)
    for (name, values) in expected {
      let found = stride(from: 0, to: written[name].bytes.count, by: 4).map {
        float(Array(written[name].bytes[$0..<$0 + 4]))
      }
      // Two roundings more: of the reciprocal, and of the division by it.
      let isNear = zip(found, values).allSatisfy { abs($0 - $1) <= abs($1) * 0x1p-22 }
      #expect(found.count == values.count && isNear, "\(name)")
    }
  }

  private func float(_ bytes: [UInt8]) -> Float {
    Float(bitPattern: bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) })
  }

  /// Quantizing anew is for who asks for it.
  @Test func itIsQuantizedAnewWhereAsked() throws {
    var (model, _) = try model()
    model.config["quantization_config"] = [
      "quant_method": "modelopt", "quant_algo": "NVFP4", "ignore": ["lm_head"],
    ]
    let path = try model.write(to: workspace)
    let output = workspace.path("out")
    let run = try FathomProcess(
      "convert", path, output, "--to", "compressed-tensors", "--quant", "nvfp4", "--mtp", "drop")
    #expect(run.status == 0, "\(run.messages)")
    let difference = try JSONDocument(
      FathomProcess("diff", path, output, "--format", "json").output)
    for tensor in difference.list("tensors") {
      let noise = tensor.number("sqnrDb") ?? .infinity
      #expect(noise > 15, "\(tensor.string("name") ?? "") \(noise)")
    }
    #expect(difference.integer("totals", "compared") ?? 0 > 20)
  }

  /// What is written says what it is where loaders look, has one number for what they join, and gives
  /// the weights back within what FP4 rounds.
  @Test(arguments: ["nvfp4", "nvfp4-experts"])
  func itIsWritten(quant: String) throws {
    let source = Repository.samples + "/tiny-int4"
    let (plain, output) = (workspace.path("plain"), workspace.path("out"))
    try #require(
      FathomProcess("convert", source, plain, "--to", "hf", "--quant", "bf16").status == 0)
    let run = try FathomProcess("convert", plain, output, "--to", "modelopt", "--quant", quant)
    #expect(run.status == 0 && run.messages.contains("W4A16_NVFP4"), "\(run.messages)")
    let validation = try FathomProcess("validate", output, "--deep")
    #expect(validation.output.contains("0 errors"), "\(validation.output)")
    let written = try SampleTensors(folder: output)
    let weights = try SampleTensors(folder: plain)
    let section = try #require(written.config["quantization_config"] as? [String: Any])
    #expect(section["quant_method"] as? String == "modelopt")
    #expect(section["quant_algo"] as? String == "W4A16_NVFP4")
    let beside = try JSONSerialization.jsonObject(
      with: Data(contents(output + "/hf_quant_config.json")))
    let settings = try #require((beside as? [String: Any])?["quantization"] as? [String: Any])
    let ignored = try #require(section["ignore"] as? [String])
    #expect(settings["exclude_modules"] as? [String] == ignored)
    #expect(settings["quant_algo"] as? String == "W4A16_NVFP4")
    #expect(ignored.contains("*self_attn*") == (quant == "nvfp4-experts"))
    let codes = written.tensors.filter { $0.value.type == "U8" }.keys
    #expect(codes.contains { $0.contains("self_attn") } == (quant == "nvfp4"))
    let pairs = [("gate_proj", "up_proj"), ("q_a_proj", "kv_a_proj_with_mqa")]
    for name in codes {
      let partners = pairs.flatMap { [$0, ($0.1, $0.0)] }.map {
        name.replacingOccurrences(of: ".\($0.0).", with: ".\($0.1).")
      }
      let joined = Set(partners + [name]).flatMap { weights[$0].floats }
      let scale = written["\(name)_scale_2"]
      #expect(
        scale.shape == [] && scale.floats == [joined.reduce(0) { max($0, abs($1)) } / 2688],
        "\(name)")
    }
    let difference = try JSONDocument(
      FathomProcess("diff", plain, output, "--format", "json").output)
    for tensor in difference.list("tensors") {
      #expect(tensor.number("sqnrDb") ?? .infinity > 15, "\(tensor)")
    }
  }

  /// compressed-tensors' NVFP4 is moved with the scales of its activations, and back to the bytes that
  /// it had.
  @Test(arguments: [true, false])
  func theLibrarysCodesAreMoved(hasInputs: Bool) throws {
    var (model, expected) = try model()
    model.config["quantization_config"] = [
      "quant_method": "modelopt", "quant_algo": "NVFP4", "ignore": ModelOptTests.excluded(model),
    ]
    for name in expected.keys {
      // A power of two comes back as it was.
      model["\(name)_scale_2"] = .init("F32", [], bytes(of: 0x1p-9))
    }
    let path = try model.write(to: workspace)
    let middle = workspace.path("middle")
    try #require(FathomProcess("convert", path, middle, "--to", "compressed-tensors").status == 0)
    var library = try SampleTensors(folder: middle)
    if hasInputs {
      var section = try #require(library.config["quantization_config"] as? [String: Any])
      var groups = try #require(section["config_groups"] as? [String: [String: Any]])
      groups["group_0"]?["input_activations"] = [
        "dynamic": "local", "num_bits": 4, "type": "float", "strategy": "tensor_group",
        "group_size": 16, "symmetric": true,
      ]
      section["config_groups"] = groups
      library.config["quantization_config"] = section
      for name in expected.keys {
        let module = name.dropLast("weight".count)
        library["\(module)input_global_scale"] = .init("F32", [1], bytes(of: 50))
      }
    }
    let source = try library.write(to: workspace, as: "library")
    let output = workspace.path("out")
    let run = try FathomProcess("convert", source, output, "--to", "modelopt")
    #expect(run.status == 0, "\(run.messages)")
    #expect(run.messages.contains("W4A16_NVFP4") == !hasInputs)
    let written = try SampleTensors(folder: output)
    let section = try #require(written.config["quantization_config"] as? [String: Any])
    #expect(section["quant_algo"] as? String == (hasInputs ? "NVFP4" : "W4A16_NVFP4"))
    for (name, tensor) in model.tensors where !name.hasSuffix("input_scale") {
      #expect(written[name].type == tensor.type && written[name].bytes == tensor.bytes, "\(name)")
    }
    let inputs = written.tensors.filter { $0.key.hasSuffix("input_scale") }
    #expect(inputs.count == (hasInputs ? expected.count : 0))
    #expect(inputs.values.allSatisfy { $0.shape == [] && $0.floats == [1 / 50] })
    let validation = try FathomProcess("validate", output)
    #expect(validation.output.contains("0 errors"), "\(validation.output)")
  }

  /// Without --quant all of it stays, settings beside the config too; what has no such codes is
  /// refused.
  @Test func itIsKept() throws {
    var (model, _) = try model()
    let settings: [String: Any] = [
      "quant_algo": "NVFP4", "group_size": 16, "exclude_modules": ModelOptTests.excluded(model),
    ]
    let path = try model.write(to: workspace)
    let data = try JSONSerialization.data(withJSONObject: ["quantization": settings])
    let settingsFile = try workspace.write("model/hf_quant_config.json", data)
    let output = workspace.path("out")
    let run = try FathomProcess(
      "convert", path, output, "--to", "modelopt", "--mtp", "drop", "--max-shard-size", "100KB")
    #expect(run.status == 0, "\(run.messages)")
    #expect(try contents(output + "/hf_quant_config.json") == contents(settingsFile))
    let written = try SampleTensors(folder: output)
    #expect(written.tensors.count > 100)
    for (name, tensor) in written.tensors {
      #expect(model[name].bytes == tensor.bytes && model[name].type == tensor.type, "\(name)")
    }
    let validation = try FathomProcess("validate", output)
    #expect(validation.output.contains("0 errors"), "\(validation.output)")
    model.config["quantization_config"] = [
      "quant_method": "modelopt", "quant_algo": "W4A16_NVFP4",
      "ignore": ModelOptTests.excluded(model),
    ]
    // Scales of activations that nobody needs are no fault.
    let weightsAlone = try FathomProcess("validate", model.write(to: workspace, as: "alone"))
    #expect(weightsAlone.output.contains("0 errors"), "\(weightsAlone.output)")
    for sample in ["tiny-fp8", "tiny-bf16", "tiny-int4"] {
      let refused = try FathomProcess(
        "convert", Repository.samples + "/" + sample, workspace.path("no"), "--to", "modelopt")
      #expect(refused.status == 64 && refused.messages.contains("--quant nvfp4"), "\(sample)")
    }
    #expect(try !workspace.names().contains("no"))
  }

  /// What belongs to codes is missed, and what is plain is said to be.
  @Test(arguments: ["weight_scale_2", "weight_scale", "plain"])
  func whatIsNotThereIsNamed(what: String) throws {
    var (model, expected) = try model()
    model.config["quantization_config"] = [
      "quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16,
      "exclude_modules": ModelOptTests.excluded(model),
    ]
    let name = try #require(expected.keys.min())
    let module = name.dropLast("weight".count)
    if what == "plain" {
      model[name] = try SampleTensors("tiny-bf16")[name]
      for part in ["weight_scale", "weight_scale_2", "input_scale"] {
        model.tensors["\(module)\(part)"] = nil
      }
    } else {
      model.tensors["\(module)\(what)"] = nil
    }
    let path = try model.write(to: workspace)
    let run = try FathomProcess("validate", path, "--format", "json")
    #expect(run.status == (what == "plain" ? 0 : 1), "\(run.output)")
    // One finding says that transformers does not read such files.
    let found = try JSONDocument(run.output).list("findings").filter { $0.string("tensor") != nil }
    #expect(found.count == 1, "\(found)")
    #expect(found.first?.string("tensor") == (what == "plain" ? name : "\(module)\(what)"))
    let conversion = try FathomProcess(
      "convert", path, workspace.path("out"), "--to", "hf", "--quant", "bf16")
    #expect(conversion.status == (what == "plain" ? 0 : 65), "\(conversion.messages)")
  }
}
