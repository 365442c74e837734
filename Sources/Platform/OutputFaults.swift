internal import Glibc

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
  Descriptors.fault(
    isRefusal(code) ? .cannotCreate : .inputOutput, message, code, path: path)
}

/// What a failed write says: space, quota and the largest file are the place's, all else is not.
func writingFault(_ code: Int32, path: String, offset: Int) -> Fault {
  let isFull = code == ENOSPC || code == EDQUOT || code == EFBIG
  return Fault(
    isFull ? .cannotCreate : .inputOutput, "cannot be written", file: path,
    offset: UInt64(offset), found: reason(code))
}
