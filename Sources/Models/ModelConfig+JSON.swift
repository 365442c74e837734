package import Platform
internal import Tensors

extension ModelConfig {
  /// Largest vocabulary: tokens that a tokenizer lacks are made up when a GGUF file is written.
  private static let vocabularyLimit = 1 << 22
  /// Most layers, and most routed experts in all of them: each has tensors of its own, of which a
  /// list is made. Kimi-K2 has 23,424 experts.
  private static let layerLimit = 10_000
  private static let expertLimit = 1 << 17

  /// Keys that count MTP layers.
  private static let mtpKeys = ["num_nextn_predict_layers", "num_mtp_layers"]

  /// Says in a config how many MTP layers there are, in the keys that count them there.
  package static func declare(mtpLayers: Int, in document: inout JSONObject) {
    for key in mtpKeys where document[key] != nil { document[key] = .integer(mtpLayers) }
  }

  /// Reads a Hugging Face `config.json`.
  ///
  /// Mistral's `params.json` is read as the config that it amounts to (`MistralConfig`).
  ///
  /// Both spellings of transformers are read: `rope_theta` + `rope_scaling` (4.x, and what DeepSeek
  /// publishes; it counts where both are there) and `rope_parameters` (5.x); `torch_dtype` and `dtype`. A key that is absent has the
  /// value that the class of transformers gives it. Where that counts MTP layers (`declaresMTP`),
  /// none may be there as well.
  ///
  /// - Throws: `.malformed` with the key, for what is missing, out of range or does not fit
  ///   together, and for networks that this is not.
  package init(json: JSONValue, file: String) throws(Fault) {
    guard case .object = json else {
      throw Fault(.malformed, "is not a JSON object", file: file)
    }
    let isMistral = MistralConfig.isMistral(json)
    let json = isMistral ? try MistralConfig(json, file: file).json : json
    let whole = ConfigReader(object: json, prefix: "", file: file)
    let (architecture, envelope, section) = try ModelConfig.readArchitecture(whole)
    let top = try DeepSeekV4.completing(section, architecture)
    self.architecture = isMistral ? .mistralLarge3 : architecture
    self.envelope = isMistral ? .mistral : envelope
    modelType = try top.string("model_type") ?? architecture.modelTypes[0]
    vocabSize = try top.count("vocab_size", maximum: ModelConfig.vocabularyLimit)
    hiddenSize = try top.count("hidden_size")
    intermediateSize = try top.count("intermediate_size")
    layers = try top.count("num_hidden_layers")
    heads = try top.count("num_attention_heads")
    queryRank = try top.optionalCount("q_lora_rank")
    keyValueRank = try top.count("kv_lora_rank")
    nopeHeadSize = try top.count("qk_nope_head_dim")
    ropeHeadSize = try top.count("qk_rope_head_dim")
    valueHeadSize = try top.count("v_head_dim")
    (mtpLayers, firstDenseLayers, moeLayerFrequency) = (0, layers, 1)
    (moeIntermediateSize, routedExperts, sharedExperts) = (intermediateSize, 0, 0)
    (expertsPerToken, expertGroups, chosenGroups) = (0, 1, 1)
    (scoring, selection) = (architecture.scoring, architecture.selections.first ?? .greedy)
    (normalizeExpertWeights, routedScalingFactor) = (architecture.canNormalize, 1)
    rmsNormEpsilon = Float(try top.number("rms_norm_eps") ?? 1e-6)
    attentionBias = try top.flag("attention_bias") ?? false
    tiedEmbeddings = try top.flag("tie_word_embeddings") ?? false
    ropeInterleaved = try top.flag("rope_interleave") ?? true
    contextLength = try top.count(
      "max_position_embeddings", maximum: Int(Int32.max), default: 4096)
    let rope = try ModelConfig.readRope(top, usual: architecture.positions)
    let outerTheta = try top.number("rope_theta")
    ropeTheta = try rope?.number("rope_theta") ?? outerTheta ?? 10_000
    yarn = try ModelConfig.readYaRN(rope, contextLength: contextLength)
    if architecture.hasTemperatureSection {
      queryTemperature = try top.section(QueryTemperature.sectionKey)
        .map { section throws(Fault) in try QueryTemperature(section: section) }
    } else if architecture.hasQueryTemperature, let rope {
      queryTemperature = try QueryTemperature(rope: rope, contextLength: contextLength)
    }
    dataType = try ModelConfig.readDataType(whole)
    if let own = try ModelConfig.readDataType(top) { dataType = own }
    (fp8, compressed) = try ModelConfig.readQuantization(top)
    if fp8 == nil, compressed == nil {
      (fp8, compressed) = try ModelConfig.readQuantization(whole)
    }
    compressed?.prefix = envelope?.prefix ?? ""
    if architecture.hasExperts { try readExperts(top) }
    indexer = try architecture.indexing.map { kind throws(Fault) in
      try Indexer(top, layers: layers, kind: kind)
    }
    if architecture.hasStreams { try readStreams(top) }
    try requireConsistency(top)
    try requireQuickMatching(whole)
  }

  /// The keys of DeepSeek-V4 alone.
  private mutating func readStreams(_ top: ConfigReader) throws(Fault) {
    var own = try DeepSeekV4(top, layers: layers)
    (ropeTheta, own.compressTheta, yarn) = try DeepSeekV4.rope(
      top, rotary: ropeHeadSize, contextLength: contextLength)
    guard own.indexHeadSize >= ropeHeadSize else {
      throw top.fault("index_head_dim", expected: "at least qk_rope_head_dim, \(ropeHeadSize)")
    }
    guard queryRank != nil else { throw top.fault("q_lora_rank", expected: "a rank") }
    guard own.compressTheta > 0 else {
      throw top.fault("compress_rope_theta", expected: "a positive number")
    }
    (attentionBias, ropeInterleaved) = (false, true)
    v4 = own
  }

  /// The keys about layers with experts, and about those that predict further tokens.
  private mutating func readExperts(_ top: ConfigReader) throws(Fault) {
    moeIntermediateSize = try top.count("moe_intermediate_size")
    mtpLayers = try top.count("num_nextn_predict_layers", "num_mtp_layers", minimum: 0, default: 0)
    declaresMTP = ModelConfig.mtpKeys.contains { top.object[$0] != nil }
    firstDenseLayers = try readDenseLayers(top)
    moeLayerFrequency = try readLayerFrequency(top)
    routedExperts = try top.count("n_routed_experts", "num_local_experts", "num_experts")
    sharedExperts = try top.count("n_shared_experts", minimum: 0, default: 0)
    expertsPerToken = try top.count("num_experts_per_tok")
    expertGroups = try top.count("n_group", default: 1)
    chosenGroups = try top.count("topk_group", default: 1)
    scoring = try readScoring(top) ?? architecture.scoring
    selection = try readSelection(top)
    // Experts are not grouped then, whatever else is said of groups.
    if selection == .greedy { (expertGroups, chosenGroups) = (1, 1) }
    let normalizes = try top.flag("norm_topk_prob") ?? true
    normalizeExpertWeights = architecture.canNormalize && normalizes
    routedScalingFactor = Float(try top.number("routed_scaling_factor") ?? 1)
  }

  /// Layers before the first one with experts: `mlp_layer_types` names each layer's kind,
  /// `first_k_dense_replace` counts them.
  private func readDenseLayers(_ top: ConfigReader) throws(Fault) -> Int {
    let key = "mlp_layer_types"
    guard architecture.readsLayerTypes, let kinds = try top.array(key) else {
      return try top.count("first_k_dense_replace", minimum: 0, default: 0)
    }
    let dense = kinds.prefix { $0 == .string("dense") }.count
    guard kinds.count == layers, kinds[dense...].allSatisfy({ $0 == .string("sparse") }) else {
      throw top.fault(key, expected: "\(layers) times \"dense\" or \"sparse\", the dense first")
    }
    let counted = try top.optionalCount("first_k_dense_replace", minimum: 0)
    guard counted == nil || counted == dense || top.object["first_k_dense_replace"] == nil else {
      throw top.fault(
        "first_k_dense_replace", expected: "\(dense), the number of dense layers in \(key)")
    }
    return dense
  }

  /// Every so many-th layer; some configs list each layer's kind in its place, 1 for experts.
  private func readLayerFrequency(_ top: ConfigReader) throws(Fault) -> Int {
    let key = "moe_layer_freq"
    guard case .array(let kinds)? = top.object[key] else { return try top.count(key, default: 1) }
    let implied = (0..<kinds.count).map { JSONValue.integer($0 < firstDenseLayers ? 0 : 1) }
    guard kinds == implied, kinds.count == layers || kinds.count == layers + mtpLayers else {
      throw top.fault(key, expected: "\(firstDenseLayers) times 0, then 1 for each further layer")
    }
    return 1
  }

  /// The network, what wraps it, and the keys that describe it.
  private static func readArchitecture(
    _ top: ConfigReader
  ) throws(Fault) -> (Architecture, Architecture.Envelope?, ConfigReader) {
    let type = try top.string("model_type")
    var (section, name) = (top, type)
    let envelope = Architecture.Envelope.all.first { $0.modelType == type }
    if let envelope {
      guard let text = try top.section(envelope.key) else {
        throw top.fault(envelope.key, expected: "the config of the text network")
      }
      section = text
      section.defaults["tie_word_embeddings"] = top.object["tie_word_embeddings"]
      // As transformers' composed configs have it where their part does not say.
      name = try text.string("model_type") ?? envelope.usualType
    }
    if let name, let lacking = Architecture.lacking[name] {
      throw Fault(
        .malformed, "is \(lacking.name), which is not read", file: top.file,
        expected: "model_type deepseek_v4", found: "\(name), with \(lacking.parts)")
    }
    guard var network = name.flatMap(Architecture.named) else {
      throw envelope == nil
        ? top.fault("model_type", expected: Architecture.modelTypes.joined(separator: ", "))
        : section.fault("model_type", expected: "that of a text network")
    }
    // DeepSeek-V3's own code and classes scale no queries.
    if network == .deepSeekV3,
      case .object? = section.object[QueryTemperature.sectionKey]
    {
      network = .relabelledMistralLarge3
    }
    for key in network.defaults.keys where section.defaults[key] == nil {
      section.defaults[key] = network.defaults[key]
    }
    if let activation = try section.string("hidden_act"), activation != "silu" {
      throw section.fault("hidden_act", expected: "\"silu\"")
    }
    return (network, envelope, section)
  }

  private func readSelection(_ top: ConfigReader) throws(Fault) -> Architecture.Selection {
    guard let method = try top.string("topk_method") else { return selection }
    guard let selection = Architecture.Selection(rawValue: method),
      architecture.selections.contains(selection)
    else {
      throw top.fault(
        "topk_method",
        expected: architecture.selections.map { "\"\($0.rawValue)\"" }.joined(separator: " or "))
    }
    return selection
  }

  private func readScoring(_ top: ConfigReader) throws(Fault) -> Scoring? {
    guard let name = try top.string("scoring_func") else { return nil }
    let known = Scoring.allCases.filter { ($0 == .sqrtSoftplus) == architecture.hasStreams }
    guard let scoring = known.first(where: { $0.rawValue == name }) else {
      throw top.fault(
        "scoring_func", expected: known.map { "\"\($0.rawValue)\"" }.joined(separator: " or "))
    }
    return scoring
  }

  /// The section about positions: in transformers `rope_scaling`, unless it is empty, takes the place
  /// of `rope_parameters`.
  ///
  /// - Parameter usual: what the class of transformers takes where neither is there.
  static func readRope(
    _ top: ConfigReader, usual: JSONObject?
  ) throws(Fault) -> ConfigReader? {
    if let old = try top.section("rope_scaling"), case .object(let object) = old.object,
      !object.keys.isEmpty
    {
      return old
    }
    if let section = try top.section("rope_parameters") { return section }
    return usual.map {
      ConfigReader(object: .object($0), prefix: "rope_parameters.", file: top.file)
    }
  }

  static func readYaRN(
    _ rope: ConfigReader?, contextLength: Int
  ) throws(Fault) -> YaRN? {
    guard let rope else { return nil }
    let type = try rope.string("rope_type", "type") ?? "default"
    if type == "default" { return nil }
    guard type == "yarn" else {
      let key = rope.object["rope_type"] == nil || rope.object["rope_type"] == .null
      throw rope.fault(key ? "type" : "rope_type", expected: "\"yarn\", \"default\" or none")
    }
    guard let factor = try rope.number("factor"), factor > 0 else {
      throw rope.fault("factor", expected: "a positive number")
    }
    return YaRN(
      factor: factor,
      originalContextLength: try rope.count(
        "original_max_position_embeddings", maximum: Int(Int32.max), default: contextLength),
      betaFast: try rope.number("beta_fast") ?? 32, betaSlow: try rope.number("beta_slow") ?? 1,
      mscale: try rope.number("mscale"), mscaleAllDimensions: try rope.number("mscale_all_dim"),
      attentionFactor: try rope.number("attention_factor"),
      truncate: try rope.flag("truncate") ?? true)
  }

  /// Tries all targets of `quantization_config` on all modules, so that a pattern without end is
  /// refused here and never met again.
  private func requireQuickMatching(_ top: ConfigReader) throws(Fault) {
    guard let compressed else { return }
    // Named without their storage: finding that takes the very patterns that are in doubt.
    var plain = self
    plain.compressed = nil
    let tensors = plain.expectedTensors()
    var steps = min(
      ModelConfig.matchingSteps, 200_000 + tensors.count * ModelConfig.stepsPerTensor)
    do throws(Fault) {
      for tensor in tensors { _ = try compressed.scheme(of: tensor, steps: &steps) }
    } catch {
      throw top.fault("quantization_config", expected: "patterns that come to an end")
    }
  }

  /// Steps that patterns may take on the names of all modules, at most and for each tensor:
  /// Kimi-K2-Thinking's need a third.
  static let matchingSteps = 150_000_000
  private static let stepsPerTensor = 4000

  /// What no single key shows.
  private func requireConsistency(_ top: ConfigReader) throws(Fault) {
    guard layers + mtpLayers <= ModelConfig.layerLimit else {
      throw top.fault(
        "num_hidden_layers", expected: "at most \(ModelConfig.layerLimit) layers")
    }
    guard ropeHeadSize % 2 == 0 else {
      throw top.fault("qk_rope_head_dim", expected: "an even number")
    }
    if let indexer {
      guard indexer.headSize >= ropeHeadSize else {
        throw top.fault("index_head_dim", expected: "at least qk_rope_head_dim, \(ropeHeadSize)")
      }
      guard queryRank != nil else {
        throw top.fault("q_lora_rank", expected: "a rank, whose latent the indexer's queries need")
      }
    }
    guard routedExperts % expertGroups == 0 else {
      throw top.fault("n_group", expected: "a divisor of n_routed_experts, \(routedExperts)")
    }
    guard chosenGroups <= expertGroups else {
      throw top.fault("topk_group", expected: "at most n_group, \(expertGroups)")
    }
    // The groups that are left after the choice must hold enough experts.
    guard expertsPerToken <= routedExperts / expertGroups * chosenGroups else {
      throw top.fault(
        "num_experts_per_tok",
        expected: "at most the \(routedExperts / expertGroups * chosenGroups) of the chosen groups")
    }
    guard rmsNormEpsilon.isFinite, rmsNormEpsilon >= 0 else {
      throw top.fault("rms_norm_eps", expected: "a small positive number")
    }
    guard ropeTheta > 0 else { throw top.fault("rope_theta", expected: "a positive number") }
    guard storedLayers * routedExperts <= ModelConfig.expertLimit else {
      throw top.fault("n_routed_experts", expected: "a network of a possible size")
    }
  }
}
