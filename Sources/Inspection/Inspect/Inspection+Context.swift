internal import Models
internal import Platform
internal import Reports
internal import Serving

/// What a token costs that comes after so many others.
///
/// Scores and sums over values are counted as a pass over whole sequences takes them: of each head
/// nope + rope + value products for a key that is seen. Two operations make a product.
struct ContextCost {
  /// Tokens that are there, its own included.
  let tokens: Int
  /// Keys that it sees in each layer, or in that where it sees most.
  let keys: Int
  /// Operations with weights.
  let weights: Int
  /// Operations of the attention over the keys that it sees, in all layers.
  let attention: Int
  /// Operations of the indexers' scores, which are taken of all keys.
  let indexer: Int
  /// Bytes of the cache of all tokens in 16 bits: latents and rotary keys, and the keys of indexers.
  let cache: Int

  init(_ inspection: Inspection, _ config: ModelConfig, tokens: Int) {
    self.tokens = tokens
    weights = inspection.flopsPerToken
    let perKey = 2 * config.heads * (config.queryHeadSize + config.valueHeadSize)
    if let streamed = StreamedCosts(config) {
      let seen = streamed.keysSeen(tokens: tokens)
      (keys, attention) = (seen.most, perKey * seen.all)
      indexer = 2 * streamed.indexProducts(tokens: tokens)
      cache = streamed.cacheBytes(tokens: tokens)
      return
    }
    keys = min(tokens, config.indexer?.topK ?? tokens)
    attention = config.layers * perKey * keys
    let scores = config.indexer.map { 2 * $0.heads * $0.headSize } ?? 0
    // With no more tokens than are chosen none are scored.
    indexer = tokens > keys ? config.indexerLayers * scores * tokens : 0
    cache = tokens * (inspection.kvCacheBytesPerToken + inspection.indexKeyBytesPerToken)
  }

  var total: Int { weights + attention + indexer }

  /// For the JSON.
  var json: JSONValue {
    .object([
      "tokens": .integer(tokens), "keysSeen": .integer(keys), "flopsPerToken": .integer(total),
      "attentionFlopsPerToken": .integer(attention), "indexerFlopsPerToken": .integer(indexer),
      "cacheBytes": .integer(cache),
    ])
  }

  /// For people.
  var text: String {
    let share = Quantity.percent(Double(indexer) / Double(max(1, total)))
    return "\(Quantity.short(total)) FLOPs for the last token, "
      + "\(Quantity.short(attention)) of them attention to \(Quantity.count(keys)) keys"
      + (indexer > 0 ? " and \(Quantity.short(indexer)) (\(share)) their choice" : "")
      + "; cache \(Quantity.bytes(cache))"
  }
}

extension ModelConfig {
  /// Decoder layers that have an indexer.
  var indexerLayers: Int { indexer?.isFull.count { $0 } ?? 0 }
}

extension Inspection {
  /// The sizes of a network.
  static func dimensions(_ config: ModelConfig) -> JSONValue {
    var object: JSONObject = [
      "vocabulary": .integer(config.vocabSize), "hidden": .integer(config.hiddenSize),
      "context": .integer(config.contextLength), "heads": .integer(config.heads),
      "queryRank": config.queryRank.map { .integer($0) } ?? .null,
      "keyValueRank": .integer(config.keyValueRank), "nope": .integer(config.nopeHeadSize),
      "rope": .integer(config.ropeHeadSize), "value": .integer(config.valueHeadSize),
      "routedExperts": .integer(config.routedExperts),
      "expertsPerToken": .integer(config.expertsPerToken),
      "sharedExperts": .integer(config.sharedExperts),
      "expertGroups": .integer(config.expertGroups), "chosenGroups": .integer(config.chosenGroups),
    ]
    object["streamed"] = StreamedCosts(config)?.json
    return .object(object)
  }

  /// Bytes of the indexers' keys per token in 16-bit numbers: one for each layer that has an indexer;
  /// 0 where there is none.
  package var indexKeyBytesPerToken: Int {
    config.map { $0.indexerLayers * ($0.indexer?.headSize ?? 0) * 2 } ?? 0
  }

  /// What is told of the indexer.
  func indexerFacts(_ config: ModelConfig) -> [(String, String)] {
    guard let indexer = config.indexer else { return [] }
    let shared = config.layers - config.indexerLayers
    return [
      (
        "indexer",
        "\(indexer.heads) heads of \(indexer.headSize) choose \(Quantity.count(indexer.topK)) keys "
          + "for each query"
          + (shared > 0
            ? ", in \(config.indexerLayers) layers; \(shared) take over the choice of one before"
            : "")
      )
    ]
  }

  /// What serving the model takes; nil where that was not asked, or the bytes of its parts are not
  /// known.
  var serving: Serving? {
    guard let config, let context, let servingWeights, batch != nil || devices != nil else {
      return nil
    }
    return Serving(
      config, weights: servingWeights, tokens: context, batch: batch ?? 1, devices: devices)
  }

  /// Whether `serving` can be told.
  package var canTellServing: Bool { config != nil && servingWeights != nil }

  /// What a token costs at the context that was asked for.
  var contextFacts: [(String, String)] {
    guard let config, let context else { return [] }
    return [
      ("at \(Quantity.count(context))", ContextCost(self, config, tokens: context).text)
    ] + (serving?.facts ?? [])
  }
}
