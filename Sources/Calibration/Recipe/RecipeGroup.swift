internal import Models
internal import Platform
internal import Tensors

/// Tensors that get one type together: what people name when they mix types by hand.
struct RecipeGroup: Sendable {
  /// `experts down, layers 3–22`.
  let name: String
  /// Tensors of the file.
  let tensors: [ExactText]
  /// Decoder layers that it is in; empty for embedding and head.
  let layers: Set<Int>
  /// Weights of all its tensors.
  let parameters: Int

  /// Divides the tensors of a file that can be quantized.
  ///
  /// MTP layers go with the last layers: what they lose shows in drafts alone, which are not
  /// measured here.
  ///
  /// - Parameters:
  ///   - tensors: those that can be quantized, in the order of the file.
  ///   - most: groups to make at most, where the network has so few kinds.
  static func all(
    _ tensors: [DialectTensor], for target: RecipeTarget, config: ModelConfig, most: Int
  ) -> [RecipeGroup] {
    let kinds = tensors.map { kind(of: $0, in: target) }
    // The layers of the main model that have a kind.
    var layers: [Kind: Set<Int>] = [:]
    for (tensor, kind) in zip(tensors, kinds) {
      layers[kind, default: []].formUnion(
        [tensor.layer].compactMap(\.self).filter { $0 < config.layers })
    }
    // Embedding, head and the dense feed-forward are few; the rest is divided by layers.
    let divided = layers.keys.count(where: \.isDivided)
    let ranges = max(1, (most - (layers.count - divided)) / max(1, divided))
    var groups: [String: [DialectTensor]] = [:]
    var order: [String] = []
    for (tensor, kind) in zip(tensors, kinds) {
      let name = name(
        of: tensor, kind.title(in: target), isDivided: kind.isDivided,
        layers: layers[kind, default: []].sorted(), ranges: ranges)
      if groups[name] == nil { order.append(name) }
      groups[name, default: []].append(tensor)
    }
    return order.map { name in
      let members = groups[name] ?? []
      let main = members.filter { ($0.layer ?? 0) < config.layers }
      return RecipeGroup(
        name: name, tensors: members.map(\.name), layers: Set(main.compactMap(\.layer)),
        parameters: members.reduce(0) { $0 + $1.shape.elementCount })
    }
  }

  /// What a tensor does.
  private enum Kind: String {
    case embedding, head, attention, dense, experts
    case streams = "streams and places"
    case shared = "shared experts"
    case gates = "experts gate"
    case ups = "experts up"
    case downs = "experts down"
    case pairs = "experts gate and up"

    /// What users of a format call it.
    func title(in target: RecipeTarget) -> String {
      switch (self, target) {
      case (.embedding, .gguf): "token_embd"
      case (.head, .gguf): "output"
      default: rawValue
      }
    }

    var isDivided: Bool { ![.embedding, .head, .dense, .streams].contains(self) }
  }

  /// Whether a matrix stays F32 in published checkpoints and in the files of llama.cpp's converter,
  /// though llama-quantize takes it like any other: what weighs residual streams, and the places of
  /// tokens in a compressed key.
  static func staysPlain(_ tensor: DialectTensor) -> Bool {
    tensor.part == .streams || tensor.name.hasSuffix("_ape.weight")
  }

  private static func kind(of tensor: DialectTensor, in target: RecipeTarget) -> Kind {
    if staysPlain(tensor) { return .streams }
    guard tensor.layer != nil else { return tensor.part == .embedding ? .embedding : .head }
    switch tensor.part {
    case .sharedExpert: return .shared
    case .mlp: return .dense
    // Loaders of that format have one scheme for all matrices of a layer's experts.
    case .expert where target == .compressedTensors: return .experts
    case .expert:
      let words: [(ExactText, Kind)] = [("gate_up", .pairs), ("gate_", .gates), ("up_", .ups)]
      return words.first { tensor.name.contains($0.0) }?.1 ?? .downs
    default: return .attention
    }
  }

  /// - Parameter layers: those that have the kind, in order, which are cut into equally many.
  private static func name(
    of tensor: DialectTensor, _ kind: String, isDivided: Bool, layers: [Int], ranges: Int
  ) -> String {
    guard isDivided, let layer = tensor.layer, !layers.isEmpty else { return kind }
    let count = min(ranges, layers.count)
    let place = layers.lastIndex { $0 <= layer } ?? 0
    let range = place * count / layers.count
    let members = layers.indices.filter { $0 * count / layers.count == range }.map { layers[$0] }
    guard let first = members.first, let last = members.last, count > 1 else { return kind }
    return "\(kind), " + (first == last ? "layer \(first)" : "layers \(first)–\(last)")
  }
}
