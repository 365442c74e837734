import Conversion
import Dialects
import Foundation
import Passes
import Platform
import Support
import Testing
import Verification
import Weights

/// No command that computes or writes a network leaves out anything of another one without a word.
@Suite struct UnknownTests {
  let workspace: Workspace

  init() throws { workspace = try Workspace() }

  /// A tensor of each kind that the networks have which are this one and more.
  static let tensors = [
    "model.layers.0.self_attn.indexer.wq_b.weight", "model.layers.1.self_attn.indexer.k_norm.bias",
    "model.layers.0.self_attn.indexers_proj.weight", "model.layers.1.post_mlp_layernorm.weight",
    "model.layers.0.post_feedforward_layernorm.weight", "model.layers.0.hc_attn_fn",
    "model.hc_head_base", "model.layers.0.self_attn.attn_sink",
    "model.layers.0.self_attn.compressor.ape", "model.layers.0.mlp.gate.tid2eid",
    "model.layers.1.engram.table.weight", "model.layers.0.self_attn.q_norm.weight",
    "model.layers.0.self_attn.gate_proj.weight", "model.layers.0.self_attn.A_log",
    "model.layers.0.mlps.0.gate_proj.weight", "model.layers.0.self_attn.o_proj.lora_A.weight",
    "model.layers.0.mlp.gate_proj.bias", "model.layers.0.self_attn.q_b_proj.bias",
    "model.layers.1.mlp.gate.bias", "model.layers.0.input_layernorm.bias", "model.norm.bias",
    "model.layers.0.input_layernorm.W_down", "model.something_else.weight",
  ]

  /// A key of each that changes what is computed.
  static let keys: [String: String] = [
    "index_topk": "8", "index_n_heads": "4", "indexer_types": #"["full", "shared"]"#,
    "index_topk_freq": "4", "llama_4_scaling": "0.1", "sliding_window": "128",
    "layer_types": #"["sliding_attention", "full_attention"]"#, "swiglu_limit": "10.0",
    "hc_mult": "4", "compress_ratios": "[0, 4]", "num_hash_layers": "3", "o_groups": "8",
    "o_lora_rank": "16", "engram_layers": "[1]", "attn_logit_softcapping": "30.0",
    "final_logit_softcapping": "30.0", "embedding_multiplier": "2.0", "scale_emb": "12",
    "scale_depth": "1.4", "zero_expert_num": "4", "mla_scale_q_lora": "true",
    "linear_attn_config": #"{"kda_layers": [1]}"#, "mla_use_nope": "true", "use_qk_norm": "true",
    "mlp_bias": "true", "attn_output_gate": "true", "num_kv_shared_layers": "1",
    "partial_rotary_factor": "0.5", "gated_norm_rank": "16",
  ]

  /// Samples whose network is a part of a larger model.
  private static let enveloped = ["tiny-kimi-k25", "tiny-mistral4"]

  /// Those that networks with an indexer know.
  private static let ofIndexers: [String: Set<String>] = [
    "tiny-v32": ["index_topk", "index_n_heads"],
    "tiny-glm5": ["index_topk", "index_n_heads", "indexer_types", "index_topk_freq"],
    "tiny-glm52": ["index_topk", "index_n_heads", "indexer_types", "index_topk_freq"],
  ]

  /// A copy of a sample without its index, so that a further tensor is nowhere else.
  private func copy(_ sample: String) throws -> (folder: String, shard: String) {
    let folder = try workspace.copy(sample: sample)
    let names = try workspace.names(sample)
    for name in names where name.hasSuffix(".index.json") {
      try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
    }
    let shard = try #require(
      names.first { $0.hasSuffix(".safetensors") && $0 != "expected.safetensors" })
    return (folder, "\(folder)/\(shard)")
  }

  /// What a command says when it refuses; nil where it does not.
  private func refusal(of folder: String, _ recipe: Recipe? = nil) -> String? {
    do {
      if let recipe {
        _ = try Plan(SourceModel(path: folder, threads: 1), recipe: recipe)
      } else {
        _ = try ModelFiles(path: folder, threads: 1)
      }
      return nil
    } catch {
      return error.description
    }
  }

  private static let recipes: [Recipe] = [
    Recipe(target: .huggingFace, weights: WeightStorage.named("f32")),
    Recipe(target: .mlx(MLXRecipe(nil))), Recipe(target: .deepSeek(shards: 1)),
  ]

  @Test(arguments: Repository.sampleNames) func tensorsOfOtherNetworksStop(sample: String) throws {
    let (folder, shard) = try copy(sample)
    let sound = try contents(shard)
    let prefix = UnknownTests.enveloped.contains(sample) ? "language_model." : ""
    try #require(refusal(of: folder) == nil)
    let own = UnknownTests.ofIndexers[sample] == nil ? nil : ".indexer."
    for name in UnknownTests.tensors where own.map(name.contains) != true {
      var rewriter = try SafetensorsRewriter(shard)
      rewriter.add(prefix + name, "BF16", count: 2, [0, 0, 0, 0])
      try rewriter.write()
      let words = try #require(refusal(of: folder), "\(name)")
      #expect(words.contains(name) && words.contains("--ignore-unknown"), "\(words)")
      try Data(sound).write(to: URL(fileURLWithPath: shard))
    }
  }

  @Test(arguments: Repository.sampleNames) func keysOfOtherNetworksStop(sample: String) throws {
    let (folder, _) = try copy(sample)
    let file = URL(fileURLWithPath: folder + "/config.json")
    let sound = try String(decoding: Data(contentsOf: file), as: UTF8.self)
    // The network's own section where it is a part of a larger model.
    let start = try #require(
      sound.range(of: UnknownTests.enveloped.contains(sample) ? #""text_config": {"# : "{")
    ).upperBound
    let own = UnknownTests.ofIndexers[sample] ?? []
    for (key, value) in UnknownTests.keys where !own.contains(key) {
      let sound = sound.replacingOccurrences(of: "\"\(key)\":", with: "\"_\(key)\":")
      let text = sound[..<start] + "\"\(key)\": \(value)," + sound[start...]
      try Data(text.utf8).write(to: file)
      let words = try #require(refusal(of: folder), "\(key)")
      #expect(words.contains("key \(key) "), "\(words)")
    }
  }

  @Test func everyTargetButACopyStops() throws {
    let (folder, shard) = try copy("tiny-bf16")
    var rewriter = try SafetensorsRewriter(shard)
    rewriter.add(UnknownTests.tensors[0], "BF16", count: 2, [0, 0, 0, 0])
    try rewriter.write()
    for recipe in UnknownTests.recipes {
      let words = try #require(refusal(of: folder, recipe))
      #expect(words.contains("model_type deepseek_v32 or glm_moe_dsa"), "\(words)")
      var ignoring = recipe
      ignoring.ignoresUnknown = true
      let plan = try Plan(SourceModel(path: folder, threads: 1), recipe: ignoring)
      #expect(plan.warnings.contains { $0.contains(UnknownTests.tensors[0]) })
    }
    #expect(refusal(of: folder, Recipe(target: .huggingFace)) == nil)
  }

  @Test func whatNoLoaderNeedsIsNamedAndLeftOut() throws {
    let (folder, shard) = try copy("tiny-bf16")
    var rewriter = try SafetensorsRewriter(shard)
    for name in ["rotary_emb.inv_freq", "k_scale", "v_scale"] {
      rewriter.add("model.layers.0.self_attn." + name, "BF16", count: 2, [0, 0, 0, 0])
    }
    rewriter.add("vision_tower.patch_embed.weight", "BF16", count: 2, [0, 0, 0, 0])
    try rewriter.write()
    let notes = try ModelFiles(path: folder, threads: 1).notes
    for name in ["inv_freq", "k_scale", "vision_tower.patch_embed.weight"] {
      #expect(notes.contains { $0.contains(name) }, "\(notes)")
    }
  }

  @Test(arguments: [
    #""sliding_window": 128, "use_sliding_window": false"#,
    #""index_topk": null, "llama_4_scaling": null"#, #""mlp_bias": false"#,
    #""layer_types": ["full_attention", "full_attention"]"#, #""embedding_multiplier": 1.0"#,
  ])
  func whatSwitchesNothingOnIsNoRefusal(keys: String) throws {
    let (folder, _) = try copy("tiny-bf16")
    let file = URL(fileURLWithPath: folder + "/config.json")
    let sound = try String(decoding: Data(contentsOf: file), as: UTF8.self)
    try Data("{\(keys),\(sound.dropFirst())".utf8).write(to: file)
    #expect(try ModelFiles(path: folder, threads: 1).notes.isEmpty)
  }

  /// transformers' value is taken, and said where mlx-lm would take another.
  @Test(arguments: [
    ("topk_group", "topk_group, for which transformers takes 4, mlx-lm 1"),
    ("n_shared_experts", "n_shared_experts, for which transformers takes 1, mlx-lm null"),
    ("routed_scaling_factor", "routed_scaling_factor, for which transformers takes 2.5, mlx-lm 1"),
    ("norm_topk_prob", nil),
  ])
  func aKeyThatLoadersReadDifferentlyIsNamedWhereItIsAbsent(key: String, line: String?) throws {
    let (folder, _) = try copy("tiny-bf16")
    let file = URL(fileURLWithPath: folder + "/config.json")
    var config = try #require(
      try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
    // As many groups as transformers would choose from.
    if key == "topk_group" { config["n_group"] = 4 }
    try #require(config.removeValue(forKey: key) != nil)
    try JSONSerialization.data(withJSONObject: config).write(to: file)
    let notes = try ModelFiles(path: folder, threads: 1).notes
    #expect(notes.count == (line == nil ? 0 : 1), "\(notes)")
    if let line { #expect(notes.first?.contains("config.json has no \(line)") == true, "\(notes)") }
  }

  @Test func aKeyOfWhichNothingIsKnownIsNamed() throws {
    let editor = try SampleEditor("tiny-bf16", in: workspace)
    try editor.set("some_new_key", 3)
    let notes = try ModelFiles(path: editor.path, threads: 1).notes
    #expect(notes.count == 1 && notes[0].contains("some_new_key"), "\(notes)")
  }
}
