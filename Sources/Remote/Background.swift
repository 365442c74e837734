internal import Glibc
internal import Locks

/// Threads that run until the program ends.
enum Background {
  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  private static let threads = Guarded<[pthread_t]>([])

  /// Starts one; where the system refuses it, readers do its share.
  static func start(_ run: @escaping @Sendable () -> Void) {
    let body = Unmanaged.passRetained(Body(run))
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { argument in
        if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
        return nil
      }, body.toOpaque())
    if code == 0 { threads.withLock { $0.append(thread) } } else { body.release() }
  }

  /// Waits for all of them.
  static func wait() {
    for thread in threads.withLock({ $0 }) { pthread_join(thread, nil) }
    threads.withLock { $0 = [] }
  }
}
