internal import Formats
internal import Models
internal import Serving
internal import Tensors

/// Sums by type while they are taken: types are few, so that a look at each is quicker than hashing.
struct TypeTallies {
  private var all: [(type: ElementType, tally: Inspection.Tally)] = []

  mutating func add(_ tensor: StoredTensor) {
    let place = all.firstIndex { $0.type == tensor.type } ?? all.count
    if place == all.count { all.append((tensor.type, Inspection.Tally())) }
    all[place].tally.add(tensor)
  }

  var types: [ElementType: Inspection.Tally] { Dictionary(uniqueKeysWithValues: all) }
}

extension ModelConfig {
  /// The part of a weight that one token multiplies, on average over the routed experts.
  func activeShare(of place: TensorPlace, _ count: Int) -> Int {
    guard let expert = place.expert else { return count }
    // Every token uses `expertsPerToken` of equally large experts: count the first ones.
    return expert < expertsPerToken ? count : 0
  }
}

extension Inspection.Layer {
  init(index: Int, config: ModelConfig) {
    self.index = index
    kind = index >= config.layers ? .mtp : config.hasExperts(layer: index) ? .moe : .dense
  }

  mutating func add(_ count: Int, _ place: TensorPlace, _ config: ModelConfig) {
    parameters += count
    if place.part != .embeddingCopy { activePerToken += config.activeShare(of: place, count) }
    guard let expert = place.expert else { return }
    knownExperts.insert(expert)
    expertParameters += count
  }

  /// Adds what was counted of other weights of it.
  mutating func add(_ other: Self) {
    parameters += other.parameters
    activePerToken += other.activePerToken
    knownExperts.formUnion(other.knownExperts)
    expertParameters += other.expertParameters
    expertBytes += other.expertBytes
    expertTypes.formUnion(other.expertTypes)
  }

  /// Bytes stored.
  package var bytes: Int { types.values.reduce(0) { $0 + $1.bytes } }
  /// Routed experts of which something is stored.
  package var experts: Int { knownExperts.count }
}

extension Inspection {
  /// Floating-point operations per token in matrix products: one multiplication and one addition
  /// for each active weight. What attention spends on the context comes on top.
  package var flopsPerToken: Int { 2 * activePerToken }
  /// The same for a dense model as wide as all experts together.
  package var denseEquivalentFlopsPerToken: Int { 2 * denseActivePerToken }
  /// Bytes of KV cache per token in 16-bit numbers: the latent vector and the rotary key, per layer.
  /// What an indexer keeps comes on top.
  package var kvCacheBytesPerToken: Int {
    config.map {
      StreamedCosts($0)?.bytesPerToken ?? $0.layers * ($0.keyValueRank + $0.ropeHeadSize) * 2
    } ?? 0
  }
  /// The same if every head's keys and values were kept.
  package var mhaKvCacheBytesPerToken: Int {
    config.map { $0.layers * $0.heads * ($0.queryHeadSize + $0.valueHeadSize) * 2 } ?? 0
  }
}
