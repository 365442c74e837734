import Models
import Naming
import Platform
import Serving
import Support
import Tensors
import Testing
import Weights

/// DeepSeek-V4's configs and names. The numbers are those of V4-Flash's published headers.
@Suite struct DeepSeekV4ConfigTests {
  private static let flash = FullSizeCheckpoint.flash

  private static func object(_ text: String) throws -> JSONObject {
    guard case .object(let object) = try JSONValue(parsing: Array(text.utf8), file: "config.json")
    else { return JSONObject() }
    return object
  }

  private func config(_ changes: String = "{}") throws -> ModelConfig {
    var object = try Self.object(Self.flash)
    let changes = try Self.object(changes)
    for key in changes.keys { object[key] = changes[key] }
    return try ModelConfig(json: .object(object), file: "config.json")
  }

  private func names(_ config: ModelConfig) throws -> [ExactText: ExpectedTensor] {
    let names = try #require(V4Names(config))
    return Dictionary(
      uniqueKeysWithValues: config.expectedTensors().map { (names.published(of: $0.name), $0) })
  }

  @Test func theTensorsAreThePublishedOnes() throws {
    let tensors = try names(config())
    #expect(tensors.count == 69_187)
    for (name, shape, storage) in [
      ("embed.weight", [129_280, 4096], ExpectedTensor.Storage.plain),
      ("layers.0.attn.wo_a.weight", [8192, 4096], .fp8),
      ("layers.0.attn.wo_a.scale", [64, 32], .scale),
      ("layers.0.hc_attn_fn", [24, 16384], .float32),
      ("layers.0.ffn.gate.tid2eid", [129_280, 6], .indices),
      ("layers.2.attn.compressor.wkv.weight", [1024, 4096], .plainOrFloat32),
      ("layers.2.attn.indexer.wq_b.scale", [64, 8], .scale),
      ("layers.2.attn.indexer.compressor.ape", [4, 256], .float32),
      ("layers.3.attn.compressor.ape", [128, 512], .float32),
      ("layers.3.ffn.gate.bias", [256], .float32),
      ("layers.42.ffn.experts.255.w2.weight", [4096, 2048], .fp4),
      ("layers.42.ffn.experts.255.w2.scale", [4096, 64], .scale),
      ("mtp.0.e_proj.weight", [4096, 4096], .fp8), ("mtp.0.hc_head_fn", [4, 16384], .float32),
      ("mtp.0.norm.weight", [4096], .plainOrFloat32), ("hc_head_scale", [1], .float32),
    ] {
      let tensor = try #require(tensors[ExactText(name)], "\(name)")
      #expect(tensor.shape.dimensions == shape, "\(name)")
      #expect(tensor.storage == storage, "\(name)")
    }
    for absent in [
      "layers.0.attn.compressor.ape", "layers.0.ffn.gate.bias", "layers.3.attn.indexer.wq_b.weight",
      "layers.3.ffn.gate.tid2eid", "mtp.0.attn.compressor.ape",
    ] {
      #expect(tensors[ExactText(absent)] == nil, "\(absent)")
    }
  }

  /// Published names, those that transformers saves, and its class's own are one tensor's.
  @Test func namesLeadToOneTensor() throws {
    let config = try config(
      #"{"num_hidden_layers": 4, "compress_ratios": [0, 4, 128, 4, 0]}"#)
    let names = try #require(V4Names(config))
    for tensor in config.expectedTensors() {
      let published = names.published(of: tensor.name)
      #expect(published != tensor.name || tensor.name.hasSuffix("_proj.weight"), "\(published)")
      for spelling in [published, "model." + published, tensor.name] {
        #expect(names.own(of: spelling) == tensor.name, "\(spelling)")
      }
    }
    #expect(
      names.own(of: "model.layers.1.attn.norm.weight") == "model.layers.1.self_attn.kv_norm.weight")
    #expect(names.own(of: "embed_tokens.weight") == "model.embed_tokens.weight")
    #expect(names.own(of: "vision.weight") == "vision.weight")
  }

  /// The spelling of transformers 5.23 says the same.
  @Test func transformersSpellingIsRead() throws {
    let read = try config(
      """
      {"num_hidden_layers": 3, "compress_ratios": null, "num_nextn_predict_layers": 0,
       "layer_types": ["sliding_attention", "compressed_sparse_attention",
         "heavily_compressed_attention"],
       "mlp_layer_types": ["hash_moe", "moe", "moe"], "rope_scaling": null,
       "rope_parameters": {
         "main": {"partial_rotary_factor": 0.125, "rope_type": "default", "rope_theta": 10000.0},
         "compress": {"partial_rotary_factor": 0.125, "rope_type": "yarn", "factor": 16,
           "rope_theta": 160000.0, "original_max_position_embeddings": 65536,
           "attention_factor": 1.0}}}
      """)
    let published = try config(
      """
      {"num_hidden_layers": 3, "compress_ratios": [0, 4, 128], "num_hash_layers": 1,
       "num_nextn_predict_layers": 0}
      """)
    #expect(read.v4 == published.v4)
    #expect(read.yarn == published.yarn)
    #expect(read.expectedTensors() == published.expectedTensors())
    var unknowns = Unknowns()
    unknowns.add(keysOf: .object(try Self.object(Self.flash)), config: try config())
    #expect(unknowns.isEmpty && unknowns.unfamiliar.isEmpty)
  }

  @Test(arguments: [
    #"{"compress_ratios": [0, 5]}"#, #"{"head_dim": 64}"#, #"{"norm_topk_prob": false}"#,
    #"{"o_groups": 7}"#, #"{"scoring_func": "sigmoid"}"#, #"{"num_key_value_heads": 2}"#,
    #"{"layer_types": ["sliding_attention"]}"#, #"{"index_head_dim": 32}"#,
    #"{"expert_dtype": "int4"}"#, #"{"v_head_dim": 128}"#, #"{"swiglu_limit": 0}"#,
    #"{"hc_eps": -1}"#,
  ]) func whatDoesNotFitIsRefused(changes: String) {
    #expect(throws: Fault.self) { try config(changes) }
  }

  /// Keys of the family's other networks, which loaders of this one pass over: what they would have
  /// it compute is not computed, and so is refused by name.
  @Test(arguments: [
    ("norm_topk_prob", "false"), ("rope_interleave", "false"), ("attention_bias", "true"),
    ("n_group", "8"), ("topk_group", "2"),
  ]) func keysThatNoLoaderReadsAreRefused(key: String, value: String) throws {
    let fault = try #require(throws: Fault.self) { try config("{\"\(key)\": \(value)}") }
    let said = fault.description
    #expect(said.contains(key) && said.contains("no loader of the network reads it"), "\(said)")
    for usual in value == "false" ? ["true", "null"] : [value == "true" ? "false" : "1", "null"] {
      #expect(throws: Never.self) { try config("{\"\(key)\": \(usual)}") }
    }
  }

  /// V4.1 by its name, with what is lacking.
  @Test func theNextNetworkIsRefusedByName() throws {
    let fault = try #require(throws: Fault.self) { try config(#"{"model_type": "deepseek_v41"}"#) }
    #expect(fault.description.contains("DeepSeek-V4.1"))
    #expect(fault.description.contains("engram memory, FP8 blocks of 32 × 32"))
  }

  /// Windows, an entry of 512 numbers for 4 or 128 tokens, and one of 128 for each 4 of an indexer.
  @Test func cachesCostWhatTheirEntriesDo() throws {
    let costs = try #require(StreamedCosts(try config()))
    #expect(costs.windowBytes == 43 * 128 * 512 * 2)
    #expect(costs.bytesPerToken == 21 * (512 + 128) * 2 / 4 + 20 * 512 * 2 / 128)
    #expect(
      costs.cacheBytes(tokens: 1 << 20)
        == 5_636_096 + 21 * 262_144 * 1280 + 20 * 8192 * 1024)
    #expect(costs.cacheBytes(tokens: 3) == 43 * 3 * 1024)
    let seen = costs.keysSeen(tokens: 1 << 20)
    #expect(seen.most == 128 + 8192 && seen.all == 43 * 128 + 21 * 512 + 20 * 8192)
  }
}
