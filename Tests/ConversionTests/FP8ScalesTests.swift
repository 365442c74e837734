import Conversion
import Dialects
import Formats
import Models
import Platform
import Support
import Tensors
import Testing
import Weights

/// FP8 as quantizers other than DeepSeek's store it: one scale for a matrix or a row, names and types
/// of scales that differ, modules outside the usual ones, and configs that say it otherwise.
@Suite struct FP8ScalesTests {
  /// BF16 weights of a sample cut down to codes, which the scales here need not fit: what matters is
  /// what they are multiplied by.
  private func model(
    scale suffix: String, perRow: Bool, shape: (Int) -> [Int], type: String = "F32",
    companion: String? = nil
  ) throws -> SampleTensors {
    var model = try SampleTensors("tiny-bf16")
    let names = ["_proj.weight", "_proj_with_mqa.weight"].flatMap(model.names(endingWith:))
    for name in names where !name.contains("eh_proj") {
      let old = model[name]
      let rows = old.shape[0]
      let codes = (0..<old.bytes.count / 2).map { UInt8(truncatingIfNeeded: $0 &* 7 % 0x7E) }
      model[name] = SampleTensors.Tensor("F8_E4M3", old.shape, codes)
      let scales = SampleTensors.Tensor(
        shape(rows), floats: (0..<(perRow ? rows : 1)).map { Float($0 + 1) / 64 })
      let stem = String(name.dropLast("weight".count))
      model[stem + suffix] = type == "BF16" ? scales.asBF16 : scales
      if let companion {
        model[stem + companion] = SampleTensors.Tensor([], floats: [0.01])
      }
    }
    return model
  }

  private func decoded(_ path: String, _ name: String) throws -> [Float] {
    let source = try SourceModel(path: path, threads: 1)
    let weight = try source.weights.weight(ExactText(name))
    let values = try source.weights.values(weight, rows: 0..<weight.assembly.rows)
    return Array(values.bytes.bindMemory(to: Float.self))
  }

  /// code · scale, by a table of E4M3 made here.
  private func expected(_ model: SampleTensors, _ name: String, scale: (Int) -> Float) -> [Float] {
    let columns = model[name].shape[1]
    return model[name].bytes.enumerated().map { index, code in
      let (exponent, mantissa) = (Int(code >> 3 & 15), Float(code & 7))
      var value = exponent == 0 ? mantissa / 512 : 1 + mantissa / 8
      for _ in 0..<max(0, exponent - 7) { value *= 2 }
      if exponent > 0 { for _ in 0..<max(0, 7 - exponent) { value /= 2 } }
      return (code & 0x80 == 0 ? value : -value) * scale(index / columns)
    }
  }

  static let kinds: [(suffix: String, perRow: Bool, isScalar: Bool, companion: String?)] = [
    ("weight_scale_inv", false, true, "activation_scale"),
    ("weight_scale", false, true, "input_scale"), ("weight_scale", false, false, nil),
    ("weight_scale", true, false, nil), ("weight_scale_inv", true, true, nil),
  ]

  @Test(arguments: kinds.indices)
  func oneScaleForAMatrixOrARow(index: Int) throws {
    let (suffix, perRow, isScalar, companion) = Self.kinds[index]
    var model = try model(
      scale: suffix, perRow: perRow,
      shape: { perRow ? (isScalar ? [$0] : [$0, 1]) : (isScalar ? [] : [1]) }, companion: companion)
    model.config["quantization_config"] = [
      "quant_method": "fp8", "activation_scheme": "static", "ignored_layers": ["lm_head"],
    ]
    let workspace = try Workspace()
    let path = try model.write(to: workspace)
    let validation = try FathomProcess("validate", path)
    #expect(
      validation.status == 0 && !validation.output.contains("warning:"), "\(validation.output)")
    let name = "model.layers.1.mlp.experts.2.down_proj.weight"
    let values = expected(model, name) { perRow ? Float($0 + 1) / 64 : 1.0 / 64 }
    #expect(try decoded(path, name) == values)
    // Every way on: decoded, kept with all that stands beside the codes, and carried.
    let plain = try Conversions(path, Recipe(weights: .named("f32")))
    #expect(try decoded(plain.output, name) == values)
    #expect(try plain.config()["quantization_config"] == nil)
    for weights in [nil, WeightStorage.named("fp8")] {
      let kept = try Conversions(path, Recipe(weights: weights))
      #expect(try differences(kept.tensors(), tensors(of: path)).isEmpty)
    }
    let moved = try Conversions(path, Recipe(target: .compressed(.compressedTensors(nil))))
    #expect(moved.plan.tensors.allSatisfy { [.copied, .carried].contains($0.treatment) })
    #expect(try decoded(moved.output, name) == values)
    let gguf = try FathomProcess(
      "convert", path, workspace.path("out.gguf"), "--to", "gguf", "--quant", "f32")
    #expect(gguf.status == 0, "\(gguf.messages)")
    // DeepSeek's code has blocks alone.
    #expect(throws: Fault.self) {
      try Plan(SourceModel(path: path, threads: 1), recipe: Recipe(target: .deepSeek(shards: 1)))
    }
  }

  /// A block-scaled sample whose scales are changed.
  private func blocks(_ change: (inout SampleTensors, String) -> Void) throws -> SampleTensors {
    var model = try SampleTensors("tiny-fp8")
    for name in model.names(endingWith: ".weight_scale_inv") { change(&model, name) }
    return model
  }

  @Test func scalesOfAnotherTypeAreOneWarning() throws {
    let workspace = try Workspace()
    let model = try blocks { model, name in model[name] = model[name].asBF16 }
    let path = try model.write(to: workspace)
    let validation = try FathomProcess("validate", path, "--format", "json")
    #expect(validation.status == 0)
    let findings = try JSONDocument(validation.output).list("findings")
    #expect(findings.count == 1 && findings[0].string("severity") == "warning")
    #expect(findings[0].integer("count") == 232)
    // The hint leads to a file without it.
    let usual = try Conversions(path, Recipe(weights: .named("fp8")))
    #expect(try FathomProcess("validate", usual.output).output.contains("0 warnings"))
    let name = "model.layers.0.self_attn.o_proj.weight"
    #expect(try decoded(usual.output, name) == decoded(path, name))
  }

  @Test func scalesUnderTheOtherNameAreReadAndSaidOnce() throws {
    let workspace = try Workspace()
    let model = try blocks { model, name in
      let scales = model.tensors.removeValue(forKey: name)
      model.tensors[String(name.dropLast("_inv".count))] = scales
    }
    let path = try model.write(to: workspace)
    let validation = try FathomProcess("validate", path, "--format", "json")
    #expect(validation.status == 0, "\(validation.output)")
    #expect(try JSONDocument(validation.output).list("findings").count == 1)
    let name = "model.layers.2.mlp.experts.3.gate_proj.weight"
    #expect(try decoded(path, name) == decoded(Repository.samples + "/tiny-fp8", name))
    let usual = try Conversions(path, Recipe(weights: .named("fp8")))
    #expect(try FathomProcess("validate", usual.output).output.contains("0 warnings"))
    // And the other way round.
    let compressed = try Conversions(
      Repository.samples + "/tiny-fp8", Recipe(target: .compressed(.compressedTensors(nil))))
    let own = workspace.path("compressed")
    var reversed = try SampleTensors(folder: compressed.output)
    for name in reversed.names(endingWith: ".weight_scale") {
      let scales = reversed.tensors.removeValue(forKey: name)
      reversed.tensors[name + "_inv"] = scales
    }
    try reversed.write(to: workspace, as: "compressed")
    #expect(try decoded(own, name) == decoded(path, name))
    let other = try FathomProcess("validate", own, "--format", "json")
    #expect(other.status == 0, "\(other.output)")
    // The other one is about what transformers makes of block FP8.
    #expect(try JSONDocument(other.output).list("findings").count == 2)
  }

  @Test func modulesOutsideTheUsualOnesAreReadOffTheTensors() throws {
    let workspace = try Workspace()
    var model = try SampleTensors("tiny-fp8")
    let name = try #require(model.names(endingWith: "eh_proj.weight").first)
    let shape = model[name].shape
    model[name] = SampleTensors.Tensor(
      "F8_E4M3", shape, [UInt8](repeating: 0x38, count: shape[0] * shape[1]))
    let missing = try model.write(to: workspace, as: "missing")
    let run = try FathomProcess("validate", missing)
    #expect(run.status == 1 && run.output.contains("missing-scale"), "\(run.output)")
    let grid = [(shape[0] + 127) / 128, (shape[1] + 127) / 128]
    model[name + "_scale_inv"] = SampleTensors.Tensor(
      grid, floats: [Float](repeating: 0.5, count: grid[0] * grid[1]))
    let path = try model.write(to: workspace)
    let sound = try FathomProcess("validate", path, "--deep")
    #expect(sound.status == 0 && sound.output.contains("0 warnings"), "\(sound.output)")
    #expect(try decoded(path, name).allSatisfy { $0 == 0.5 })
    let plain = try Conversions(path, Recipe(weights: .bf16))
    #expect(try decoded(plain.output, name).allSatisfy { $0 == 0.5 })
  }

  /// Several spellings of one section.
  @Test(
    arguments: [
      ["fmt": "float8_e4m3fn"], ["scale_fmt": "float32"], ["quant_method": "FP8"],
      ["modules_to_not_convert": ["lm_head", "model.embed_tokens"]],
      ["ignored_layers": ["lm_head"]],
      ["exclude_modules": ["lm_head", "*.eh_proj"]], ["dequantize": true],
    ] as [[String: any Sendable]])
  func spellingsOfTheSection(keys: [String: any Sendable]) throws {
    let workspace = try Workspace()
    var model = try SampleTensors("tiny-fp8")
    for (key, value) in keys { model.setStorage(key, value) }
    let run = try FathomProcess("validate", model.write(to: workspace))
    #expect(run.status == 0 && run.output.contains("0 warnings"), "\(run.output)\(run.messages)")
  }

  @Test(arguments: ["float8_e4m3fn", "auto"])
  func typesThatSayNothingOfOtherWeights(name: String) throws {
    let workspace = try Workspace()
    var model = try SampleTensors("tiny-fp8")
    model.config["torch_dtype"] = name
    let path = try model.write(to: workspace)
    #expect(try FathomProcess("validate", path).status == 0)
    let plain = try Conversions(path, Recipe(weights: .bf16))
    #expect(try plain.config()["torch_dtype"] == "bfloat16")
  }

  /// Modules that a synonym keeps out are in BF16 without a word; the same without it is an error.
  @Test func listsOfModulesCountByAnyName() throws {
    let workspace = try Workspace()
    var model = try SampleTensors("tiny-fp8")
    let modules = ["model.layers.0.self_attn.o_proj", "model.layers.1.mlp.shared_experts.up_proj"]
    for module in modules {
      let shape = model["\(module).weight"].shape
      model["\(module).weight"] = SampleTensors.Tensor(
        "BF16", shape, [UInt8](repeating: 0x3C, count: 2 * shape[0] * shape[1]))
      model.tensors["\(module).weight_scale_inv"] = nil
    }
    #expect(try FathomProcess("validate", model.write(to: workspace, as: "without")).status == 1)
    model.setStorage("ignored_layers", modules)
    let run = try FathomProcess("validate", model.write(to: workspace))
    #expect(run.status == 0 && run.output.contains("0 warnings"), "\(run.output)")
  }

  /// What is lost from the config, the hint gives back.
  @Test(arguments: ["tiny-fp8", "tiny-fp8-block32"])
  func theSectionThatIsLostIsNamed(name: String) throws {
    let workspace = try Workspace()
    var model = try SampleTensors(name)
    let section = model.config.removeValue(forKey: "quantization_config") as? [String: Any]
    let path = try model.write(to: workspace)
    let run = try FathomProcess("validate", path, "--format", "json")
    let findings = try JSONDocument(run.output).list("findings")
    #expect(run.status == 1 && findings.count == 1, "\(run.output)")
    let hint = try #require(findings.first?.string("hint"))
    let size = try #require(section?["weight_block_size"] as? [Int])
    #expect(hint.contains("\"weight_block_size\":[\(size[0]),\(size[1])]"), "\(hint)")
    let conversion = try FathomProcess(
      "convert", path, workspace.path("out"), "--to", "hf", "--quant", "bf16")
    #expect(conversion.status == 65 && conversion.messages.contains("weight_block_size"))
  }

  @Test func theOlderKeyOfCompressedTensorsIsRead() throws {
    let workspace = try Workspace()
    var model = try SampleTensors("tiny-int4")
    model.config["compression_config"] = model.config.removeValue(forKey: "quantization_config")
    let path = try model.write(to: workspace)
    let name = "model.layers.1.mlp.experts.3.up_proj.weight"
    #expect(try decoded(path, name) == decoded(Repository.samples + "/tiny-int4", name))
    let run = try FathomProcess("validate", path)
    #expect(run.status == 0 && run.output.contains("compression_config"), "\(run.output)")
    let plain = try Conversions(path, Recipe(weights: .bf16))
    #expect(try plain.config()["compression_config"] == nil)
  }

  @Test func scalesOfACacheAreAWarning() throws {
    let workspace = try Workspace()
    var model = try SampleTensors("tiny-int4")
    for layer in 0..<2 {
      for name in ["k_scale", "v_scale"] {
        model["model.layers.\(layer).self_attn.\(name)"] = SampleTensors.Tensor([1], floats: [1])
      }
    }
    let run = try FathomProcess("validate", model.write(to: workspace), "--format", "json")
    #expect(run.status == 0)
    let findings = try JSONDocument(run.output).list("findings")
    #expect(findings.count == 1 && findings[0].integer("count") == 4, "\(run.output)")
  }

  /// What no network implies is carried along where tensors keep their names, and left out of files that
  /// have names for the network's alone: the words are those of what becomes of it.
  @Test func whatBecomesOfScalesOfACacheIsSaid() throws {
    let workspace = try Workspace()
    var model = try SampleTensors("tiny-int4")
    let name = "model.layers.1.self_attn.k_scale"
    model[name] = SampleTensors.Tensor([1], floats: [1])
    let path = try model.write(to: workspace)
    for (output, options) in [
      ("kept", ["--to", "compressed-tensors"]), ("plain", ["--to", "hf", "--quant", "bf16"]),
      ("left.gguf", ["--to", "gguf", "--quant", "f16"]),
    ] {
      let run = try FathomProcess(["convert", path, workspace.path(output)] + options)
      #expect(run.status == 0, "\(run.messages)")
      let isKept = output != "left.gguf"
      if isKept {
        #expect(try SampleTensors(folder: workspace.path(output)).tensors[name] != nil)
      }
      let (kept, left) = ("carried along: \(name) (scales of a cache", "left out: \(name)")
      #expect(run.messages.contains(kept) == isKept, "\(run.messages)")
      #expect(run.messages.contains(left) != isKept, "\(run.messages)")
    }
  }

  @Test func aRoundedCorrectionBiasIsSaid() throws {
    let workspace = try Workspace()
    var model = try SampleTensors("tiny-bf16")
    for name in model.names(endingWith: "e_score_correction_bias") {
      model[name] = model[name].asBF16
    }
    let path = try model.write(to: workspace)
    let conversion = try Conversions(path, Recipe(weights: .bf16))
    #expect(conversion.result.warnings.contains { $0.contains("correction biases") })
    #expect(try FathomProcess("validate", conversion.output).status == 0)
  }
}
