internal import Glibc

/// What tells one file or folder from all others while both exist.
struct FileIdentity: Sendable, Hashable {
  let device: UInt
  let number: UInt

  init(_ status: stat) { (device, number) = (UInt(status.st_dev), UInt(status.st_ino)) }

  /// Of what a path leads to, links followed; nil where nothing is there.
  init?(following path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    self.init(status)
  }

  /// Of what a path itself names; nil where nothing is there.
  init?(of path: String) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return nil }
    self.init(status)
  }
}

/// What the system says of an entry of a folder, links not followed.
struct FileMark: Sendable, Hashable {
  /// What an entry is.
  enum Kind: Sendable, Hashable {
    case file, folder, link, special
  }

  let kind: Kind
  let identity: FileIdentity
  let size: Int
  private let seconds: Int
  private let nanoseconds: Int

  init(_ status: stat) {
    switch status.st_mode & S_IFMT {
    case S_IFREG: kind = .file
    case S_IFDIR: kind = .folder
    case S_IFLNK: kind = .link
    default: kind = .special
    }
    identity = FileIdentity(status)
    // A folder's own size and time change with what is in it, which is looked at by itself.
    size = kind == .folder ? 0 : Int(status.st_size)
    seconds = kind == .folder ? 0 : status.st_mtim.tv_sec
    nanoseconds = kind == .folder ? 0 : status.st_mtim.tv_nsec
  }

  /// Of what has a path itself; nil where nothing does.
  init?(at path: String) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return nil }
    self.init(status)
  }

  /// Whether both are of one kind, size and time; for entries of a folder that is the same, since
  /// some file systems number files anew as they go.
  func isLike(_ other: FileMark) -> Bool {
    kind == other.kind && size == other.size && seconds == other.seconds
      && nanoseconds == other.nanoseconds
  }
}

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
