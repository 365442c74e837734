import Locks
import Platform
import Synchronization
import Testing

@Suite struct OrderedPipelineTests {
  @Test(arguments: [1, 2, 3, 8], [1, 2, 7])
  func tilesArriveInOrder(threads: Int, slots: Int) throws {
    var items: [Int] = []
    var sizes: [Int] = []
    try OrderedPipeline.run(
      threads: threads, count: 200, slots: slots, slotBytes: 16,
      produce: { _, item, slot in
        slot.storeBytes(of: item, as: Int.self)
        return 8 + item % 8
      },
      consume: { item, bytes in
        items.append(bytes.load(as: Int.self))
        sizes.append(bytes.count - 8)
        #expect(items.count == item + 1)
      })
    #expect(items == Array(0..<200))
    #expect(sizes == (0..<200).map { $0 % 8 })
  }

  @Test func noMoreTilesThanSlotsAreAlive() throws {
    let alive = Atomic<Int>(0)
    let most = Atomic<Int>(0)
    try OrderedPipeline.run(
      threads: 4, count: 500, slots: 3, slotBytes: 1,
      produce: { _, _, _ in
        let now = alive.wrappingAdd(1, ordering: .relaxed).newValue
        most.max(now, ordering: .relaxed)
        return 1
      },
      consume: { _, _ in alive.wrappingSubtract(1, ordering: .relaxed) })
    #expect(alive.load(ordering: .relaxed) == 0)
    #expect(most.load(ordering: .relaxed) <= 3)
  }

  @Test func workersAreNumberedBelowThreads() throws {
    let seen = Guarded<Set<Int>>([])
    try OrderedPipeline.run(
      threads: 3, count: 100, slots: 8, slotBytes: 0,
      produce: { worker, _, _ in
        seen.withLock { _ = $0.insert(worker) }
        return 0
      }, consume: { _, _ in })
    #expect(seen.withLock { $0.isSubset(of: [0, 1, 2]) })
  }

  @Test(arguments: [1, 2, 5])
  func theFirstFaultInOrderIsThrown(threads: Int) {
    var consumed: [Int] = []
    let fault = #expect(throws: Fault.self) {
      try OrderedPipeline.run(
        threads: threads, count: 1000, slots: 6, slotBytes: 0,
        produce: { _, item, _ throws(Fault) in
          // Item 12 fails at once, 10 and 11 somewhat later: 10 must win.
          if item >= 10 {
            if item < 12 { for _ in 0..<10_000 { _ = Workers.available } }
            throw Fault(.inputOutput, "item \(item)")
          }
          return 0
        }, consume: { item, _ in consumed.append(item) })
    }
    #expect(fault?.message == "item 10")
    #expect(consumed == Array(0..<10))
  }

  @Test(arguments: [1, 2, 5])
  func aFailingConsumerStopsTheProducers(threads: Int) {
    let produced = Atomic<Int>(0)
    let fault = #expect(throws: Fault.self) {
      try OrderedPipeline.run(
        threads: threads, count: 1_000_000, slots: 4, slotBytes: 0,
        produce: { _, _, _ in
          produced.wrappingAdd(1, ordering: .relaxed)
          return 0
        },
        consume: { item, _ throws(Fault) in
          if item == 20 { throw Fault(.cannotCreate, "full") }
        })
    }
    #expect(fault?.message == "full")
    #expect(produced.load(ordering: .relaxed) <= 20 + 4)
  }

  @Test func nothingToDo() throws {
    try OrderedPipeline.run(
      threads: 4, count: 0, slots: 1, slotBytes: 1, produce: { _, _, _ in 0 },
      consume: { _, _ in Issue.record("there are no tiles") })
  }
}
