internal import Platform

/// What the files of one model share: each takes its part while it is opened.
package struct ModelBudget: Sendable {
  /// Tensors in all headers.
  let tensors = Budget("tensors", limit: Inventory.tensorLimit)
  /// Files that there are, and those that their names, or an index, say that there should be.
  let files = Budget("files", limit: 10_000)
  /// Headers of safetensors files, whose names and metadata are kept. DeepSeek-V3's have 13 million
  /// bytes in all.
  let headerBytes = Budget("bytes of headers", limit: 128 << 20)
  /// Indexes of packed files, whose tables are kept: enough for 5 TB of BF16 weights.
  let packedIndexBytes = Budget("bytes of packed files' indexes", limit: 64 << 20)

  /// Bytes that a file may claim to have, 16 TB, which is what common file systems have room for.
  ///
  /// Every size, offset and count of elements that a header states is held to this when it is read,
  /// and a model has at most ten thousand files: so no sum of such numbers over all files, nor one
  /// times a few dozen, overflows 64 bits wherever it is taken.
  static let fileBytes = 1 << 44

  /// A budget for one model of which nothing has been taken.
  package init() {}
}
