import Models
import Platform
import Support
import Tensors
import Testing
import Weights

/// Networks whose queries see the keys that an indexer chooses: what their configs imply. The numbers
/// are those of published headers.
@Suite struct SparseConfigTests {
  private static let shared: JSONObject = [
    "hidden_act": "silu", "attention_bias": false, "tie_word_embeddings": false,
    "moe_layer_freq": 1, "torch_dtype": "bfloat16", "norm_topk_prob": true,
    "scoring_func": "sigmoid", "topk_method": "noaux_tc", "n_shared_experts": 1,
    "kv_lora_rank": 512, "qk_rope_head_dim": 64, "num_nextn_predict_layers": 1,
    "moe_intermediate_size": 2048, "n_routed_experts": 256, "num_experts_per_tok": 8,
    "first_k_dense_replace": 3, "routed_scaling_factor": 2.5, "index_topk": 2048,
    "index_head_dim": 128,
  ]
  private static let fp8: JSONValue = .object([
    "quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic",
    "weight_block_size": .array([.integer(128), .integer(128)]),
    "modules_to_not_convert": .array([
      "lm_head", "model.layers.0.self_attn.indexers_proj",
    ]),
  ])
  private static let v32: JSONObject = [
    "model_type": "deepseek_v32", "vocab_size": 129280, "hidden_size": 7168,
    "intermediate_size": 18432, "num_hidden_layers": 61, "num_attention_heads": 128,
    "q_lora_rank": 1536, "qk_nope_head_dim": 128, "v_head_dim": 128, "n_group": 8,
    "topk_group": 4, "rms_norm_eps": 1e-6, "max_position_embeddings": 163840,
    "index_n_heads": 64, "quantization_config": fp8,
  ]
  private static let glm: JSONObject = [
    "model_type": "glm_moe_dsa", "vocab_size": 154880, "hidden_size": 6144,
    "intermediate_size": 12288, "num_hidden_layers": 78, "num_attention_heads": 64,
    "q_lora_rank": 2048, "qk_nope_head_dim": 192, "v_head_dim": 256, "n_group": 1,
    "topk_group": 1, "rms_norm_eps": 1e-5, "max_position_embeddings": 1_048_576,
    "index_n_heads": 32, "index_topk_freq": 4, "index_skip_topk_offset": 3,
  ]

  private func config(_ own: JSONObject, _ changes: JSONObject = [:]) throws -> ModelConfig {
    var object = Self.shared
    for part in [own, changes] { for key in part.keys { object[key] = part[key] } }
    return try ModelConfig(json: .object(object), file: "config.json")
  }

  private func bytes(_ tensors: [ExpectedTensor]) -> Int {
    tensors.reduce(0) {
      $0 + ($1.publishedType.byteCount(elements: $1.shape.elementCount) ?? 0)
    }
  }

  @Test func publishedCheckpointsHaveTheirTensors() throws {
    let glm52 = try config(Self.glm).expectedTensors()
    #expect(glm52.count == 59_585 && bytes(glm52) == 1_506_659_919_872)
    let inFP8 = try config(Self.glm, ["quantization_config": Self.fp8]).expectedTensors()
    #expect(inFP8.count == 118_629 && bytes(inFP8) == 755_617_140_416)
    let glm5 = try config(Self.glm, ["index_topk_freq": 1]).expectedTensors()
    #expect(glm5.count == 59_870)
    let v32 = try config(Self.v32).expectedTensors()
    #expect(v32.count == 92_425)
    #expect(v32.reduce(0) { $0 + $1.shape.elementCount } == 685_396_921_376)
    for tensors in [glm52, inFP8, glm5, v32] {
      #expect(Set(tensors.map(\.name)).count == tensors.count)
    }
  }

  @Test func anIndexerIsNeverInFP8AsAWhole() throws {
    let tensors = try config(Self.v32).expectedTensors()
    let own = tensors.filter { $0.part == .indexer && $0.layer == 61 }
    let prefix = "model.layers.61.self_attn.indexer."
    #expect(
      own.map { $0.name.text } == [
        prefix + "wq_b.weight", prefix + "wq_b.weight_scale_inv", prefix + "wk.weight",
        prefix + "wk.weight_scale_inv", prefix + "k_norm.weight", prefix + "k_norm.bias",
        prefix + "weights_proj.weight",
      ])
    #expect(own[0].shape.dimensions == [8192, 1536] && own[6].shape.dimensions == [64, 7168])
    #expect(own[6].storage == .plain && own[4].storage == .plainOrFloat32)
  }

  @Test(
    arguments: [
      (["index_topk_freq": 4, "index_skip_topk_offset": 3], "FFFSSSFSSSFSSS"),
      (["index_topk_freq": 4], "FFSSSFSSSFSSSF"),
      (["index_topk_freq": 1, "index_skip_topk_offset": 3], "FFFFFFFFFFFFFF"),
      (["index_topk_pattern": "FSFSFSFSFSFSFS", "index_topk_freq": 4], "FSFSFSFSFSFSFS"),
    ] as [(JSONObject, String)])
  func layersShareAsTransformersCounts(keys: JSONObject, kinds: String) throws {
    var own = Self.glm
    for key in ["index_topk_freq", "index_skip_topk_offset"] { own[key] = nil }
    var changes = keys
    changes["num_hidden_layers"] = 14
    let config = try config(own, changes)
    #expect(String(config.indexer?.isFull.map { $0 ? "F" : "S" } ?? []) == kinds)
    #expect(config.hasIndexer(layer: 14))
    var listed = changes
    listed["indexer_types"] = .array(kinds.map { $0 == "F" ? "full" : "shared" })
    listed["index_topk_freq"] = 7
    #expect(try self.config(own, listed).indexer == config.indexer)
  }

  @Test(
    arguments: [
      (["indexer_types": .array(["shared", "full"])], "indexer_types"),
      (["indexer_types": .array(["full"])], "indexer_types"),
      (["indexer_types": .array(["full", "other"])], "indexer_types"),
      (["index_topk_pattern": "FX"], "index_topk_pattern"),
      (["index_topk": 0], "index_topk"), (["index_head_dim": 32], "index_head_dim"),
      (["q_lora_rank": .null], "q_lora_rank"),
      (["indexer_rope_interleave": 1], "indexer_rope_interleave"),
    ] as [(JSONObject, String)])
  func aFaultNamesItsKey(keys: JSONObject, name: String) throws {
    var changes = keys
    changes["num_hidden_layers"] = 2
    let fault = try #require(throws: Fault.self) { try config(Self.glm, changes) }
    #expect(fault.message.contains("\"\(name)\""), "\(fault)")
  }

  /// Keys of the one that the other does not know stop it.
  @Test func onlyTheOwnKeysAreKnown() throws {
    func unknown(_ own: JSONObject, _ changes: JSONObject) throws -> [String] {
      var object = Self.shared
      for part in [own, changes] { for key in part.keys { object[key] = part[key] } }
      var unknowns = Unknowns()
      unknowns.add(keysOf: .object(object), config: try config(own, changes))
      return unknowns.keys.map(\.name)
    }
    #expect(try unknown(Self.glm, [:]).isEmpty && unknown(Self.v32, [:]).isEmpty)
    #expect(
      try unknown(Self.v32, ["index_topk_freq": 4, "index_kpool": 2])
        == ["index_topk_freq", "index_kpool"])
    #expect(try unknown(Self.v32, ["index_topk_freq": 1]).isEmpty)
    let layers = JSONValue.array((0..<78).map { _ in "indexed_attention" })
    let quiet: JSONObject = ["layer_types": layers, "index_share_for_mtp_iteration": true]
    #expect(try unknown(Self.glm, quiet).isEmpty)
    #expect(
      try unknown(Self.glm, ["layer_types": .array(["sliding_attention"])]) == ["layer_types"])
    let relabelled: JSONObject = ["model_type": "deepseek_v3", "layer_types": layers]
    #expect(
      try Set(unknown(Self.v32, relabelled)).isSuperset(
        of: ["index_topk", "index_n_heads", "index_head_dim", "layer_types"]))
  }
}
