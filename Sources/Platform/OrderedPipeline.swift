internal import Glibc

/// A bounded pipeline: a few threads produce tiles in any order, one writes them in order.
///
/// Tiles live in a ring of slots that is used again and again, so memory is `slots` × `slotBytes`
/// whatever the number of tiles, and fresh memory (slow to touch first) is touched once.
package enum OrderedPipeline {
  /// Fills a slot with tile `item` and returns how many of its bytes count. `worker` is in
  /// `0..<threads` and tells which scratch memory is free to use.
  package typealias Produce =
    @Sendable (_ worker: Int, _ item: Int, _ slot: UnsafeMutableRawBufferPointer) throws(Fault)
    -> Int

  /// Runs tiles `0..<count` through the pipeline.
  ///
  /// `consume` is called on this thread, once for each tile and in order. While the tile that is
  /// due is not ready, this thread produces another one, so `threads` is all the threads there are
  /// and 1 means that everything happens here. Where the system refuses a thread, the others do
  /// its share.
  ///
  /// - Throws: the fault of the first tile, in order, that could not be produced or consumed; all
  ///   tiles before it have been consumed, none after it, and no thread is left running.
  package static func run(
    threads: Int, count: Int, slots: Int, slotBytes: Int, produce: Produce,
    consume: (_ item: Int, _ bytes: UnsafeRawBufferPointer) throws(Fault) -> Void
  ) throws(Fault) {
    precondition(threads > 0 && slots > 0 && slotBytes >= 0)
    let ring = Ring(count: count, slots: slots, slotBytes: slotBytes)
    // Only the calling thread touches it, in worker 0, before `spawn` returns.
    nonisolated(unsafe) var fault: Fault?
    withoutActuallyEscaping(produce) { produce in
      withoutActuallyEscaping(consume) { consume in
        nonisolated(unsafe) let consume = consume
        spawn(threads: max(1, min(threads, count))) { worker in
          if worker > 0 {
            while let item = ring.claim() { ring.produce(item, worker, produce) }
            return
          }
          do throws(Fault) {
            for item in 0..<count {
              let bytes = try ring.take(item, helpingWith: produce)
              try consume(item, bytes)
              ring.release(item)
            }
          } catch {
            fault = error
            ring.stop()
          }
        }
      }
    }
    if let fault { throw fault }
  }
}

/// The slots and who may use which. Every access to the counters happens under the lock; the bytes
/// of a slot belong to whoever claimed its tile, until it is released. Hence `@unchecked`.
private final class Ring: @unchecked Sendable {
  private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private let memory: UnsafeMutableRawBufferPointer
  private let slots: Int
  private let slotBytes: Int
  /// What producing the tile in each slot gave; nil while it is free or in work.
  private var results: [Result<Int, Fault>?]
  /// Tiles below this have been handed out.
  private var claimed = 0
  /// Tiles below this have been consumed.
  private var released = 0
  /// No tile from this on is handed out.
  private var limit: Int

  init(count: Int, slots: Int, slotBytes: Int) {
    limit = count
    self.slots = slots
    self.slotBytes = slotBytes
    results = Array(repeating: nil, count: slots)
    memory = .allocate(byteCount: slots * slotBytes, alignment: 4096)
    pthread_mutex_init(lock, nil)
    pthread_cond_init(changed, nil)
  }

  deinit {
    pthread_mutex_destroy(lock)
    pthread_cond_destroy(changed)
    lock.deallocate()
    changed.deallocate()
    memory.deallocate()
  }

  /// The next tile to produce, after waiting for a free slot; nil when there is none left.
  func claim() -> Int? {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    while claimed < limit, claimed - released >= slots { pthread_cond_wait(changed, lock) }
    return claimNow()
  }

  private func claimNow() -> Int? {
    guard claimed < limit, claimed - released < slots else { return nil }
    claimed += 1
    return claimed - 1
  }

  /// Produces a claimed tile and makes its result known.
  func produce(_ item: Int, _ worker: Int, _ body: OrderedPipeline.Produce) {
    let result: Result<Int, Fault>
    do throws(Fault) {
      result = .success(try body(worker, item, slot(item)))
    } catch {
      result = .failure(error)
    }
    pthread_mutex_lock(lock)
    results[item % slots] = result
    // Later tiles will not be consumed: start none of them.
    if case .failure = result { limit = min(limit, claimed) }
    pthread_cond_broadcast(changed)
    pthread_mutex_unlock(lock)
  }

  /// The bytes of a tile, once they are there; until then this thread produces tiles as well.
  func take(
    _ item: Int, helpingWith body: OrderedPipeline.Produce
  ) throws(Fault) -> UnsafeRawBufferPointer {
    while true {
      pthread_mutex_lock(lock)
      while results[item % slots] == nil, claimed - released >= slots {
        pthread_cond_wait(changed, lock)
      }
      let result = results[item % slots]
      let other = result == nil ? claimNow() : nil
      if result == nil, other == nil { pthread_cond_wait(changed, lock) }
      pthread_mutex_unlock(lock)
      if let other { produce(other, 0, body) }
      if let result {
        return UnsafeRawBufferPointer(rebasing: slot(item)[..<(try result.get())])
      }
    }
  }

  /// Gives the slot of a consumed tile back.
  func release(_ item: Int) {
    pthread_mutex_lock(lock)
    results[item % slots] = nil
    released = item + 1
    pthread_cond_broadcast(changed)
    pthread_mutex_unlock(lock)
  }

  /// Ends the work: no further tile is handed out.
  func stop() {
    pthread_mutex_lock(lock)
    limit = claimed
    pthread_cond_broadcast(changed)
    pthread_mutex_unlock(lock)
  }

  private func slot(_ item: Int) -> UnsafeMutableRawBufferPointer {
    // Called without the lock: of the stored properties, constants alone may be read here.
    let start = item % slots * slotBytes
    return UnsafeMutableRawBufferPointer(rebasing: memory[start..<start + slotBytes])
  }
}
