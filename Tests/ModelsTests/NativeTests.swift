import Models
import Naming
import Platform
import Support
import Tensors
import Testing

/// DeepSeek's own names and keys. Origin: the files in `inference/configs` of its repository of
/// DeepSeek-V3, and what `inference/convert.py` there makes of names.
@Suite struct NativeTests {
  /// Published configs by file name; those of V3 differ in `scale_fmt` alone.
  static let published: [String: JSONObject] = [
    "config_16B.json": [
      "vocab_size": .integer(102_400), "dim": .integer(2048), "inter_dim": .integer(10944),
      "moe_inter_dim": .integer(1408), "n_layers": .integer(27), "n_dense_layers": .integer(1),
      "n_heads": .integer(16), "n_routed_experts": .integer(64), "n_shared_experts": .integer(2),
      "n_activated_experts": .integer(6), "route_scale": .number(1), "q_lora_rank": .integer(0),
      "kv_lora_rank": .integer(512), "qk_nope_head_dim": .integer(128),
      "qk_rope_head_dim": .integer(64), "v_head_dim": .integer(128), "mscale": .number(0.707),
    ],
    "config_671B.json": deepSeekV3,
    "config_v3.1.json": deepSeekV3.adding("scale_fmt", .string("ue8m0")),
  ]
  private static let deepSeekV3: JSONObject = [
    "vocab_size": .integer(129_280), "dim": .integer(7168), "inter_dim": .integer(18432),
    "moe_inter_dim": .integer(2048), "n_layers": .integer(61), "n_dense_layers": .integer(3),
    "n_heads": .integer(128), "n_routed_experts": .integer(256), "n_shared_experts": .integer(1),
    "n_activated_experts": .integer(8), "n_expert_groups": .integer(8),
    "n_limited_groups": .integer(4), "route_scale": .number(2.5), "score_func": .string("sigmoid"),
    "q_lora_rank": .integer(1536), "kv_lora_rank": .integer(512), "qk_nope_head_dim": .integer(128),
    "qk_rope_head_dim": .integer(64), "v_head_dim": .integer(128), "dtype": .string("fp8"),
  ]

  private func huggingFace(
    _ sample: String, _ changes: [String: JSONValue] = [:]
  ) throws -> ModelConfig {
    let path = "\(Repository.samples)/\(sample)/config.json"
    guard case .object(var object) = try JSONValue(parsing: contents(path), file: path) else {
      throw Fault(.malformed, "no object")
    }
    for (key, value) in changes { object[key] = value }
    return try ModelConfig(json: .object(object), file: path)
  }

  /// The tensors that shards of a config hold.
  private func tensors(_ config: ModelConfig) -> [NativeSource.Whole] {
    config.expectedTensors().map { tensor in
      let type: ElementType =
        switch tensor.storage {
        case .plain, .plainOrFloat32: config.dataType ?? .bf16
        case .float32, .scale: .f32
        case .fp8: .f8E4M3
        case .compressed, .fp4, .indices: preconditionFailure("DeepSeek's shards hold none")
        }
      return NativeSource.Whole(name: tensor.name, type: type, shape: tensor.shape)
    }
  }

  @Test(arguments: ["config_671B.json", "config_v3.1.json"])
  func theConfigIsDeepSeeksOwn(file: String) throws {
    let expected = try #require(NativeTests.published[file])
    var config = try huggingFace("deepseek-v3")
    config.fp8?.powerOfTwoScales = file == "config_v3.1.json"
    let native = NativeConfig(config)
    #expect(native.lost == [] && native.warnings == [])
    for key in expected.keys { #expect(native.json[key] == expected[key], "\(key)") }
    #expect((native.json["scale_fmt"] == nil) == (file == "config_671B.json"))
    // What a published file leaves out has the default of `ModelArgs`.
    #expect(native.json["original_seq_len"] == .integer(4096))
    #expect(native.json["rope_factor"] == .integer(40))
    #expect(native.json["mscale"] == .number(1))
    #expect(native.json["max_seq_len"] == nil)
  }

  @Test(arguments: ["config_671B.json", "config_v3.1.json"])
  func deepSeeksOwnConfigIsHuggingFaces(file: String) throws {
    var expected = try huggingFace("deepseek-v3")
    expected.fp8?.powerOfTwoScales = file == "config_v3.1.json"
    let native = JSONValue.object(try #require(NativeTests.published[file]))
    #expect(NativeSource.isNative(native))
    let source = try NativeSource(native, tensors: tensors(expected), file: file)
    #expect(source.notes == [])
    #expect(try ModelConfig(json: source.json, file: file) == expected)
  }

  @Test func deepSeekV2IsNamedAsSuch() throws {
    let native = JSONValue.object(try #require(NativeTests.published["config_16B.json"]))
    let source = try NativeSource(native, tensors: [], file: "config.json")
    #expect(source.json["model_type"] == .string("deepseek_v2"))
    #expect(source.json["q_lora_rank"] == .null)
    #expect(source.json["rope_scaling"]?["mscale_all_dim"] == .number(0.707))
    #expect(source.json["max_position_embeddings"] == .integer(163_840))
  }

  /// What the keys can say comes back; `rms_norm_eps` they cannot.
  /// Samples that DeepSeek's code could hold: not those in compressed-tensors' formats.
  static let samples = Repository.deepSeekV3Samples.filter {
    !["tiny-int4", "tiny-mixed"].contains($0)
  }

  @Test(arguments: samples)
  func configsComeBack(sample: String) throws {
    var config = try huggingFace(sample)
    let native = NativeConfig(config)
    let source = try NativeSource(native.json, tensors: tensors(config), file: "config.json")
    let back = try ModelConfig(json: source.json, file: "config.json")
    #expect(native.lost.contains { $0.contains("rms_norm_eps") } == (sample == "tiny-mtp2"))
    config.rmsNormEpsilon = 1e-6
    #expect(native.lost.contains { $0.contains("norm_topk_prob") } == (sample == "tiny-tied"))
    config.normalizeExpertWeights = true
    #expect(back == config)
  }

  @Test(arguments: [
    ("max_position_embeddings", JSONValue.integer(20_000)), ("rope_scaling", .null),
    ("rope_theta", .number(50_000)), ("scoring_func", .string("softmax")),
    ("q_lora_rank", .null), ("n_shared_experts", .integer(0)),
  ])
  func keysComeBack(key: String, value: JSONValue) throws {
    var changes = [key: value]
    if key == "scoring_func" { changes["norm_topk_prob"] = .bool(false) }
    let config = try huggingFace("tiny-bf16", changes)
    let native = NativeConfig(config)
    #expect(native.lost.isEmpty && native.warnings.count == 1, "dim is not 7168")
    let source = try NativeSource(native.json, tensors: tensors(config), file: "config.json")
    #expect(try ModelConfig(json: source.json, file: "config.json") == config)
  }

  @Test(arguments: [
    ("rope_interleave", JSONValue.bool(false)), ("moe_layer_freq", .integer(2)),
    ("torch_dtype", .string("float16")), ("model_type", .string("kimi_k2")),
    ("tie_word_embeddings", .bool(true)),
    ("rope_scaling", .object(["type": .string("yarn"), "factor": .integer(4)])),
  ])
  func whatKeysCannotSayIsSaid(key: String, value: JSONValue) throws {
    let native = NativeConfig(try huggingFace("tiny-bf16", [key: value]))
    let isInTensors = key == "torch_dtype" || key == "tie_word_embeddings"
    #expect(native.lost.count == (isInTensors ? 0 : 1))
    #expect(native.warnings.count == (isInTensors ? 2 : 1))
  }

  @Test func modulesThatStayPlainComeBack() throws {
    var config = try huggingFace("tiny-fp8-block32")
    config.fp8?.excludedModules = ["model.layers.1.self_attn.o_proj"]
    let native = NativeConfig(config)
    let source = try NativeSource(native.json, tensors: tensors(config), file: "config.json")
    #expect(source.notes.count == 1)
    #expect(try ModelConfig(json: source.json, file: "config.json") == config)
  }

  @Test(arguments: ["deepseek-v3", "tiny-no-qlora", "tiny-tied"])
  func namesComeBack(sample: String) throws {
    var seen: Set<String> = []
    for tensor in try huggingFace(sample).expectedTensors() {
      let native = try #require(NativeNames.native(of: tensor.name))
      #expect(seen.insert(native.name.text).inserted)
      #expect(!native.name.contains("model.") && native.expert == tensor.expert)
      #expect((native.division == .expert) == (tensor.expert != nil))
      let back = try #require(NativeNames.huggingFace(of: native.name))
      #expect(back.name == tensor.name && back.division == native.division)
      #expect(back.expert == tensor.expert)
    }
  }

  @Test(arguments: [
    ("lm_head.weight", "head.weight", NativeNames.Division.rows),
    ("model.layers.7.self_attn.o_proj.weight_scale_inv", "layers.7.attn.wo.scale", .columns),
    ("model.layers.3.mlp.gate.e_score_correction_bias", "layers.3.ffn.gate.bias", .replicated),
    (
      "model.layers.3.mlp.experts.255.down_proj.weight", "layers.3.ffn.experts.255.w2.weight",
      .expert
    ),
    ("model.layers.61.shared_head.head.weight", "layers.61.shared_head.head.weight", .rows),
    ("model.layers.61.eh_proj.weight", "layers.61.eh_proj.weight", .replicated),
  ])
  func namesAreDeepSeeks(other: String, native: String, division: NativeNames.Division) throws {
    let found = try #require(NativeNames.native(of: ExactText(other)))
    #expect(found.name == ExactText(native) && found.division == division)
  }

  @Test(arguments: [
    "model.layers.0.self_attn.q_a_proj.bias", "model.layers.0.self_attn.rotary_emb.inv_freq",
    "model.layers.x.input_layernorm.weight", "model.layers.01.input_layernorm.weight",
    "lm_head", "", "model.layers.3.mlp.experts.gate_proj.weight", "input_layernorm.weight",
  ])
  func otherNamesHaveNone(name: String) { #expect(NativeNames.native(of: ExactText(name)) == nil) }

  @Test(arguments: [
    ("dim", JSONValue.string("wide")), ("n_layers", .integer(0)), ("rope_factor", .integer(0)),
    ("original_seq_len", .number(1.5)), ("score_func", .integer(1)), ("route_scale", .string("")),
  ])
  func whatIsOfAnotherTypeIsRefused(key: String, value: JSONValue) throws {
    let native = try #require(NativeTests.published["config_671B.json"]).adding(key, value)
    #expect(throws: Fault.self) {
      try NativeSource(.object(native), tensors: [], file: "config.json")
    }
  }
}

extension JSONObject {
  /// The object with a member replaced or added.
  fileprivate func adding(_ key: String, _ value: JSONValue) -> JSONObject {
    var object = self
    object[key] = value
    return object
  }
}

/// Into how many shards networks can be divided.
@Suite struct NativeDivisionTests {
  private func config(
    _ sample: String, _ change: (inout ModelConfig) -> Void = { _ in }
  ) throws -> ModelConfig {
    let path = "\(Repository.samples)/\(sample)/config.json"
    var config = try ModelConfig(
      json: JSONValue(parsing: contents(path), file: path), file: path)
    change(&config)
    return config
  }

  /// A dense layer has 9 × 16 blocks, the shared expert 16; DeepSeek asks for 8 or 16 shards.
  @Test func deepSeekV3HasSixteenAtTheMost() throws {
    let division = NativeDivision(try config("deepseek-v3"))
    #expect(division.largest == 16)
    for ranks in [1, 2, 4, 8, 16] { try division.require(ranks) }
    do throws(Fault) {
      try division.require(32)
      Issue.record("32 shards were accepted")
    } catch {
      #expect(error.kind == .usage)
      #expect(error.tensor == "model.layers.0.mlp.gate_proj.weight_scale_inv")
      #expect(error.found == "144 blocks of 128")
      #expect(error.expected?.contains("--mp 16") == true)
    }
  }

  /// Without blocks the heads and the vocabulary decide.
  @Test func plainWeightsAllowMore() throws {
    let division = NativeDivision(try config("deepseek-v3") { $0.fp8 = nil })
    #expect(division.largest == 128)
    let odd = NativeDivision(
      try config("deepseek-v3") {
        $0.fp8 = nil
        $0.vocabSize = 129_282
      })
    #expect(odd.largest == 2)
  }

  @Test(arguments: [
    ("tiny-eighths", 8), ("tiny-bf16", 4), ("tiny-tied", 4), ("tiny-no-qlora", 1), ("tiny-fp8", 1),
    // Its grids would divide by two, its blocks would not.
    ("tiny-trained", 1),
  ])
  func samplesDivide(sample: String, largest: Int) throws {
    #expect(NativeDivision(try config(sample)).largest == largest)
  }

  @Test(arguments: [3, 5, 16])
  func otherNumbersAreRefused(ranks: Int) throws {
    let division = NativeDivision(try config("tiny-eighths"))
    #expect(throws: Fault.self) { try division.require(ranks) }
  }
}
