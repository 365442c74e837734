package import Platform
package import Tensors

/// The `config.json` that the metadata of a GGUF file of the family amounts to, with notes about what
/// had to be assumed.
package struct DeepSeek2Config: Sendable {
  /// The document, as Hugging Face checkpoints of this family have it.
  package let json: JSONValue
  /// What the file does not say and what is assumed instead, a line each.
  package let notes: [String]
  /// Keys about the network that are passed over, and what may follow from them.
  package let unknown: [UnknownKey]

  /// Reads metadata.
  ///
  /// - Parameters:
  ///   - names: names of the file's tensors; some of what the config says shows there alone.
  ///   - file: the file, for messages.
  /// - Throws: `.malformed` with the key for what is missing or not of its type, and for other
  ///   architectures.
  package init(_ metadata: Metadata, names: Set<ExactText>, file: String) throws(Fault) {
    var reader = DeepSeek2Reader(metadata: metadata, file: file)
    try reader.requireArchitecture()
    json = .object(try reader.config(names: names))
    notes = reader.notes
    unknown = DeepSeek2Key.unknown(in: metadata)
  }
}

/// Reads keys with their types checked and collects notes.
private struct DeepSeek2Reader: ArchitectureKeys {
  let metadata: Metadata
  let file: String
  private(set) var notes: [String] = []

  init(metadata: Metadata, file: String) {
    self.metadata = metadata
    self.file = file
  }

  func requireArchitecture() throws(Fault) {
    let isKnown = Architecture.all.contains { $0.ggufName == architecture && !$0.hasStreams }
    guard !isKnown else { return }
    let found = metadata["general.architecture"]?.text
    let names = Architecture.ggufNames.map { "\"\($0)\"" }.joined(separator: ", ")
    throw Fault(
      .malformed, "holds another architecture", file: file,
      expected: "general.architecture \(names)",
      found: found.map { "\"\($0)\"" } ?? "none")
  }

  mutating func config(names: Set<ExactText>) throws(Fault) -> JSONObject {
    let rope = try required("rope.dimension_count")
    let nextn = try count("nextn_predict_layers") ?? 0
    let blocks = try required("block_count")
    guard nextn < blocks else {
      throw fault("nextn_predict_layers", expected: "fewer than block_count, \(blocks)")
    }
    let (nope, value) = try headSizes(rope: rope)
    let heads = try required("attention.head_count")
    var config: JSONObject = [
      "attention_bias": .bool(names.contains("blk.0.attn_kv_a_mqa.bias")),
      "hidden_act": .string("silu"),
      "num_attention_heads": .integer(heads),
      "num_hidden_layers": .integer(blocks - nextn),
      "num_key_value_heads": .integer(heads),
      "q_lora_rank": try count("attention.q_lora_rank").map { .integer($0) } ?? .null,
      "qk_nope_head_dim": .integer(nope),
      "qk_rope_head_dim": .integer(rope),
      "rms_norm_eps": .number(try number("attention.layer_norm_rms_epsilon") ?? 1e-6),
      "rope_theta": .number(try number("rope.freq_base") ?? 10_000),
      "tie_word_embeddings": .bool(!names.contains("output.weight")),
      "v_head_dim": .integer(value),
      "vocab_size": .integer(try vocabulary()),
    ]
    try add([.hiddenSize, .intermediateSize, .keyValueRank, .contextLength], to: &config)
    let hasExperts = try count("expert_count") ?? 0 > 0
    let architecture = hasExperts ? try addExperts(&config, names, nextn: nextn) : .youtu
    config["architectures"] = .array([.string(architecture.className)])
    config["model_type"] = .string(architecture.modelTypes[0])
    config = config.sorted
    if architecture.hasQueryTemperature {
      try addPositions(&config)
    } else if let yarn = try yarn() {
      config["rope_scaling"] = .object(yarn)
    }
    addTokenIDs(to: &config)
    return config
  }

  /// Adds the keys about experts.
  ///
  /// - Returns: the network, as far as the file shows it: `deepseek2` stands for several.
  private mutating func addExperts(
    _ config: inout JSONObject, _ names: Set<ExactText>, nextn: Int
  ) throws(Fault) -> Architecture {
    let groups = try routing(names: names)
    let pre = metadata["tokenizer.ggml.pre"]?.text
    let hasBias = names.contains { $0.hasSuffix(".exp_probs_b.bias") }
    let normalizes = try flag("expert_weights_norm") ?? false
    let isV2 =
      groups.scoring == .softmax && !hasBias && !normalizes
      && self.architecture == Architecture.deepSeekV2.ggufName
    // The splitter of texts is all that tells these from DeepSeek-V3.
    let named = [Architecture.glm4MoeLite, .kimiK2].first { $0.preTokenizer == pre }
    let sparse = [Architecture.deepSeekV32, .glmMoeDSA].first { $0.ggufName == self.architecture }
    let temperature = try number("attention.temperature_scale") ?? 0
    let scalesQueries = self.architecture == Architecture.mistral4.ggufName || temperature != 0
    let architecture =
      sparse ?? (scalesQueries ? .mistral4 : isV2 ? .deepSeekV2 : named ?? .deepSeekV3)
    let dense = try count("leading_dense_block_count") ?? 0
    config["first_k_dense_replace"] = .integer(dense)
    try add([.expertSize, .experts, .expertsPerToken], to: &config)
    config["moe_layer_freq"] = 1
    config["n_group"] = .integer(groups.all)
    config["n_shared_experts"] = .integer(try count("expert_shared_count") ?? 0)
    config["norm_topk_prob"] = .bool(normalizes)
    config["num_nextn_predict_layers"] = .integer(nextn)
    config["routed_scaling_factor"] = .number(try scale())
    config["scoring_func"] = .string(groups.scoring.rawValue)
    config["topk_group"] = .integer(groups.chosen)
    let selection =
      isV2 && groups.all == 1 ? Architecture.Selection.greedy : architecture.selections[0]
    config["topk_method"] = .string(selection.rawValue)
    if architecture.readsLayerTypes, case .integer(let layers)? = config["num_hidden_layers"] {
      config["mlp_layer_types"] = .array(
        (0..<layers).map { $0 < dense ? "dense" : "sparse" })
      if let kind = sparse?.indexing { try addIndexer(&config, kind, layers: layers) }
    }
    return architecture
  }

  /// Adds all about positions in the section that networks have whose queries are scaled by them.
  private mutating func addPositions(_ config: inout JSONObject) throws(Fault) {
    var section = try yarn() ?? ["type": "default"]
    let beta = try number("attention.temperature_scale") ?? 0
    let length = try count("attention.temperature_length")
    section["rope_type"] = section["type"]
    section["type"] = nil
    section["rope_theta"] = config["rope_theta"]
    config["rope_theta"] = nil
    section[ModelConfig.QueryTemperature.betaKey] = .number(beta)
    if beta == 0 {
      notes.append(
        "the file lacks attention.temperature_scale: queries are not scaled by their positions, as "
          + "in llama.cpp, whose converter leaves the key out; the model's are, from its original "
          + "context on")
    } else {
      let key = "original_max_position_embeddings"
      guard let length, length > 0 else {
        throw fault("attention.temperature_length", expected: "a positive count")
      }
      guard section[key] == nil || section[key] == .integer(length) else {
        throw fault(
          "attention.temperature_length",
          expected: "the \((section[key] ?? .null).text(indent: nil)) of "
            + "rope.scaling.original_context_length")
      }
      section[key] = .integer(length)
    }
    config["rope_parameters"] = .object(section.sorted)
  }

  /// Adds the keys about what chooses the keys that queries see.
  private mutating func addIndexer(
    _ config: inout JSONObject, _ kind: Architecture.Indexing, layers: Int
  ) throws(Fault) {
    try add([.indexHeads, .indexHeadSize, .indexTopK], to: &config)
    config["indexer_rope_interleave"] = .bool(kind.isInterleaved)
    guard kind.canShare else { return }
    let name = "attention.indexer.types"
    var isFull = [Bool](repeating: true, count: layers)
    if let value = metadata[key(name)] {
      guard case .fixed(.bool, let flags)? = value.array?.elements, flags.count >= layers else {
        throw fault(name, expected: "true or false for each of \(layers) layers")
      }
      isFull = flags.prefix(layers).map { $0 != 0 }
    } else if try required("context_length") >= DeepSeek2Key.glm52Context {
      isFull = (0..<layers).map { max($0 - 2, 0) % 4 == 0 }
      notes.append(
        "the file lacks attention.indexer.types: layers share keys as in GLM-5.2, which llama.cpp "
          + "takes a file of this context for")
    }
    config["indexer_types"] = .array(isFull.map { $0 ? "full" : "shared" })
  }

  /// A head's width without position in keys, and in values. Files from before the latent layout
  /// give the widths of whole heads.
  private func headSizes(rope: Int) throws(Fault) -> (nope: Int, value: Int) {
    let isLatent = metadata[key("attention.key_length_mla")] != nil
    let suffix = isLatent ? "_mla" : ""
    let whole = try required("attention.key_length" + suffix)
    guard whole > rope else {
      throw fault("attention.key_length" + suffix, expected: "more than rope.dimension_count")
    }
    return (whole - rope, try required("attention.value_length" + suffix))
  }

  /// Groups of experts, and how they are gated; V3's own values where the file is silent.
  private mutating func routing(
    names: Set<ExactText>
  ) throws(Fault) -> (all: Int, chosen: Int, scoring: ModelConfig.Scoring) {
    var gating = try count("expert_gating_func") ?? 0
    let hasBias = names.contains { $0.hasSuffix(".exp_probs_b.bias") }
    // Files from before the key are DeepSeek-V2's, or GLM-4.7-Flash's, whose sizes llama.cpp knows.
    if gating == 0 {
      let (layers, vocabulary) = (try layers(), try vocabulary())
      let isGLM =
        architecture == Architecture.glmMoeDSA.ggufName
        || DeepSeek2Reader.glmLayers.contains(layers) && vocabulary == 154_880
      gating = isGLM ? DeepSeek2Key.sigmoidGating : hasBias ? 0 : DeepSeek2Key.softmaxGating
    }
    if gating == 0 {
      notes.append(
        "the file lacks expert_gating_func: sigmoid is assumed, since there are correction biases; "
          + "llama.cpp takes softmax for such a file and routes tokens to other experts")
    } else if gating != DeepSeek2Key.sigmoidGating, gating != DeepSeek2Key.softmaxGating {
      throw fault(
        "expert_gating_func",
        expected:
          "\(DeepSeek2Key.sigmoidGating), sigmoid, or \(DeepSeek2Key.softmaxGating), softmax"
      )
    }
    let isSoftmax = gating == DeepSeek2Key.softmaxGating
    let scoring = isSoftmax ? ModelConfig.Scoring.softmax : .sigmoid
    guard let all = try count("expert_group_count"), all > 0 else {
      notes.append(
        "the file lacks expert_group_count: tokens choose among all experts, as in llama.cpp; where "
          + "the model was trained with groups, some tokens go to other experts")
      return (1, 1, scoring)
    }
    return (all, try required("expert_group_used_count"), scoring)
  }

  /// Numbers of layers of models that llama.cpp takes for GLM-4.7-Flash.
  private static let glmLayers = [47, 48]

  private func layers() throws(Fault) -> Int {
    try required("block_count") - (count("nextn_predict_layers") ?? 0)
  }

  /// llama.cpp's default, 0, means that weights are not scaled.
  private func scale() throws(Fault) -> Double {
    let scale = try number("expert_weights_scale") ?? 0
    return scale == 0 ? 1 : scale
  }

  private func yarn() throws(Fault) -> JSONObject? {
    guard var yarn = try yarnRange() else { return nil }
    let multiplier = try number("rope.scaling.yarn_log_multiplier") ?? 0
    if multiplier == 0 {
      // llama.cpp scales sines and cosines then, and the softmax as if it were 0.1.
      yarn["mscale_all_dim"] = .number(1)
    } else if abs(multiplier) < 1e-9 {
      yarn["attention_factor"] = .number(1)
      yarn["mscale"] = .number(0)
      yarn["mscale_all_dim"] = .number(0)
    } else {
      let mscale = shortest(Float(multiplier * 10))
      // Of other architectures it takes mscale for 1.
      let isSame = architecture == Architecture.deepSeekV3.ggufName
      yarn["mscale"] = .number(isSame ? mscale : 1)
      yarn["mscale_all_dim"] = .number(mscale)
    }
    if let original = try count("rope.scaling.original_context_length") {
      yarn["original_max_position_embeddings"] = .integer(original)
    }
    yarn["type"] = .string("yarn")
    return yarn
  }
}
