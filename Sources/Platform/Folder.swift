internal import Glibc

/// Names in the file system.
public enum Folder {
  /// What a path names, after following symbolic links.
  public enum Kind: Sendable {
    /// A regular file.
    case file
    /// A directory.
    case folder
    /// Anything else: a device, a pipe, a socket.
    case special
  }

  /// What `path` names, nil where nothing is there.
  ///
  /// - Throws: `.notFound` for a loop of symbolic links, `.inputOutput` where the system refuses.
  public static func kind(of path: String) throws(Fault) -> Kind? {
    var status = stat()
    guard stat(path, &status) == 0 else {
      switch errno {
      case ENOENT, ENOTDIR: return nil
      case ELOOP: throw Fault(.notFound, "symbolic links form a loop", file: path)
      case ENAMETOOLONG: throw Fault(.notFound, "the name is too long", file: path)
      default: throw Fault(.inputOutput, "cannot be examined", file: path, found: reason(errno))
      }
    }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return .file
    case S_IFDIR: return .folder
    default: return .special
    }
  }

  /// Names of the entries of a folder, sorted by their bytes so that nothing depends on the order
  /// in which the file system lists them.
  public static func names(in path: String) throws(Fault) -> [String] {
    guard let directory = opendir(path) else {
      let kind: Fault.Kind = errno == ENOENT || errno == ENOTDIR ? .notFound : .inputOutput
      throw Fault(kind, "cannot be listed", file: path, found: reason(errno))
    }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: UInt8.self, capacity: Int(NAME_MAX) + 1) {
          String(decodingCString: $0, as: UTF8.self)
        }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  // Paths are taken apart by their bytes: to Swift a slash with a combining mark behind it is one
  // character, and no slash.

  /// Joins a folder and a name below it.
  public static func join(_ folder: String, _ name: String) -> String {
    folder.utf8.last == slash ? folder + name : "\(folder)/\(name)"
  }

  /// The folder that holds `path`, `.` for a bare name.
  public static func parent(of path: String) -> String {
    let bytes = trimmed(path)
    guard let place = bytes.lastIndex(of: slash) else { return "." }
    let folder = bytes[..<place]
    let end = folder.lastIndex { $0 != slash }.map { $0 + 1 } ?? 0
    return end == 0 ? "/" : String(decoding: folder[..<end], as: UTF8.self)
  }

  /// The last component of `path`; `/` for the root.
  public static func name(of path: String) -> String {
    let bytes = trimmed(path)
    guard bytes.count > 1, let place = bytes.lastIndex(of: slash) else {
      return String(decoding: bytes, as: UTF8.self)
    }
    return String(decoding: bytes[(place + 1)...], as: UTF8.self)
  }

  private static let slash = UInt8(ascii: "/")

  /// The bytes of a path without slashes at its end.
  private static func trimmed(_ path: String) -> [UInt8] {
    var bytes = Array(path.utf8)
    while bytes.count > 1, bytes.last == slash { bytes.removeLast() }
    return bytes
  }
}
