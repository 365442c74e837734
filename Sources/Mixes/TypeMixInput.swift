package import Platform
package import Tensors

extension TypeMix {
  /// A tensor whose type is to be chosen.
  package struct Tensor: Sendable, Hashable {
    /// Its name in GGUF.
    package let name: ExactText
    /// Its extents in GGUF's order: the length of a row first.
    package let extents: [Int]
    /// The type that it has before.
    package let type: ElementType

    /// Makes a tensor.
    package init(name: ExactText, extents: [Int], type: ElementType) {
      self.name = name
      self.extents = extents
      self.type = type
    }

    /// Columns.
    package var rowLength: Int { extents.first ?? 1 }

    /// Dimensions without those of extent 1 at the end, as ggml counts them.
    package var dimensions: Int { (extents.lastIndex { $0 > 1 } ?? 0) + 1 }

    /// Whether it is a stack of matrices: experts, or the heads of `attn_k_b` and `attn_v_b`.
    package var isStack: Bool { extents.count > 2 && extents[2] > 1 }
  }

  /// The counts in a model's metadata that the choice depends on.
  package struct Model: Sendable, Hashable {
    /// `block_count`, the layers with those of multi-token prediction.
    package let blockCount: Int
    /// `expert_count`; 0 where the model has no experts.
    package let expertCount: Int
    /// `attention.head_count`.
    package let headCount: Int
    /// `attention.head_count_kv`: 1 where the file has `attn_k_b` and `attn_v_b`.
    package let keyValueHeadCount: Int

    /// Makes a model.
    package init(blockCount: Int, expertCount: Int, headCount: Int, keyValueHeadCount: Int = 1) {
      self.blockCount = blockCount
      self.expertCount = expertCount
      self.headCount = headCount
      self.keyValueHeadCount = keyValueHeadCount
    }

    /// Takes the counts from a file's metadata, keys that are absent counting as 0.
    package init(_ metadata: Metadata, architecture: String) {
      func count(_ key: String) -> Int {
        metadata["\(architecture).\(key)"]?.integer ?? 0
      }
      self.init(
        blockCount: count("block_count"), expertCount: count("expert_count"),
        headCount: count("attention.head_count"),
        keyValueHeadCount: count("attention.head_count_kv"))
    }

    /// Query heads that share a key head.
    package var headsPerKey: Int { keyValueHeadCount > 0 ? headCount / keyValueHeadCount : 0 }
  }
}
