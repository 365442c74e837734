package import Platform
package import Reference
internal import Tensors

/// How a forward pass is divided so that the process keeps a limit on its memory.
package struct MemoryBudget {
  /// How each pass works.
  package let plan: MemoryPlan
  /// Threads to compute with: all, or one where memory is that short.
  package let threads: Int
  /// Sequences that go through the layers together.
  package let together: Int
  /// Bytes that are left of the limit.
  package private(set) var spare = 0

  /// What the command takes where the user names no limit, or as much more as is needed.
  private static let customary = 1_000_000_000
  /// What the process takes beside: code that has not run yet, stacks, small pieces.
  private static let beside = 8 << 20

  /// Finds the most generous way within a limit, and lets freed memory be kept for use as far as
  /// the limit allows.
  ///
  /// - Parameters:
  ///   - limit: bytes that the process may have in memory, what it has now included; nil for the
  ///     customary limit, or for more where that does not do.
  ///   - sequences: how many there are.
  ///   - isDivisible: whether they may go through the layers in groups, each of which reads all
  ///     weights.
  ///   - bytes: what so many sequences take.
  /// - Throws: `.usage` with the least that does, where the limit cannot be kept.
  package init(
    limit: Int?, threads: Int, sequences: Int, isDivisible: Bool,
    bytes: (_ together: Int, _ plan: MemoryPlan, _ threads: Int) -> Int
  ) throws(Fault) {
    ProcessMemory.returnFreedPieces()
    let present = ProcessMemory.resident + MemoryBudget.beside
    let ways = MemoryBudget.ways(sequences, isDivisible: isDivisible, threads: threads)
    let needs = ways.map { present + bytes($0.together, $0.plan, $0.threads) }
    let least = max(needs.min() ?? 0, ProcessMemory.peak)
    var memory = limit ?? MemoryBudget.customary
    if limit == nil { while memory < least { memory *= 2 } }
    guard memory >= least, let choice = needs.firstIndex(where: { $0 <= memory }) else {
      let megabytes = (least + (1 << 20)) / 1_000_000 + 1
      throw Fault(
        .usage, "the work does not fit into --memory",
        expected: "at least \(ByteSize(bytes: megabytes * 1_000_000))",
        found: "\(ByteSize(bytes: memory))")
    }
    self = ways[choice]
    spare = memory - needs[choice]
    let (most, need) = (ByteSize.shown(memory), ByteSize.shown(needs[choice]))
    Console.step(
      "planned the pass: \(need) of \(most) in memory; threads \(self.threads); sequences that go "
        + "together \(together) of \(sequences)")
    BufferReserve.limit(to: min(64 << 20, spare))
  }

  private init(plan: MemoryPlan, threads: Int, together: Int) {
    self.plan = plan
    self.threads = threads
    self.together = together
  }

  /// All ways, those first that go through the weights least often.
  private static func ways(
    _ sequences: Int, isDivisible: Bool, threads: Int
  ) -> [MemoryBudget] {
    let (fast, tight) = (
      MemoryPlan.all.filter { !$0.isTight }, MemoryPlan.all.filter(\.isTight)
    )
    var ways: [MemoryBudget] = []
    var together = sequences
    while true {
      for plan in fast {
        ways.append(MemoryBudget(plan: plan, threads: threads, together: together))
      }
      guard isDivisible, together > 1 else { break }
      together = (together + 1) / 2
    }
    for threads in threads > 1 ? [threads, 1] : [1] {
      for plan in tight {
        ways.append(MemoryBudget(plan: plan, threads: threads, together: together))
      }
    }
    return ways
  }
}
