internal import Glibc

/// How many files may be open at once.
package enum Descriptors {
  /// What an output takes beside the files of its source.
  private static let ofOutput = 8

  /// Allows as many open files as the system lets this user have: a model may have hundreds, and
  /// many shells allow fewer.
  package static func raiseLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }

  /// Throws `.cannotCreate` where an output could be begun, but its files not be opened.
  package static func requireRoom(for output: String) throws(Fault) {
    var opened: [Int32] = []
    defer { for descriptor in opened { close(descriptor) } }
    for _ in 0..<ofOutput {
      let descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else {
        throw fault(.cannotCreate, "cannot be created", errno, path: output)
      }
      opened.append(descriptor)
    }
  }

  /// What is said of a file that is one too many, or of another failure to open one.
  static func fault(
    _ kind: Fault.Kind, _ message: String, _ code: Int32, path: String
  ) -> Fault {
    var fault = Fault(kind, message, file: path, found: reason(code))
    if code == EMFILE {
      var limit = rlimit()
      getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      fault.advice = "allow more open files than \(limit.rlim_cur): ulimit -n, or limits.conf"
    }
    return fault
  }
}
