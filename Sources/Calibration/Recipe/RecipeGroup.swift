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

  /// Divides the tensors of a file that can be quantized: first by what they do; then, as long as there
  /// may be more groups, the group with most weights by its matrices and, where it has one kind of
  /// them, into earlier and later layers. Where bits go best, weights lose alike wherever they are, so
  /// that most can be gained where most weights are.
  ///
  /// MTP layers go with the last layers, their copies of embedding and head with these: what they lose
  /// shows in drafts alone, which are not measured here.
  ///
  /// - Parameters:
  ///   - tensors: those that can be quantized, in the order of the file.
  ///   - most: groups to make at most, where the network has so few kinds.
  static func all(
    _ tensors: [DialectTensor], for target: RecipeTarget, config: ModelConfig, most: Int
  ) -> [RecipeGroup] {
    let kinds = tensors.map { kind(of: $0, in: target, config) }
    var groups = order(kinds).map { kind in
      Members(
        title: kind.title(in: target),
        tensors: zip(tensors, kinds).filter { $0.1 == kind }.map(\.0), layers: config.layers,
        // Loaders of that format join some matrices and have one scheme for them.
        isMixed: target != .compressedTensors)
    }
    while true {
      let parts = groups.map(\.parts)
      let divisible = groups.indices.filter {
        parts[$0].count > 1 && groups.count + parts[$0].count - 1 <= most
      }
      guard let largest = divisible.max(by: { groups[$0].parameters < groups[$1].parameters })
      else { break }
      groups.replaceSubrange(largest...largest, with: parts[largest])
    }
    return groups.map(\.group)
  }

  private static func order<Value: Hashable>(_ values: [Value]) -> [Value] {
    var seen: Set<Value> = []
    return values.filter { seen.insert($0).inserted }
  }

  /// Tensors on the way to a group.
  private struct Members {
    var title: String
    var tensors: [DialectTensor]
    /// Layers of the main model.
    let layers: Int
    /// Whether its matrices can have several types.
    var isMixed: Bool
    /// The layers that are named in the group's name, where they are not all that there are.
    var range: [Int] = []

    var parameters: Int { tensors.reduce(0) { $0 + $1.shape.elementCount } }

    /// Layers of the main model that it is in, in order.
    private var own: [Int] {
      Set(tensors.compactMap(\.layer)).filter { $0 < layers }.sorted()
    }

    var group: RecipeGroup {
      var name = title
      if let first = range.first, let last = range.last {
        name += first == last ? ", layer \(first)" : ", layers \(first)–\(last)"
      }
      return RecipeGroup(
        name: name, tensors: tensors.map(\.name), layers: Set(own), parameters: parameters)
    }

    /// What it can be divided into; itself where that is nothing.
    var parts: [Members] {
      let matrices = matrices
      return matrices.count > 1 ? matrices : halves
    }

    /// A part for each matrix that layers of the main model have; what MTP layers alone have goes with
    /// the largest.
    private var matrices: [Members] {
      guard isMixed else { return [self] }
      let main = tensors.filter { ($0.layer ?? 0) < layers }
      let names = RecipeGroup.order(main.map(RecipeGroup.matrix))
      let largest = main.max { $0.shape.elementCount < $1.shape.elementCount }
      let home = largest.map(RecipeGroup.matrix)
      return names.map { name in
        var part = self
        (part.title, part.isMixed) = (names.count > 1 ? name : title, false)
        part.tensors = tensors.filter { tensor in
          let matrix = RecipeGroup.matrix(tensor)
          return matrix == name || name == home && !names.contains(matrix)
        }
        return part
      }
    }

    private var halves: [Members] {
      let own = own
      guard own.count > 1 else { return [self] }
      let middle = own[own.count / 2]
      return [true, false].map { isFirst in
        var part = self
        part.tensors = tensors.filter { (($0.layer ?? 0) < middle) == isFirst }
        part.range = own.filter { ($0 < middle) == isFirst }
        return part
      }
    }
  }

  /// A tensor's name in its layer: `attn_q_a`.
  private static func matrix(_ tensor: DialectTensor) -> String {
    let name = (tensor.name.without(suffix: ".weight") ?? tensor.name).text
    let parts = name.split(separator: ".")
    guard let layer = tensor.layer, let place = parts.firstIndex(of: Substring("\(layer)")) else {
      return name
    }
    return parts[(place + 1)...].joined(separator: ".")
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
  }

  /// Whether a matrix stays F32 in published checkpoints and in the files of llama.cpp's converter,
  /// though llama-quantize takes it like any other: what weighs residual streams, and the places of
  /// tokens in a compressed key.
  static func staysPlain(_ tensor: DialectTensor) -> Bool {
    tensor.part == .streams || tensor.name.hasSuffix("_ape.weight")
  }

  private static func kind(
    of tensor: DialectTensor, in target: RecipeTarget, _ config: ModelConfig
  ) -> Kind {
    if staysPlain(tensor) { return .streams }
    switch config.original(of: tensor.part) ?? tensor.part {
    case .embedding: return .embedding
    case .head: return .head
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
}
