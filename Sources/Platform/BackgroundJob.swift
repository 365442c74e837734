internal import Glibc
internal import Locks
internal import Synchronization

/// Work that goes on beside this thread's own.
package final class BackgroundJob {
  private let state: State
  private var handle: pthread_t?

  /// What the two threads share.
  private final class State: Sendable {
    let body: @Sendable () throws(Fault) -> Void
    let fault = Guarded<Fault?>(nil)
    let isDone = Atomic<Bool>(false)

    init(_ body: @escaping @Sendable () throws(Fault) -> Void) { self.body = body }

    func run() {
      do throws(Fault) { try body() } catch { fault.withLock { $0 = error } }
      isDone.store(true, ordering: .releasing)
    }
  }

  /// Starts it; where the system refuses a thread, it is done at once.
  package init(_ body: @escaping @Sendable () throws(Fault) -> Void) {
    state = State(body)
    let carried = Unmanaged.passRetained(state)
    var handle = pthread_t()
    let code = pthread_create(
      &handle, nil,
      { argument in
        if let argument { Unmanaged<State>.fromOpaque(argument).takeRetainedValue().run() }
        return nil
      }, carried.toOpaque())
    if code == 0 {
      self.handle = handle
    } else {
      carried.release()
      state.run()
    }
  }

  deinit { if let handle { pthread_join(handle, nil) } }

  /// Whether it has ended.
  package var isDone: Bool { state.isDone.load(ordering: .acquiring) }

  /// Waits until it has ended and throws the fault that it ended with.
  package func wait() throws(Fault) {
    if let handle { pthread_join(handle, nil) }
    handle = nil
    if let fault = state.fault.withLock({ $0 }) { throw fault }
  }
}
