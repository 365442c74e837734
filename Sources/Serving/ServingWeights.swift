package import Models
package import Platform

/// Bytes of a model's weights as they are stored, scales with them, by how loaders divide them among
/// devices. Those of MTP layers are counted apart.
package struct ServingWeights: Sendable, Hashable {
  /// What can be cut, and along what.
  package enum Share: Sendable, Hashable, CaseIterable {
    /// Embedding table and head, by rows of the vocabulary.
    case vocabulary
    /// The attention's matrices that have a part for each head.
    case heads
    /// Dense MLPs and shared experts, by their width.
    case width
    /// Routed experts, by their width or one by one.
    case experts
    /// What every device holds: the projections to latents, indexers, routers, norms.
    case common
  }

  /// Bytes of the decoder layers and of what stands around them.
  package private(set) var main: [Share: Int] = [:]
  /// Bytes of the MTP layers, their copies of embedding and head among them.
  package private(set) var mtp = 0

  /// Nothing yet.
  package init() {}

  /// Counts a weight.
  ///
  /// - Parameters:
  ///   - name: its Hugging Face name.
  ///   - layer: index of its layer; nil outside the layers.
  package mutating func add(
    _ bytes: Int, of part: ExpectedTensor.Part, named name: ExactText, layer: Int?,
    in config: ModelConfig
  ) {
    guard (layer ?? 0) < config.layers else {
      mtp += bytes
      return
    }
    main[ServingWeights.share(of: part, named: name), default: 0] += bytes
  }

  /// Counts what was counted elsewhere.
  package mutating func add(_ other: ServingWeights) {
    main.merge(other.main, uniquingKeysWith: +)
    mtp += other.mtp
  }

  /// Bytes of all but the MTP layers.
  package var mainBytes: Int { main.values.reduce(0, +) }

  /// Sources: vLLM's `DeepseekV2MLAAttention` and `Indexer`, whose `q_a_proj`, `kv_a_proj_with_mqa` and
  /// projections of indexers are replicated, and `ColumnParallelLinear` or `RowParallelLinear` the rest.
  static func share(of part: ExpectedTensor.Part, named name: ExactText) -> Share {
    switch part {
    case .embedding, .head, .embeddingCopy, .headCopy: return .vocabulary
    case .mlp, .sharedExpert: return .width
    case .expert: return .experts
    case .attention:
      let divided: [ExactText] = [
        ".q_proj.", ".q_b_proj.", ".kv_b_proj.", ".o_proj.", ".o_a_proj.",
      ]
      return divided.contains { name.contains($0) } ? .heads : .common
    case .norm, .indexer, .router, .mtpInput, .routingTable, .streams, .compressor, .sinks:
      return .common
    }
  }
}
