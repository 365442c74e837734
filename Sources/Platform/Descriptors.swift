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

/// Whether an error number says that the place is at fault, not the device or the way to it.
private func isRefusal(_ code: Int32) -> Bool {
  switch code {
  case EIO, ENXIO, ENODEV, ESTALE, ENOTCONN, ETIMEDOUT, EHOSTDOWN, EHOSTUNREACH, EREMOTEIO: false
  default: true
  }
}

/// What a file or folder that could not be made says.
func creatingFault(
  _ code: Int32, path: String, _ message: String = "cannot be created"
) -> Fault {
  Descriptors.fault(isRefusal(code) ? .cannotCreate : .inputOutput, message, code, path: path)
}

/// What a failed write says: space, quota and the largest file are the place's, all else is not.
func writingFault(_ code: Int32, path: String, offset: Int) -> Fault {
  let isFull = code == ENOSPC || code == EDQUOT || code == EFBIG
  return Fault(
    isFull ? .cannotCreate : .inputOutput, "cannot be written", file: path,
    offset: UInt64(offset), found: reason(code))
}
