internal import Glibc
internal import Synchronization

/// Whether the user asked to stop (Ctrl-C, SIGTERM).
///
/// A handler may do next to nothing, so it sets a flag; long work looks at the flag between tiles,
/// leaves by a fault and so cleans up on the way out.
public enum Interruption {
  private static let requested = Atomic<Bool>(false)

  /// Makes SIGINT and SIGTERM set the flag from now on instead of ending the process; a second one
  /// ends it, whatever it hangs in.
  public static func listen() {
    // The first access of a static initializes it, which no signal handler should have to do.
    requested.store(false, ordering: .relaxed)
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { _ in
      Interruption.requested.store(true, ordering: .relaxed)
    }
    action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND) | UInt32(SA_RESTART))
    sigaction(SIGINT, &action, nil)
    sigaction(SIGTERM, &action, nil)
    // A parent that started us from a thread with blocked signals has handed its mask down.
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGINT)
    sigaddset(&signals, SIGTERM)
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
  }

  /// Throws `.interrupted` once the user has asked to stop.
  public static func check() throws(Fault) {
    if requested.load(ordering: .relaxed) { throw Fault(.interrupted, "interrupted") }
  }
}
