package import Models
package import Platform

/// The names that tensors of DeepSeek-V4 have in published checkpoints, which are DeepSeek's own, and
/// in those that transformers saves; the network's own names are those of transformers' class, each
/// expert for itself.
///
/// Sources: the published headers of V4-Flash, transformers 5.23's conversion mapping, which saves by
/// its inverse: `model.` in front, and `attn.norm` for `attn.kv_norm`.
package struct V4Names: Sendable {
  /// Decoder layers, after which those follow that are published as `mtp.N`.
  private let layers: Int

  /// Names for a network; nil where it has published names of its own.
  package init?(_ config: ModelConfig) {
    guard config.v4 != nil else { return nil }
    layers = config.layers
  }

  /// Names for a network of so many decoder layers.
  init(layers: Int) { self.layers = layers }

  private typealias Row = (own: ExactText, published: ExactText)

  /// Modules of a layer, whose tensors end in `.weight` or, with scales, `.scale`.
  private static let modules: [Row] =
    [
      ("input_layernorm", "attn_norm"), ("post_attention_layernorm", "ffn_norm"),
      ("self_attn.q_a_proj", "attn.wq_a"), ("self_attn.q_a_norm", "attn.q_norm"),
      ("self_attn.q_b_proj", "attn.wq_b"), ("self_attn.kv_proj", "attn.wkv"),
      ("self_attn.kv_norm", "attn.kv_norm"), ("self_attn.o_a_proj", "attn.wo_a"),
      ("self_attn.o_b_proj", "attn.wo_b"),
      ("self_attn.compressor.indexer.q_b_proj", "attn.indexer.wq_b"),
      ("self_attn.compressor.indexer.scorer.weights_proj", "attn.indexer.weights_proj"),
      ("mlp.gate", "ffn.gate"), ("e_proj", "e_proj"), ("h_proj", "h_proj"), ("enorm", "enorm"),
      ("hnorm", "hnorm"), ("shared_head.norm", "norm"),
    ] + compressor("self_attn.compressor.", "attn.compressor.")
    + compressor("self_attn.compressor.indexer.", "attn.indexer.compressor.")
    + projections("mlp.shared_experts.", "ffn.shared_experts.")
    + projections("mlp.experts.{e}.", "ffn.experts.{e}.")

  private static func compressor(_ own: ExactText, _ published: ExactText) -> [Row] {
    [("kv_proj", "wkv"), ("gate_proj", "wgate"), ("kv_norm", "norm")].map {
      (own + $0.0, published + $0.1)
    }
  }

  private static func projections(_ own: ExactText, _ published: ExactText) -> [Row] {
    [("gate_proj", "w1"), ("down_proj", "w2"), ("up_proj", "w3")].map {
      (own + $0.0, published + $0.1)
    }
  }

  /// Tensors of a layer that are no weight of a module.
  private static let tensors: [Row] =
    [
      ("self_attn.sinks", "attn.attn_sink"),
      ("self_attn.compressor.position_bias", "attn.compressor.ape"),
      ("self_attn.compressor.indexer.position_bias", "attn.indexer.compressor.ape"),
      ("mlp.gate.e_score_correction_bias", "ffn.gate.bias"),
      ("mlp.gate.tid2eid", "ffn.gate.tid2eid"),
    ] + mixer("attn_hc.", "hc_attn_") + mixer("ffn_hc.", "hc_ffn_") + head

  private static func mixer(_ own: ExactText, _ published: ExactText) -> [Row] {
    ["fn", "base", "scale"].map { (own + $0, published + $0) }
  }

  /// What joins the streams, in a layer that predicts and behind the last one.
  private static let head = mixer("hc_head.hc_", "hc_head_")

  /// Tensors outside the layers.
  private static let outer: [Row] =
    [
      ("model.embed_tokens.weight", "embed.weight"), ("model.norm.weight", "norm.weight"),
      ("lm_head.weight", "head.weight"),
    ] + head.map { ("model." + $0.own, $0.published) }

  private static let outerOwn = index(outer, \.published, \.own)
  private static let outerPublished = index(outer, \.own, \.published)
  private static let modulesOwn = index(
    modules + [("self_attn.kv_norm", "attn.norm")], \.published, \.own)
  private static let modulesPublished = index(modules, \.own, \.published)
  private static let tensorsOwn = index(tensors, \.published, \.own)
  private static let tensorsPublished = index(tensors, \.own, \.published)

  private static func index(
    _ rows: [Row], _ key: (Row) -> ExactText, _ value: (Row) -> ExactText
  ) -> [ExactText: ExactText] {
    Dictionary(uniqueKeysWithValues: rows.map { (key($0), value($0)) })
  }

  /// The network's own name of a tensor, whichever of the spellings a file has; the same for what the
  /// network does not have.
  package func own(of stored: ExactText) -> ExactText {
    let bare = stored.without(prefix: "model.") ?? stored
    if let name = V4Names.outerOwn[bare] { return name }
    let place: (layer: Int, rest: ExactText)
    if let found = V4Names.numbered(bare, after: "layers.") {
      place = found
    } else if let found = V4Names.numbered(bare, after: "mtp.") {
      place = (layers + found.layer, found.rest)
    } else {
      return V4Names.outerPublished["model." + bare] == nil ? stored : "model." + bare
    }
    let prefix: ExactText = "model.layers.\(place.layer)."
    if let name = V4Names.tensorsOwn[place.rest] { return prefix + name }
    let (module, expert) = V4Names.marked(place.rest)
    for (ending, own) in V4Names.endings {
      guard let bare = module.without(suffix: ending), let name = V4Names.modulesOwn[bare] else {
        continue
      }
      return prefix + V4Names.filled(name, expert) + own
    }
    return prefix + place.rest
  }

  /// The published name of a tensor of the network; the same for any other.
  package func published(of own: ExactText) -> ExactText {
    if let name = V4Names.outerPublished[own] { return name }
    guard let (layer, rest) = V4Names.numbered(own, after: "model.layers.") else { return own }
    let prefix: ExactText = layer < layers ? "layers.\(layer)." : "mtp.\(layer - layers)."
    if let name = V4Names.tensorsPublished[rest] { return prefix + name }
    let (module, expert) = V4Names.marked(rest)
    for (ending, own) in V4Names.endings.dropLast() {
      guard let bare = module.without(suffix: own), let name = V4Names.modulesPublished[bare] else {
        continue
      }
      return prefix + V4Names.filled(name, expert) + ending
    }
    return own
  }

  /// Ends of the tensors of a module, as files have them and as the network does.
  private static let endings: [(stored: ExactText, own: ExactText)] = [
    (".weight", ".weight"), (".scale", ".weight_scale_inv"),
    (".weight_scale_inv", ".weight_scale_inv"),
  ]

  /// The number behind a beginning, and what follows it.
  private static func numbered(
    _ name: ExactText, after beginning: ExactText
  ) -> (layer: Int, rest: ExactText)? {
    guard let rest = name.without(prefix: beginning) else { return nil }
    let parts = rest.split(separator: ".", maxSplits: 1)
    guard parts.count == 2, parts[0].utf8.count < 7, let layer = Int(parts[0].text), layer >= 0
    else { return nil }
    return (layer, parts[1])
  }

  /// A name with the number of its expert taken out.
  private static func marked(_ name: ExactText) -> (name: ExactText, expert: ExactText?) {
    for beginning in ["ffn.experts.", "mlp.experts."] as [ExactText] {
      guard let rest = name.without(prefix: beginning) else { continue }
      let parts = rest.split(separator: ".", maxSplits: 1)
      guard parts.count == 2, Int(parts[0].text) != nil else { return (name, nil) }
      return (beginning + "{e}." + parts[1], parts[0])
    }
    return (name, nil)
  }

  private static func filled(_ name: ExactText, _ expert: ExactText?) -> ExactText {
    expert.map { name.replacing("{e}", with: $0) } ?? name
  }
}

extension ModelConfig {
  /// The name that an output in Hugging Face's layout has for a tensor of the network.
  package func writtenName(of own: ExactText) -> ExactText {
    V4Names(self)?.published(of: own) ?? storedName(of: own)
  }
}
