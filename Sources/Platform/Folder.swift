internal import Glibc

/// Names in the file system.
package enum Folder {
  /// What a path names, after following symbolic links.
  package enum Kind: Sendable {
    /// A regular file.
    case file
    /// A directory.
    case folder
    /// Anything else: a device, a pipe, a socket.
    case special

    init(_ status: stat) {
      switch status.st_mode & S_IFMT {
      case S_IFREG: self = .file
      case S_IFDIR: self = .folder
      default: self = .special
      }
    }
  }

  /// What `path` names, nil where nothing is there.
  ///
  /// - Throws: `.notFound` for a loop of symbolic links, `.inputOutput` where the system refuses.
  package static func kind(of path: String) throws(Fault) -> Kind? {
    if let distant = DistantPlaces.find(path) { return try distant.folder.kind(of: distant.place) }
    return try status(of: path).map { Kind($0) }
  }

  /// Size and time of the file that a path of this machine leads to; nil where there is none.
  ///
  /// - Throws: `.inputOutput` where the system does not tell.
  package static func stamp(of path: String) throws(Fault) -> FileStamp? {
    guard let status = try status(of: path), Kind(status) == .file else { return nil }
    return FileStamp(status)
  }

  /// What the system says of what a path leads to; nil for nothing.
  private static func status(of path: String) throws(Fault) -> stat? {
    var status = stat()
    guard stat(path, &status) == 0 else {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw examiningFault(errno, path: path)
    }
    return status
  }

  /// Names of the entries of a folder, in the order of their bytes.
  ///
  /// - Throws: `.malformed` where one is not UTF-8: what cannot be named must not be passed over.
  package static func names(in path: String) throws(Fault) -> [ExactText] {
    let listing = try listing(of: path)
    if let name = listing.unreadable.first { throw unreadableFault(name, in: path) }
    return listing.names
  }

  // Paths are taken apart by their bytes: to Swift a slash with a combining mark behind it is one
  // character, and no slash.

  /// Joins a folder and a name below it.
  package static func join(_ folder: String, _ name: ExactText) -> String {
    folder.utf8.last == slash ? folder + name.text : "\(folder)/\(name)"
  }

  /// The folder that holds `path`, `.` for a bare name.
  package static func parent(of path: String) -> String {
    let bytes = trimmed(path)
    guard let place = bytes.lastIndex(of: slash) else { return "." }
    let rest = bytes[..<place]
    let end = rest.lastIndex { $0 != slash }.map { $0 + 1 } ?? 0
    return end == 0 ? "/" : String(decoding: rest[..<end], as: UTF8.self)
  }

  /// The last component of `path`; `/` for the root.
  package static func name(of path: String) -> ExactText {
    let bytes = trimmed(path)
    guard bytes.count > 1, let place = bytes.lastIndex(of: slash) else {
      return ExactText(String(decoding: bytes, as: UTF8.self))
    }
    return ExactText(String(decoding: bytes[(place + 1)...], as: UTF8.self))
  }

  private static let slash = UInt8(ascii: "/")

  /// The bytes of a path without slashes at its end.
  private static func trimmed(_ path: String) -> [UInt8] {
    var bytes = Array(path.utf8)
    while bytes.count > 1, bytes.last == slash { bytes.removeLast() }
    return bytes
  }
}
