internal import Glibc

/// A name under which a finished output will appear, checked before any work is done for it.
public struct OutputPath: Sendable, Hashable {
  /// The final name with its links followed, so that a rename replaces the thing itself.
  public let path: String
  /// What stands there now and is to be replaced; nil where nothing does.
  public let replaced: Folder.Kind?
  /// Whether what stands under such a name may be replaced.
  public let mayReplace: Bool

  /// Looks at the place.
  ///
  /// - Parameter orFinished: accepts what stands there without replacing it, since it may be the
  ///   very output that is asked for.
  /// - Throws: `.cannotCreate` where something stands there and `overwrite` is false, where it is
  ///   neither file nor folder, or where the folder around it is missing.
  public init(_ path: String, overwrite: Bool, orFinished: Bool = false) throws(Fault) {
    mayReplace = overwrite
    if let resolved = OutputPath.resolve(path) {
      guard overwrite || orFinished else { throw OutputPath.taken(path) }
      replaced = try Folder.kind(of: resolved)
      guard replaced == .file || replaced == .folder else {
        throw Fault(.cannotCreate, "is neither a file nor a folder", file: path)
      }
      self.path = resolved
      return
    }
    var status = stat()
    guard lstat(path, &status) != 0 else {
      throw Fault(.cannotCreate, "is a symbolic link to nothing", file: path)
    }
    guard let parent = OutputPath.resolve(Folder.parent(of: path)),
      try Folder.kind(of: parent) == .folder
    else {
      throw Fault(
        .cannotCreate, "cannot be created", file: path,
        expected: "an existing folder \(Folder.parent(of: path))")
    }
    self.path = Folder.join(parent, Folder.name(of: path))
    replaced = nil
  }

  /// What is said where something stands there that may not be replaced.
  var taken: Fault { OutputPath.taken(path) }

  private static func taken(_ path: String) -> Fault {
    Fault(.cannotCreate, "exists already", file: path, expected: "a new name, or --overwrite")
  }

  /// Throws `.cannotCreate` where the output would lie in `source` or take it away: the same path,
  /// a path below the folder, or the folder around it.
  public func requireApart(from source: String) throws(Fault) {
    guard let source = OutputPath.resolve(source) else { return }
    guard path == source || isBelow(source, path) || isBelow(path, source) else { return }
    throw Fault(
      .cannotCreate, "overlaps the source", file: path, expected: "a place outside \(source)")
  }

  /// Throws `.cannotCreate` where the file system has no room for files of so many bytes in all,
  /// and for what it needs itself to keep them.
  public func requireSpace(_ bytes: Int, files: Int = 1) throws(Fault) {
    var status = statvfs()
    // A file system that does not tell is no reason to stop.
    guard statvfs(Folder.parent(of: path), &status) == 0 else { return }
    let block = Int(clamping: status.f_frsize)
    let free = Int(clamping: status.f_bavail).multipliedReportingOverflow(by: block)
    // The last block of each file is not full; maps of blocks and checksums take 0.2 % in btrfs.
    let needed = bytes.addingReportingOverflow(bytes / 500 + 2 * files * block)
    guard !free.overflow, needed.overflow || free.partialValue < needed.partialValue else {
      return
    }
    throw Fault(
      .cannotCreate, "does not fit on its file system", file: path,
      expected: "\(needed.overflow ? bytes : needed.partialValue) bytes free",
      found: "\(free.partialValue)")
  }

  /// The hidden name beside the final one that unfinished work has, the same in every run.
  public var workPath: String {
    let name = Folder.name(of: path)
    // Longer ones would not leave room for what is added.
    let short = name.utf8.count <= 200 ? name.text : CRC32C(name.text).text
    return Folder.join(Folder.parent(of: path), ".\(short).fathom-part")
  }

  /// A hidden name beside the final one, different in every run.
  func temporaryName() -> String {
    let tag = String(UInt64.random(in: 0...UInt64.max), radix: 36)
    return Folder.join(Folder.parent(of: path), ".\(Folder.name(of: path)).fathom-\(tag)")
  }

  /// The path without links and dots, nil where nothing is there.
  static func resolve(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  private func isBelow(_ path: String, _ folder: String) -> Bool {
    path.hasPrefix(folder.hasSuffix("/") ? folder : folder + "/")
  }
}
