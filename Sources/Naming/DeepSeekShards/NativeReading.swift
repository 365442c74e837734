internal import Models
package import Platform
package import Tensors

/// The `config.json` that DeepSeek's own config and the tensors beside it amount to.
package struct NativeSource: Sendable {
  /// A tensor under Hugging Face's name, put together from all shards.
  package struct Whole: Sendable {
    /// Its name.
    package let name: ExactText
    /// Storage of its elements.
    package let type: ElementType
    /// Its dimensions.
    package let shape: Shape

    /// Describes a tensor.
    package init(name: ExactText, type: ElementType, shape: Shape) {
      self.name = name
      self.type = type
      self.shape = shape
    }
  }

  /// The document, as Hugging Face checkpoints of this family have it.
  package let json: JSONValue
  /// What neither keys nor tensors say and is assumed, a line each.
  package let notes: [String]

  /// The network that DeepSeek's shards are taken for, whose config names none.
  static func network(hasCorrectionBias: Bool, hasIndexer: Bool) -> Architecture {
    hasIndexer ? .deepSeekV32 : hasCorrectionBias ? .deepSeekV3 : .deepSeekV2
  }

  /// Whether a document has DeepSeek's keys rather than Hugging Face's.
  package static func isNative(_ json: JSONValue) -> Bool {
    json["dim"] != nil && json["n_layers"] != nil && json["model_type"] == nil
      && !MistralConfig.isMistral(json)
  }

  /// Reads a config.
  ///
  /// A key that is absent has the value that `ModelArgs` gives it. The tensors say what no key does:
  /// how many MTP layers there are, whether the head is the embedding table, what weights are stored
  /// in, and the size of FP8 blocks.
  ///
  /// - Parameters:
  ///   - native: the document.
  ///   - tensors: all tensors of the shards.
  ///   - file: the document's file, for messages.
  /// - Throws: `.malformed` with the key for what is not of its type.
  package init(_ native: JSONValue, tensors: [Whole], file: String) throws(Fault) {
    guard case .object = native else {
      throw Fault(.malformed, "is not a JSON object", file: file)
    }
    var reader = NativeReader(
      keys: ConfigReader(object: native, prefix: "", file: file), tensors: tensors)
    json = .object(
      V4Shards.isConfig(native) ? try reader.configOfV4() : try reader.config())
    notes = reader.notes
  }
}

extension ConfigReader {
  /// The value of a key of the type that its usual value has.
  func value(_ key: String, usual: JSONValue) throws(Fault) -> JSONValue {
    guard let found = object[key] else { return usual }
    switch usual {
    case .integer: return .integer(try count(key, minimum: 0, default: 0))
    case .string: return .string(try string(key) ?? "")
    default:
      _ = try number(key)
      return found
    }
  }
}

/// Makes a config in Hugging Face's keys of one in DeepSeek's and of the tensors beside it.
struct NativeReader {
  /// DeepSeek's config.
  let keys: ConfigReader
  /// All tensors of the shards.
  let tensors: [NativeSource.Whole]
  /// What is assumed, a line each.
  private(set) var notes: [String] = []
  /// The names of the tensors.
  let names: Set<ExactText>

  init(keys: ConfigReader, tensors: [NativeSource.Whole]) {
    self.keys = keys
    self.tensors = tensors
    names = Set(tensors.map(\.name))
  }

  /// The config of a network of latent attention: DeepSeek-V2's, V3's or V3.2's.
  mutating func config() throws(Fault) -> JSONObject {
    let layers = try keys.count("n_layers", default: 27)
    let rank = try keys.count("q_lora_rank", minimum: 0, default: 0)
    let scoring = try keys.string("score_func") ?? "softmax"
    let isV2 = scoring == "softmax" && !names.contains { $0.hasSuffix(".e_score_correction_bias") }
    let hasIndexer =
      keys.object["index_topk"] != nil
      || names.contains { $0.contains(".self_attn.indexer.") }
    let network = NativeSource.network(hasCorrectionBias: !isV2, hasIndexer: hasIndexer)
    let groups = try keys.count("n_expert_groups", default: 1)
    let isPlain = isV2 && groups == 1
    var config: JSONObject = [
      "architectures": .array([.string(network.className)]),
      "attention_bias": .bool(false), "hidden_act": .string("silu"),
      "model_type": .string(network.modelTypes[0]),
      "moe_layer_freq": .integer(1), "norm_topk_prob": .bool(scoring == "sigmoid"),
      "num_key_value_heads": .integer(try keys.count("n_heads", default: 16)),
      "num_nextn_predict_layers": .integer(
        ModelConfig.furtherLayers(after: layers, in: names)),
      "q_lora_rank": rank == 0 ? .null : .integer(rank), "rms_norm_eps": .number(1e-6),
      "tie_word_embeddings": .bool(!names.contains("lm_head.weight")),
      "topk_method": .string(isPlain ? "greedy" : network.selections[0].rawValue),
      "torch_dtype": .string(dataType),
    ]
    for row in NativeKey.rows {
      guard let key = row.huggingFace,
        hasIndexer || !NativeKey.indexer.contains(where: { $0.name == row.name })
      else { continue }
      config[key] = try keys.value(row.name, usual: row.usual)
    }
    try addPositions(to: &config)
    if tensors.contains(where: { $0.type == .f8E4M3 }) {
      config["quantization_config"] = .object(
        try quantization(of: config, scaleFormat: keys.string("scale_fmt")))
    }
    return config.sorted
  }

  /// Type of the weights that are not quantized: that of the embedding table.
  var dataType: String {
    let type = tensors.first { $0.name == "model.embed_tokens.weight" }?.type
    return ModelConfig.dataTypes.first { $0.value == type }?.key ?? "bfloat16"
  }

  /// DeepSeek's code extends the context where it makes room for more than the original length.
  private func addPositions(to config: inout JSONObject) throws(Fault) {
    let original = try keys.count("original_seq_len", maximum: Int(Int32.max), default: 4096)
    let given = try keys.object["max_seq_len"].map { _ throws(Fault) in
      try keys.count("max_seq_len", maximum: Int(Int32.max))
    }
    guard given ?? NativeConfig.usualLength > original else {
      config["max_position_embeddings"] = .integer(original)
      config["rope_scaling"] = .null
      return
    }
    let factor = try keys.number("rope_factor") ?? 40
    guard factor > 0, factor < 1e6 else {
      throw keys.fault("rope_factor", expected: "a positive number")
    }
    config["max_position_embeddings"] = .integer(given ?? Int(factor * Double(original)))
    var yarn: JSONObject = [
      "beta_fast": keys.object["beta_fast"] ?? .integer(32),
      "beta_slow": keys.object["beta_slow"] ?? .integer(1),
      "factor": keys.object["rope_factor"] ?? .integer(40),
    ]
    let mscale = try keys.number("mscale") ?? 1
    if mscale == 0 {
      // Hugging Face's code would take another factor from the absence of both.
      yarn["attention_factor"] = .number(1)
    } else {
      yarn["mscale"] = .number(mscale)
      yarn["mscale_all_dim"] = .number(mscale)
    }
    yarn["original_max_position_embeddings"] = .integer(original)
    yarn["type"] = .string("yarn")
    config["rope_scaling"] = .object(yarn)
  }

  /// `quantization_config` with the block size and the modules that the tensors show.
  mutating func quantization(
    of config: JSONObject, scaleFormat: String?
  ) throws(Fault) -> JSONObject {
    var section: JSONObject = [
      "activation_scheme": .string("dynamic"), "fmt": .string("e4m3"),
      "quant_method": .string("fp8"),
    ]
    if let scaleFormat { section["scale_fmt"] = .string(scaleFormat) }
    section["weight_block_size"] = .array(blockSize().map { .integer($0) })
    var complete = config
    complete["quantization_config"] = .object(section)
    let types = Dictionary(tensors.map { ($0.name, $0.type) }, uniquingKeysWith: { one, _ in one })
    guard
      let typed = try? ModelConfig(json: .object(complete), file: keys.file)
    else { return section }
    let plain = typed.expectedTensors().filter {
      $0.storage == .fp8 && types[$0.name].map { $0 != .f8E4M3 } == true
    }
    if !plain.isEmpty {
      section["modules_to_not_convert"] = .array(
        plain.map { .string(($0.name.without(suffix: ".weight") ?? $0.name).text) })
    }
    return section
  }

  /// Rows and columns of a block, from the sizes of weights and their grids: DeepSeek's own where
  /// they fit, else the smallest power of two that does.
  private mutating func blockSize() -> [Int] {
    let shapes = Dictionary(
      tensors.map { ($0.name, $0.shape.dimensions) }, uniquingKeysWith: { one, _ in one })
    var possible = [1...Int.max, 1...Int.max]
    for scales in tensors {
      let grid = scales.shape.dimensions
      guard let weight = ExpectedTensor.weightName(ofScale: scales.name).flatMap({ shapes[$0] }),
        weight.count == 2, grid.count == 2
      else { continue }
      for side in 0..<2 {
        guard let sizes = NativeReader.blocks(size: weight[side], count: grid[side]),
          sizes.overlaps(possible[side])
        else { continue }
        possible[side] = sizes.clamped(to: possible[side])
      }
    }
    let own = NativeConfig.blockSize
    let found = possible.map { sizes in
      sizes.contains(own)
        ? own : (0..<32).lazy.map { 1 << $0 }.first(where: sizes.contains) ?? sizes.lowerBound
    }
    if found != [own, own] {
      notes.append(
        "FP8 blocks of \(found[0]) × \(found[1]) follow from the sizes of the scales: DeepSeek's "
          + "config has no key for them")
    }
    return found
  }

  /// The sizes of blocks of which `count` make up `size` elements, the last one possibly cut.
  private static func blocks(size: Int, count: Int) -> ClosedRange<Int>? {
    guard size > 0, count > 0 else { return nil }
    let least = (size + count - 1) / count
    guard count > 1 else { return least...Int.max }
    let most = (size + count - 2) / (count - 1) - 1
    return least <= most ? least...most : nil
  }
}
