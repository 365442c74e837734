internal import Dialects
internal import Formats
internal import Platform

/// Lets go of what the system caches of the source, where the source is too large to stay there.
struct SourceCache {
  private let plan: Plan
  private let inventory: Inventory
  private let isActive: Bool
  private var last: Int?

  init(_ plan: Plan, inventory: Inventory) {
    self.plan = plan
    self.inventory = inventory
    let bytes = inventory.tensors.reduce(0) { $0 + $1.byteCount }
    isActive = bytes > Workers.physicalMemory / 2
  }

  /// Notes that a tile of `tensor` was written; what the one before it was made from is let go,
  /// unless this one, the scales of it perhaps, is made from the same.
  mutating func pass(_ tensor: Int) {
    guard isActive, last != tensor else { return }
    if let last, plan.tensors[last].source != plan.tensors[tensor].source {
      for source in plan.tensors[last].sources {
        inventory.shards[source.shard].file.dropCache(
          at: source.offset, count: source.byteCount)
      }
    }
    last = tensor
  }
}
