internal import Glibc

/// Size and time of a file's contents.
package struct FileStamp: Sendable, Hashable {
  /// Bytes.
  package let size: Int
  /// When it was last written to, in seconds since 1970.
  package let seconds: Int
  /// The rest of that time.
  package let nanoseconds: Int
}

/// What tells a file with its contents from any other: where it lies on which disk, and its stamp.
package struct FileVersion: Sendable, Hashable {
  private let device: UInt64
  private let inode: UInt64
  /// Its size and time.
  package let stamp: FileStamp

  /// Of a file that is gone, of which only its size is known.
  init(goneWithSize size: Int) {
    (device, inode) = (0, 0)
    stamp = FileStamp(size: size, seconds: 0, nanoseconds: 0)
  }

  /// Of a file that lies elsewhere: what its keeper calls the contents stands for their time.
  init(distantOfSize size: Int, tag: String) {
    (device, inode) = (0, 0)
    var bits: UInt64 = 0
    for byte in BLAKE3.hash(Array(tag.utf8)).bytes.prefix(8) { bits = bits << 8 | UInt64(byte) }
    stamp = FileStamp(
      size: size, seconds: Int(bits >> 30), nanoseconds: Int(bits & ((1 << 29) - 1)))
  }

  init(_ status: stat) {
    device = UInt64(truncatingIfNeeded: status.st_dev)
    inode = UInt64(truncatingIfNeeded: status.st_ino)
    stamp = FileStamp(status)
  }
}

extension FileStamp {
  init(_ status: stat) {
    self.init(
      size: Int(status.st_size), seconds: status.st_mtim.tv_sec,
      nanoseconds: status.st_mtim.tv_nsec)
  }
}
