package import Models
package import Platform

/// The names that DeepSeek's shards have for a network's tensors, and how they divide them, whichever
/// of DeepSeek's codes the shards are for.
package struct NativeNaming: Sendable {
  /// Those of DeepSeek-V4, whose shards keep the published ones; nil for the others' own.
  private let v4: V4Names?

  /// Those of a network.
  package init(_ config: ModelConfig) { v4 = V4Names(config) }

  /// Those that a document beside the shards implies, in DeepSeek's keys or Hugging Face's; what it
  /// lacks is a fault of whoever reads it.
  package init(document: JSONValue) {
    guard V4Shards.isConfig(document) else {
      v4 = nil
      return
    }
    let layers = document["n_layers"] ?? document["num_hidden_layers"]
    if case .integer(let count)? = layers, count >= 0 {
      v4 = V4Names(layers: count)
    } else {
      v4 = V4Names(layers: 0)
    }
  }

  /// What a tensor of the network's own name is in the shards; nil for one that they cannot name.
  package func native(of own: ExactText) -> NativeNames.Translation? {
    guard let v4 else { return NativeNames.native(of: own) }
    let published = v4.published(of: own)
    return published == own ? nil : V4Shards.translation(of: published)
  }

  /// The network's own name of a tensor in the shards; nil for one that is none of it.
  package func own(of native: ExactText) -> NativeNames.Translation? {
    guard let v4 else { return NativeNames.huggingFace(of: native) }
    let own = v4.own(of: native)
    // Other spellings that checkpoints have are none of the shards.
    guard own != native, v4.published(of: own) == native else { return nil }
    let translation = V4Shards.translation(of: native)
    return NativeNames.Translation(
      name: own, division: translation.division, expert: translation.expert)
  }
}
