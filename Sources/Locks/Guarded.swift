internal import Glibc

/// A value that one thread at a time may use.
///
/// The standard library's `Mutex` does the same, but out of the sight of ThreadSanitizer, which then
/// takes every use of every guarded value for a race; it knows POSIX mutexes. With that the whole
/// test suite can be checked for the races that are real (`scripts/sanitize thread`).
///
/// The lock is held whenever the value is touched, hence `@unchecked`.
package final class Guarded<Value>: @unchecked Sendable {
  private var value: Value
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>

  /// Guards a value that nobody else uses from now on.
  package init(_ value: sending Value) {
    self.value = value
    mutex = .allocate(capacity: 1)
    mutex.initialize(to: pthread_mutex_t())
    let code = pthread_mutex_init(mutex, nil)
    precondition(code == 0, "a mutex of the usual kind needs no resources")
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deinitialize(count: 1)
    mutex.deallocate()
  }

  /// Uses the value while no other thread does; a body that asks for it again waits forever.
  ///
  /// - Throws: what `body` throws.
  package func withLock<Result, Failure: Error>(
    _ body: (inout Value) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body(&value)
  }
}
