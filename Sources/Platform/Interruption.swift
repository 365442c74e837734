internal import Glibc
internal import Synchronization

/// Whether the user asked to stop (Ctrl-C, SIGTERM), or the terminal is gone (SIGHUP).
///
/// A handler may do next to nothing, so it sets a flag; long work looks at the flag between tiles,
/// leaves by a fault and so cleans up on the way out.
package enum Interruption {
  private static let requested = Atomic<Bool>(false)

  private static let signals = [SIGINT, SIGTERM, SIGHUP]

  /// Makes those signals set the flag from now on instead of ending the process; a second one of the
  /// same kind ends it, whatever it hangs in.
  ///
  /// A SIGHUP that is ignored stays so: under `nohup`, work is to outlive its terminal.
  package static func listen() {
    // The first access of a static initializes it, which no signal handler should have to do.
    requested.store(false, ordering: .relaxed)
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { _ in
      Interruption.requested.store(true, ordering: .relaxed)
    }
    action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND) | UInt32(SA_RESTART))
    var mask = sigset_t()
    sigemptyset(&mask)
    for signal in signals where !(signal == SIGHUP && isIgnored(signal)) {
      sigaction(signal, &action, nil)
      sigaddset(&mask, signal)
    }
    // A parent that started us from a thread with blocked signals has handed its mask down.
    pthread_sigmask(SIG_UNBLOCK, &mask, nil)
  }

  private static func isIgnored(_ signal: Int32) -> Bool {
    var action = sigaction()
    guard sigaction(signal, nil, &action) == 0 else { return false }
    // Functions cannot be compared; the constant is a number in place of one.
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
      == unsafeBitCast(SIG_IGN, to: Int.self)
  }

  /// Throws `.interrupted` once the user has asked to stop.
  package static func check() throws(Fault) {
    if requested.load(ordering: .relaxed) { throw Fault(.interrupted, "interrupted") }
  }
}
