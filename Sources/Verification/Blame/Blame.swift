internal import Platform
internal import Reference
internal import Reports

/// What one part of the candidate adds to the difference: the reference with that part alone
/// exchanged, against the reference as it is.
package struct Blame: Sendable, Hashable {
  /// What was exchanged.
  package enum Kind: String, Sendable, Hashable, CaseIterable {
    /// A key of the config or of a GGUF file's metadata.
    case config
    /// One tensor.
    case tensor
    /// All matrices of a routed expert that differ.
    case expert
    /// All matrices of a layer's routed experts that differ.
    case experts
  }

  /// What was exchanged.
  package let kind: Kind
  /// The key as the candidate's file spells it, the tensor's Hugging Face name, or the path that the
  /// tensors of an expert have in common.
  package let name: String
  /// Index of the layer; nil outside the layers.
  package let layer: Int?
  /// Tensors that were exchanged.
  package let tensors: Int
  /// Bytes that the tensors take in the candidate's files, scales included; nil for a key.
  package let bytes: Int?
  /// Mean KL divergence that it causes, in nats, of the head where it causes most.
  package let klMean: Double
  /// NMSE of that head's logits.
  package let logitsNmse: Double
  /// Σ (candidate − reference)² / Σ reference² of the weights; nil for a key.
  package let weightNmse: Double?
  /// What the difference looks like, where that can be told.
  package let hint: String?

  /// Makes a record.
  package init(
    kind: Kind, name: String, layer: Int?, tensors: Int, bytes: Int?, klMean: Double,
    logitsNmse: Double, weightNmse: Double?, hint: String?
  ) {
    (self.kind, self.name, self.layer, self.tensors) = (kind, name, layer, tensors)
    self.bytes = bytes
    (self.klMean, self.logitsNmse) = (klMean, logitsNmse)
    (self.weightNmse, self.hint) = (weightNmse, hint)
  }

  var json: JSONValue {
    var object: JSONObject = [
      "kind": .string(kind.rawValue), "name": .string(name), "tensors": .integer(tensors),
      "klMean": .number(klMean), "logitsNmse": .number(logitsNmse),
    ]
    object["layer"] = layer.map { .integer($0) }
    object["bytes"] = bytes.map { .integer($0) }
    object["weightNmse"] = weightNmse.map { .number($0) }
    object["hint"] = hint.map { .string($0) }
    return .object(object)
  }

  /// The worst first; of equal ones keys, then what is most specific.
  func precedes(_ other: Blame) -> Bool {
    let kinds = (
      Kind.allCases.firstIndex(of: kind) ?? 0, Kind.allCases.firstIndex(of: other.kind) ?? 0
    )
    let (mine, others) = (klMean.badness, other.klMean.badness)
    if mine != others { return mine > others }
    if kinds.0 != kinds.1 { return kinds.0 < kinds.1 }
    let weights = (weightNmse?.badness ?? 0, other.weightNmse?.badness ?? 0)
    return weights.0 == weights.1 ? name < other.name : weights.0 > weights.1
  }
}

/// A part of the candidate that can be put into the reference.
struct BlamePart: Sendable {
  let kind: Blame.Kind
  let name: String
  let layer: Int?
  /// Hugging Face names of the tensors.
  let tensors: [String]
  let weightNmse: Double?
  var config: ConfigDifference?
  var hint: String?
  /// Further layers that it is in.
  private var layers: Set<Int> = []
  /// Where its tensors come from; nil for the candidate.
  private(set) var weights: (any WeightSource)?

  /// Some tensors from a source of their own.
  init(name: String, layers: Set<Int>, tensors: [String], weights: any WeightSource) {
    (kind, self.name, layer, weightNmse) = (.tensor, name, layers.min(), nil)
    (self.layers, self.tensors, self.weights) = (layers, tensors, weights)
  }

  init(_ difference: ConfigDifference) {
    (kind, name, layer) = (.config, difference.name, nil)
    (tensors, weightNmse, config) = ([], nil, difference)
  }

  init(
    _ kind: Blame.Kind, name: String, layer: Int?, tensors: [TensorDifference],
    hint: String? = nil
  ) {
    (self.kind, self.name, self.layer, self.hint) = (kind, name, layer, hint)
    self.tensors = tensors.map(\.name)
    weightNmse = TensorDifference.joined(tensors)
  }

  init(_ tensor: TensorDifference, hint: String? = nil) {
    self.init(.tensor, name: tensor.name, layer: tensor.layer, tensors: [tensor], hint: hint)
  }
}

/// A step of the forward pass whose result depends on weights.
enum BlameStage: Hashable {
  case embedding
  /// A decoder or MTP layer, by its stored index.
  case layer(Int)
  case finalNorm
  case head
}

extension BlamePart {
  private static let embedding = "model.embed_tokens.weight"

  /// Whether the part changes what a step does with the same input.
  func touches(_ stage: BlameStage, layers count: Int, isTied: Bool) -> Bool {
    if kind == .config { return stage != .embedding }
    switch stage {
    case .embedding: return tensors.contains(BlamePart.embedding)
    case .layer(let index):
      // MTP layers embed a token each.
      return layer == index || layers.contains(index)
        || (index >= count && tensors.contains(BlamePart.embedding))
    // What puts residual streams together is a part of that step.
    case .finalNorm:
      return tensors.contains { $0 == "model.norm.weight" || $0.hasPrefix("model.hc_head.") }
    case .head:
      return tensors.contains("lm_head.weight") || (isTied && tensors.contains(BlamePart.embedding))
    }
  }
}
