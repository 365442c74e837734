package import Models
package import Platform
internal import Reports

/// What tokens cost in DeepSeek-V4, whose layers keep a window of keys as they are and the rest
/// compressed: what a further token adds shrinks with the ratio, and what a query sees is bounded.
///
/// Source: transformers 5.23's `DeepseekV4HCACache` and `DeepseekV4CSACache`, in 16-bit numbers; what
/// waits for an entry to be complete is not counted.
package struct StreamedCosts: Sendable {
  private let config: ModelConfig
  private let v4: ModelConfig.DeepSeekV4

  /// Nil for other networks.
  package init?(_ config: ModelConfig) {
    guard let v4 = config.v4 else { return nil }
    self.config = config
    self.v4 = v4
  }

  private static let bytes = 2

  /// Bytes of a compressed key, with that of the indexer where the layer has one.
  private func entryBytes(_ layer: Int) -> Int {
    let index = v4.kind(ofLayer: layer) == .sparse ? v4.indexHeadSize : 0
    return StreamedCosts.bytes * (config.keyValueRank + index)
  }

  /// Bytes of caches of all decoder layers for so many tokens.
  package func cacheBytes(tokens: Int) -> Int {
    (0..<config.layers).reduce(0) { sum, layer in
      let window = StreamedCosts.bytes * config.keyValueRank * min(tokens, v4.window)
      let entries = v4.ratio(ofLayer: layer).map { tokens / $0 } ?? 0
      return sum + window + entries * entryBytes(layer)
    }
  }

  /// Bytes that the windows of all decoder layers take at the most.
  package var windowBytes: Int {
    StreamedCosts.bytes * config.layers * config.keyValueRank * v4.window
  }

  /// Bytes that a token adds beyond the window, on average, rounded up.
  package var bytesPerToken: Int {
    let sum = (0..<config.layers).reduce(0.0) { sum, layer in
      sum + (v4.ratio(ofLayer: layer).map { Double(entryBytes(layer)) / Double($0) } ?? 0)
    }
    return Int(sum.rounded(.up))
  }

  /// The same of indexers' keys alone.
  var indexBytesPerToken: Int {
    let layers = (0..<config.layers).count { v4.kind(ofLayer: $0) == .sparse }
    let bytes = Double(layers * StreamedCosts.bytes * v4.indexHeadSize)
    return Int((bytes / Double(v4.ratios.sparse)).rounded(.up))
  }

  /// Keys that the last of so many tokens sees in all decoder layers together, and the most in one.
  package func keysSeen(tokens: Int) -> (all: Int, most: Int) {
    let keys = (0..<config.layers).map { layer in
      let entries = v4.ratio(ofLayer: layer).map { tokens / $0 } ?? 0
      let chosen = v4.kind(ofLayer: layer) == .sparse ? min(entries, v4.indexTopK) : entries
      return min(tokens, v4.window) + chosen
    }
    return (keys.reduce(0, +), keys.max() ?? 0)
  }

  /// Products of numbers that indexers' scores of the last of so many tokens take.
  package func indexProducts(tokens: Int) -> Int {
    let layers = (0..<config.layers).count { v4.kind(ofLayer: $0) == .sparse }
    return layers * (tokens / v4.ratios.sparse) * v4.indexHeads * v4.indexHeadSize
  }

  /// What is told people, as pairs of what is told and what it is.
  package var facts: [(String, String)] {
    let count = Quantity.count
    let hashed = (0..<config.layers).count { v4.hashesTokens(inLayer: $0) }
    return [
      (
        "width",
        "hidden \(count(config.hiddenSize)) in \(v4.streams) streams, mixed in "
          + "\(v4.sinkhornSteps) Sinkhorn steps; vocabulary \(count(config.vocabSize)), context "
          + count(config.contextLength)
      ),
      (
        "attention",
        "\(config.heads) heads on one key of \(config.nopeHeadSize) + \(config.ropeHeadSize) rotary, "
          + "which is the value too, with sinks: query rank \(config.queryRank.map(count) ?? "none"), "
          + "output in \(v4.outputGroups) groups of rank \(count(v4.outputRank)), window "
          + count(v4.window)
      ),
      (
        "compression",
        "1 of \(v4.ratios.sparse) tokens in \(layers(.sparse)) layers, of which \(v4.indexHeads) "
          + "heads of \(v4.indexHeadSize) choose \(count(v4.indexTopK)); 1 of \(v4.ratios.heavy) in "
          + "\(layers(.heavy)); none in \(layers(.sliding))"
      ),
      ("  by layer", ratiosText),
      (
        "experts",
        "\(config.routedExperts) routed, \(config.expertsPerToken) per token, "
          + "\(config.sharedExperts) shared, width \(count(config.moeIntermediateSize)), activations "
          + "bounded by \(v4.activationLimit); a table of tokens chooses them in \(hashed) layers"
      ),
    ]
  }

  private func layers(_ kind: ModelConfig.DeepSeekV4.Kind) -> Int {
    (0..<config.layers).count { v4.kind(ofLayer: $0) == kind }
  }

  private var ratiosByLayer: [Int] {
    (0..<config.layers).map { v4.ratio(ofLayer: $0) ?? 0 }
  }

  /// `0 0 4 128 4 128 …`, what repeats being said once: `0 0 (4 128) × 20, 4`.
  private var ratiosText: String {
    let ratios = ratiosByLayer
    var parts: [String] = []
    var place = 0
    while place < ratios.count {
      var (length, times) = (1, 1)
      for size in 1...4 where place + 2 * size <= ratios.count {
        let unit = ratios[place..<place + size]
        var found = 1
        while place + (found + 1) * size <= ratios.count,
          ratios[place + found * size..<place + (found + 1) * size].elementsEqual(unit)
        {
          found += 1
        }
        if found > 1, found * size > length * times { (length, times) = (size, found) }
      }
      let unit = ratios[place..<place + length].map(String.init).joined(separator: " ")
      parts.append(times > 1 ? "(\(unit)) × \(times)" : unit)
      place += length * times
    }
    return parts.joined(separator: ", ")
  }

  /// For the JSON.
  package var json: JSONValue {
    .object([
      "streams": .integer(v4.streams), "sinkhornSteps": .integer(v4.sinkhornSteps),
      "window": .integer(v4.window), "compressRatios": .array(ratiosByLayer.map { .integer($0) }),
      "indexHeads": .integer(v4.indexHeads), "indexHeadSize": .integer(v4.indexHeadSize),
      "indexTopK": .integer(v4.indexTopK), "outputGroups": .integer(v4.outputGroups),
      "outputRank": .integer(v4.outputRank),
      "hashLayers": .integer((0..<config.layers).count { v4.hashesTokens(inLayer: $0) }),
      "windowCacheBytes": .integer(windowBytes),
    ])
  }
}
