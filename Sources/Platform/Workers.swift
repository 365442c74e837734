internal import Glibc
internal import Locks
internal import Synchronization

/// Runs a fixed number of independent items on a few threads.
///
/// Threads are made per call (about 30 µs each), so an item should be a shard, a row range or an
/// expert, never a block. Items are handed out in order, results must not depend on which worker
/// takes which: that is what keeps output equal for any number of threads.
package enum Workers {
  /// Processors that this process may use.
  package static let available = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
  /// Bytes of memory that the machine has.
  package static let physicalMemory = max(
    1, Int(sysconf(Int32(_SC_PHYS_PAGES))) * Int(sysconf(Int32(_SC_PAGESIZE))))

  /// Calls `body(worker, item)` once for each item in `0..<count`, `worker` in `0..<threads`.
  ///
  /// The first fault (of the lowest item among those that failed) is thrown after all workers have
  /// stopped; after a fault no further item is started.
  package static func run(
    threads: Int, count: Int, _ body: @Sendable (_ worker: Int, _ item: Int) throws(Fault) -> Void
  ) throws(Fault) {
    let threads = max(1, min(threads, count))
    if threads == 1 {
      for item in 0..<count { try body(0, item) }
      return
    }
    let next = Atomic<Int>(0)
    let failure = Guarded<(item: Int, fault: Fault)?>(nil)
    withoutActuallyEscaping(body) { body in
      spawn(threads: threads) { worker in
        while true {
          let item = next.wrappingAdd(1, ordering: .relaxed).oldValue
          guard item < count else { return }
          do throws(Fault) {
            try body(worker, item)
          } catch {
            failure.withLock { first in
              if first == nil || item < first!.item { first = (item, error) }
            }
            next.store(count, ordering: .relaxed)
          }
        }
      }
    }
    if let failed = failure.withLock({ $0 }) { throw failed.fault }
  }
}

/// Carries a closure through pthread_create's untyped pointer.
private final class ThreadBody: Sendable {
  let worker: Int
  let body: @Sendable (Int) -> Void

  init(worker: Int, body: @escaping @Sendable (Int) -> Void) {
    self.worker = worker
    self.body = body
  }
}

/// Runs `body(0)` on this thread and the others on new ones, and waits for all of them.
///
/// Where the system refuses a thread, its share is done by those that started: the items are
/// handed out dynamically, so one worker alone completes the work.
func spawn(threads: Int, _ body: @escaping @Sendable (Int) -> Void) {
  var handles: [pthread_t] = []
  for worker in 1..<threads {
    let carried = Unmanaged.passRetained(ThreadBody(worker: worker, body: body))
    var handle = pthread_t()
    let code = pthread_create(
      &handle, nil,
      { argument in
        guard let argument else { return nil }
        let carried = Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue()
        carried.body(carried.worker)
        return nil
      }, carried.toOpaque())
    if code == 0 { handles.append(handle) } else { carried.release() }
  }
  body(0)
  for handle in handles { pthread_join(handle, nil) }
}
