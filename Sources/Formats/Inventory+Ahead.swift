internal import Platform

extension Shard {
  /// Says that a tensor of this file will be read, where the file lies elsewhere.
  package func fetchAhead(_ tensor: StoredTensor) {
    if file.isDistant { file.fetchAhead(at: tensor.offset, count: tensor.byteCount) }
  }
}

extension Inventory {
  /// Says which tensors will be read, in that order, where their files lie elsewhere: they come side by
  /// side then, while others are worked on. What lies on a disk is left to the system.
  package func fetchAhead(_ tensors: some Sequence<StoredTensor>) {
    for tensor in tensors { fetchAhead(tensor) }
  }

  /// The same for one more tensor.
  package func fetchAhead(_ tensor: StoredTensor) {
    shards[tensor.shard].fetchAhead(tensor)
  }

  /// The same for the ends of all files, as far as most looks at them go.
  package func fetchEndsAhead() {
    for shard in shards where shard.file.isDistant {
      let count = min(ZeroTail.firstLook, shard.file.size)
      shard.file.fetchAhead(at: shard.file.size - count, count: count)
    }
  }
}
