import Models
import Naming
import Platform
import Support
import Tensors
import Testing
import Weights

/// The config beside DeepSeek-V4's own shards. What absent keys mean is what `ModelArgs` of the
/// network's `inference/model.py` has; the document with all keys is that code's of V4-Flash.
@Suite struct DeepSeekV4ShardConfigTests {
  private static let file = "config.json"
  /// Keys of V4-Flash's own config, without what is about a run.
  private static let published = """
    {"vocab_size": 129280, "dim": 4096, "moe_inter_dim": 2048, "n_layers": 43, "n_hash_layers": 3,
     "n_heads": 64, "n_routed_experts": 256, "n_shared_experts": 1, "n_activated_experts": 6,
     "score_func": "sqrtsoftplus", "route_scale": 1.5, "swiglu_limit": 10.0, "q_lora_rank": 1024,
     "head_dim": 512, "rope_head_dim": 64, "norm_eps": 1e-6, "o_groups": 8, "o_lora_rank": 1024,
     "window_size": 128, "original_seq_len": 65536, "rope_theta": 10000.0, "rope_factor": 16,
     "compress_ratios": [0, 0\(String(repeating: ", 4, 128", count: 20)), 4, 0],
     "compress_rope_theta": 160000.0, "beta_fast": 32, "beta_slow": 1, "index_n_heads": 64,
     "index_head_dim": 128, "index_topk": 512, "hc_mult": 4, "hc_sinkhorn_iters": 20,
     "hc_eps": 1e-6, "dtype": "fp8", "scale_fmt": "ue8m0", "expert_dtype": "fp4"}
    """

  private func document(
    _ changes: [String: JSONValue] = [:], without key: String? = nil
  ) throws -> JSONValue {
    guard
      case .object(var object) = try JSONValue(
        parsing: Array(Self.published.utf8), file: Self.file)
    else { return .null }
    for (key, value) in changes { object[key] = value }
    if let key { object[key] = nil }
    return .object(object)
  }

  /// V4-Flash by its own keys, which say that it has a layer that predicts.
  private func flash() throws -> ModelConfig {
    let text = Array(FullSizeCheckpoint.flash.utf8)
    guard case .object(var object) = try JSONValue(parsing: text, file: Self.file) else {
      throw Fault(.malformed, "is no object", file: Self.file)
    }
    object["num_nextn_predict_layers"] = 1
    return try ModelConfig(json: .object(object), file: Self.file)
  }

  /// What shards hold, the first half of the output in BF16.
  private func tensors(_ config: ModelConfig) -> [NativeSource.Whole] {
    config.expectedTensors().map { tensor in
      let isOutput = tensor.name.hasSuffix(V4Shards.output)
      let type = tensor.storage == .scale ? .f8E8M0 : tensor.publishedType
      return NativeSource.Whole(
        name: tensor.name, type: isOutput ? .bf16 : type, shape: tensor.shape)
    }
  }

  private func read(
    _ document: JSONValue, _ tensors: [NativeSource.Whole]
  ) throws -> (config: ModelConfig, json: JSONValue) {
    let source = try NativeSource(document, tensors: tensors, file: Self.file)
    #expect(source.notes.isEmpty, "\(source.notes)")
    return (try ModelConfig(json: source.json, file: Self.file), source.json)
  }

  @Test func publishedKeysAreHuggingFaces() throws {
    var expected = try flash()
    let document = try document()
    #expect(NativeSource.isNative(document) && !MistralConfig.isMistral(document))
    #expect(NativeConfig.unknown(in: document).isEmpty)
    let found = try read(document, tensors(expected)).config
    // In every layer, those that predict too.
    #expect(found.fp8?.excludedModules.count == 44)
    #expect(found.fp8?.excludedModules.allSatisfy(V4Shards.isOutput) == true)
    expected.fp8?.excludedModules = found.fp8?.excludedModules ?? []
    #expect(found == expected)
    // What is written is read as what it was.
    let written = NativeConfig(expected)
    #expect(written.lost.isEmpty && written.warnings.isEmpty, "\(written.lost) \(written.warnings)")
    #expect(try read(written.json, tensors(expected)).config == expected)
  }

  /// Positions have no key: what the range of the original ones does not give is said to be lost.
  @Test(arguments: [16.0, 8, 1e300])
  func positionsThatAreLostAreSaid(factor: Double) throws {
    var config = try flash()
    config.yarn?.factor = factor
    let lost = NativeConfig(config).lost.filter { $0.contains("max_position_embeddings") }
    #expect(lost.count == (factor == 16 ? 0 : 1), "\(lost)")
  }

  @Test func absentKeysAreThoseOfTheClass() throws {
    let keys: [(String, (ModelConfig) -> Double?, Double)] = [
      ("moe_inter_dim", { Double($0.moeIntermediateSize) }, 4096),
      ("n_hash_layers", { $0.hashLayers.map(Double.init) }, 0),
      ("n_routed_experts", { Double($0.routedExperts) }, 8),
      ("n_activated_experts", { Double($0.expertsPerToken) }, 2),
      ("route_scale", { Double($0.routedScalingFactor) }, 1),
      ("compress_rope_theta", { $0.v4?.compressTheta }, 40_000),
      ("rope_factor", { $0.yarn?.factor }, 40),
      ("original_seq_len", { $0.yarn?.factor ?? 0 }, 0),
      ("window_size", { $0.v4.map { Double($0.window) } }, 128),
      ("hc_sinkhorn_iters", { $0.v4.map { Double($0.sinkhornSteps) } }, 20),
    ]
    for (key, value, expected) in keys {
      let found = try read(document(without: key), []).config
      #expect(value(found) == expected, "\(key)")
    }
    let ratios = try read(document(["n_layers": 7], without: "compress_ratios"), []).config
    #expect((0..<8).map { ratios.v4?.ratio(ofLayer: $0) } == [nil, nil, 4, 128, 4, 128, 4, nil])
  }

  /// Experts are FP4 where the key says so; scales are powers of two where nothing says otherwise.
  @Test func storageIsWhatKeysAndTensorsSay() throws {
    let config = try flash()
    let other = try read(
      document(["expert_dtype": .null], without: "scale_fmt"), tensors(config))
    #expect(other.config.v4?.hasFP4Experts == false && other.config.fp8?.powerOfTwoScales == true)
    let plain = try read(document(), [])
    #expect(plain.config.fp8 == nil && plain.config.v4?.hasFP4Experts == false)
    #expect(plain.json["expert_dtype"] == nil)
  }

  @Test func whatIsNotOfTheClassIsNamed() throws {
    let unknown = NativeConfig.unknown(in: try document(["engram_layers": 1, "max_seq_len": 9]))
    #expect(unknown.map(\.name) == ["engram_layers"])
    for (key, value) in [
      ("n_layers", "x"), ("original_seq_len", -1), ("expert_dtype", "int8"), ("rope_factor", 0),
    ] as [(String, JSONValue)] {
      let fault = try #require(throws: Fault.self) {
        try read(document([key: value]), tensors(flash()))
      }
      #expect(fault.description.contains(key), "\(fault)")
    }
    let fault = try #require(throws: Fault.self) {
      try read(document(without: "swiglu_limit"), [])
    }
    #expect(fault.description.contains("swiglu_limit"), "the class bounds nothing then")
  }

  /// Other spellings that checkpoints have are none of the shards.
  @Test func namesAreThePublishedOnes() throws {
    let (config, naming) = (try flash(), NativeNaming(document: try document()))
    for tensor in config.expectedTensors() where tensor.layer.map({ $0 > 40 }) != false {
      let native = try #require(naming.native(of: tensor.name))
      #expect(naming.own(of: native.name)?.name == tensor.name)
    }
    #expect(naming.own(of: "mtp.0.e_proj.weight")?.name == "model.layers.43.e_proj.weight")
    #expect(naming.own(of: "layers.2.attn.attn_sink")?.division == .rows)
    #expect(naming.own(of: "layers.2.ffn.experts.7.w2.scale")?.expert == 7)
    for stranger in [
      "layers.0.attn.norm.weight", "layers.0.attn.wq.weight", "model.embed_tokens.weight",
      "strange.weight", "layers.0.self_attn.sinks",
    ] as [ExactText] {
      #expect(naming.own(of: stranger) == nil, "\(stranger)")
    }
  }
}
