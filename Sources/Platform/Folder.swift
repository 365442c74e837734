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
  public static func names(in path: String) throws(Fault) -> [ExactText] {
    guard let directory = opendir(path) else {
      let kind: Fault.Kind = errno == ENOENT || errno == ENOTDIR ? .notFound : .inputOutput
      throw Fault(kind, "cannot be listed", file: path, found: reason(errno))
    }
    defer { closedir(directory) }
    var names: [ExactText] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: UInt8.self, capacity: Int(NAME_MAX) + 1) {
          String(decodingCString: $0, as: UTF8.self)
        }
      }
      if name != "." && name != ".." { names.append(ExactText(name)) }
    }
    return names.sorted()
  }

  /// Joins a folder and a name below it.
  public static func join(_ folder: String, _ name: ExactText) -> String {
    folder.utf8.last == UInt8(ascii: "/") ? folder + name.text : "\(folder)/\(name)"
  }

  /// The folder that holds `path`, `.` for a bare name.
  public static func parent(of path: String) -> String {
    var bytes = Array(path.utf8)
    while bytes.count > 1, bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
    guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == 0 ? "/" : String(decoding: bytes[..<slash], as: UTF8.self)
  }

  /// The last component of `path`.
  public static func name(of path: String) -> ExactText {
    ExactText(path).split(separator: "/").last { !$0.isEmpty } ?? ExactText(path)
  }
}
