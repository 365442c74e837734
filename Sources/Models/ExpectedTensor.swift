package import Platform
package import Tensors

/// A tensor that a config implies.
package struct ExpectedTensor: Sendable, Hashable {
  /// How its elements are to be stored.
  package enum Storage: Sendable, Hashable {
    /// In the checkpoint's own type, `torch_dtype`.
    case plain
    /// In F32 whatever the checkpoint's type.
    case float32
    /// In the checkpoint's own type or in F32: published checkpoints have it in either.
    case plainOrFloat32
    /// As FP8 E4M3 with a grid of scales beside it, named `scaleName(for:)`.
    case fp8
    /// As FP4 E2M1, two in a byte, the low one first, with an E8M0 scale for each group of columns
    /// beside it, named `scaleName(for:)`.
    case fp4
    /// As integers.
    case indices
    /// As the grid of scales of the weight before it: F32, or E8M0 where powers of two suffice.
    case scale
    /// As codes in a format of compressed-tensors: what stands in the files in place of the weight
    /// is `CompressedScheme.tensors(of:)`.
    case compressed(CompressedScheme)

    /// Whether it has the type of the weights that are not quantized.
    package var isPlain: Bool { self == .plain || self == .plainOrFloat32 }
  }

  /// What the tensor is part of.
  package enum Part: String, Sendable, Hashable, CaseIterable {
    /// The embedding table.
    case embedding
    /// The output head.
    case head
    /// Norms of the residual stream.
    case norm
    /// Multi-head latent attention.
    case attention
    /// What chooses the keys that queries see.
    case indexer
    /// A dense layer's MLP.
    case mlp
    /// The router's matrix and correction bias.
    case router
    /// What tells each token's experts.
    case routingTable
    /// What mixes residual streams.
    case streams
    /// What makes compressed keys.
    case compressor
    /// What each head's softmax has beside its keys.
    case sinks
    /// A routed expert.
    case expert
    /// The shared experts.
    case sharedExpert
    /// What joins an MTP layer to the stream: two norms and the projection.
    case mtpInput
    /// An MTP layer's copy of the embedding table.
    case embeddingCopy
    /// An MTP layer's copy of the head.
    case headCopy
  }

  /// Hugging Face name.
  package let name: ExactText
  /// Dimensions, output features first.
  package let shape: Shape
  /// How it is stored.
  package let storage: Storage
  /// What it is part of.
  package let part: Part
  /// Index of its layer, nil outside the layers.
  package let layer: Int?
  /// Index of its routed expert, nil elsewhere.
  package let expert: Int?

  /// The same of another shape, as where a file holds a part of it.
  package func with(shape: Shape) -> ExpectedTensor {
    ExpectedTensor(
      name: name, shape: shape, storage: storage, part: part, layer: layer, expert: expert)
  }

  /// The name of the scales of the FP8 weight `weight`.
  package static func scaleName(for weight: ExactText) -> ExactText { weight + "_scale_inv" }

  /// The name of the weight that a grid of scales belongs to, nil where `scale` names no grid.
  package static func weightName(ofScale scale: ExactText) -> ExactText? {
    scale.without(suffix: "_scale_inv")
  }

  /// The module that it is the weight of; nil for what is no weight of one.
  package var module: ExactText? { name.without(suffix: ".weight") }

  /// The class of that module in torch, if it is one whose weights can be stored as codes.
  package var moduleClass: ModuleTarget.Class? {
    guard shape.dimensions.count == 2 else { return nil }
    switch part {
    case .embedding, .embeddingCopy: return .embedding
    case .head, .headCopy, .attention, .mlp, .expert, .sharedExpert, .mtpInput, .compressor:
      return name.hasSuffix(".weight") ? .linear : nil
    // Loaders quantize no weights of its heads, whatever a checkpoint says.
    case .indexer: return name.hasSuffix(".weights_proj.weight") ? nil : .linear
    // A class of its own, which no loader quantizes.
    case .router, .norm, .routingTable, .streams, .sinks: return nil
    }
  }

  /// Whether a token multiplies with these weights only if it is routed to their expert.
  package var isRouted: Bool { expert != nil }

  /// The same tensor in another storage.
  func stored(as storage: Storage) -> ExpectedTensor {
    ExpectedTensor(
      name: name, shape: shape, storage: storage, part: part, layer: layer, expert: expert)
  }

  /// The same as plain numbers.
  package var asPlain: ExpectedTensor { stored(as: .plain) }

  /// The same as FP8 codes.
  package var inFP8: ExpectedTensor { stored(as: .fp8) }

  /// A grid of scales of this weight, as a tensor of its own.
  package func scales(named name: ExactText, _ shape: Shape) -> ExpectedTensor {
    ExpectedTensor(
      name: name, shape: shape, storage: .scale, part: part, layer: layer, expert: expert)
  }

  /// What a checkpoint has in place of this weight, or beside it, as a tensor of its own.
  package func part(_ tensor: CompressedTensor) -> ExpectedTensor {
    let storage: Storage =
      switch tensor.role {
      case .codes: tensor.types == [.f8E4M3] ? .fp8 : .plain
      case .scales, .zeroPoints, .globalScale: .scale
      case .shape, .inputs, .columnGroups: .plain
      }
    return ExpectedTensor(
      name: "\(module ?? "").\(tensor.name)", shape: tensor.shape, storage: storage, part: part,
      layer: layer, expert: expert)
  }
}

extension ModelConfig {
  /// What a part of an MTP layer repeats of the main model (DeepSeek's README_WEIGHTS); nil for what
  /// repeats nothing.
  package func original(of part: ExpectedTensor.Part) -> ExpectedTensor.Part? {
    switch part {
    case .embeddingCopy: .embedding
    case .headCopy: tiedEmbeddings ? .embedding : .head
    default: nil
    }
  }
}
