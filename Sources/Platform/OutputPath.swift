internal import Glibc

/// A name under which a finished output will appear, checked before any work is done for it.
///
/// All that is written, replaced or removed goes by one of these. The folder around the name is
/// found once, its links followed; what has the name itself is looked at without following a link,
/// and compared with that look when it is replaced.
package struct OutputPath: Sendable {
  /// The final name, in a folder without links on its way.
  package let path: String
  /// What stands there now; nil where nothing does.
  package let standing: Standing?
  /// Whether what stands under such a name may be replaced.
  package let mayReplace: Bool
  /// What it may be, if it is.
  let replaceable: Replaceable
  /// What this run reads.
  let inputs: InputPlaces
  /// The folder around it.
  private let folder: FileIdentity?

  /// What kind of thing stands there now; nil where nothing does.
  package var replaced: Folder.Kind? { standing?.kind }

  /// Looks at the place.
  ///
  /// - Parameters:
  ///   - orFinished: accepts what stands there without replacing it, since it may be the very output
  ///     that is asked for.
  ///   - replaceable: what `overwrite` replaces.
  ///   - inputs: what the run reads, and neither replaces nor removes.
  /// - Throws: `.cannotCreate` where something stands there and `overwrite` is false, where that may
  ///   not be replaced, is a link, or neither file nor folder, or where the folder around it is
  ///   missing.
  package init(
    _ path: String, overwrite: Bool, orFinished: Bool = false,
    replacing replaceable: Replaceable = .files, sparing inputs: InputPlaces = InputPlaces()
  ) throws(Fault) {
    mayReplace = overwrite
    self.replaceable = replaceable
    self.inputs = inputs
    self.path = try OutputPath.place(of: path)
    folder = FileIdentity(of: Folder.parent(of: self.path))
    standing = try Standing.look(at: self.path, lists: overwrite)
    guard let standing else { return }
    if standing.mark.kind == .link {
      throw Fault(
        .cannotCreate, "is a symbolic link, which is neither followed nor replaced", file: path,
        expected: "the place itself", found: standing.target.map { "a link to \($0.shown)" })
    }
    guard standing.kind != .special else {
      throw Fault(.cannotCreate, "is neither a file nor a folder", file: path)
    }
    guard overwrite || orFinished else { throw OutputPath.taken(path) }
    guard overwrite else { return }
    try inputs.requireSpared(standing)
    try replaceable.require(standing)
  }

  /// What is said where something stands there that may not be replaced.
  var taken: Fault { OutputPath.taken(path) }

  private static func taken(_ path: String) -> Fault {
    Fault(.cannotCreate, "exists already", file: path, expected: "a new name, or --overwrite")
  }

  /// Throws `.cannotCreate` where the output would lie in a folder that the run reads.
  package func requireApart() throws(Fault) { try inputs.requireOutside(path) }

  /// Throws `.cannotCreate` where the folder around the name is another one by now.
  func requireSameFolder() throws(Fault) {
    let parent = Folder.parent(of: path)
    guard FileIdentity(of: parent) == folder else {
      throw Fault(
        .cannotCreate, "is not the folder any more that it was when the run began", file: parent)
    }
  }

  /// Bytes that are free where something of that path would be written; nil where that cannot be
  /// told.
  package static func freeBytes(beside path: String) -> Int? { space(beside: path)?.free }

  /// Bytes that are free there, and those of a block of the file system.
  private static func space(beside path: String) -> (free: Int, block: Int)? {
    var status = statvfs()
    guard statvfs(Folder.parent(of: path), &status) == 0 else { return nil }
    let block = Int(clamping: status.f_frsize)
    let free = Int(clamping: status.f_bavail).multipliedReportingOverflow(by: block)
    return free.overflow ? nil : (free.partialValue, block)
  }

  /// Throws `.cannotCreate` where the file system has no room for files of so many bytes in all,
  /// and for what it needs itself to keep them.
  package func requireSpace(_ bytes: Int, files: Int = 1) throws(Fault) {
    // A file system that does not tell is no reason to stop.
    guard let (free, block) = OutputPath.space(beside: path) else { return }
    // The last block of each file is not full; maps of blocks and checksums take 0.2 % in btrfs.
    let needed = bytes.addingReportingOverflow(bytes / 500 + 2 * files * block)
    guard needed.overflow || free < needed.partialValue else { return }
    throw Fault(
      .cannotCreate, "does not fit on its file system", file: path,
      expected: "\(needed.overflow ? bytes : needed.partialValue) bytes free",
      found: "\(free)")
  }

  /// The hidden name beside the final one that unfinished work has, the same in every run.
  package var workPath: String {
    Folder.join(Folder.parent(of: path), ".\(shortName).fathom-part")
  }

  /// A hidden name beside the final one, different in every run.
  func temporaryName() -> String {
    let tag = String(UInt64.random(in: 0...UInt64.max), radix: 36)
    return Folder.join(Folder.parent(of: path), ".\(shortName).fathom-\(tag)")
  }

  /// Longer names would not leave room for what is added.
  private var shortName: String {
    let name = Folder.name(of: path)
    return name.utf8.count <= 200 ? name.text : CRC32C(name.text).text
  }

  /// The path without links and dots, nil where nothing is there.
  static func resolve(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  /// A path whose last name stays as it is, link or not, in a folder without links on its way.
  ///
  /// - Throws: `.cannotCreate` where that folder is missing, or the path names none.
  static func place(of path: String) throws(Fault) -> String {
    let name = Folder.name(of: path)
    // `.` and `..` are no names: what they lead to has one.
    let noNames: [StaticString] = ["", ".", "..", "/"]
    guard !noNames.contains(where: RawName(name).equals) else {
      guard let resolved = resolve(path), resolved != "/" else {
        throw Fault(.cannotCreate, "is no name for an output", file: path)
      }
      return resolved
    }
    let parent = Folder.parent(of: path)
    guard let resolved = resolve(parent), FileMark(at: resolved)?.kind == .folder else {
      throw Fault(
        .cannotCreate, "cannot be created", file: path, expected: "an existing folder \(parent)")
    }
    return Folder.join(resolved, name)
  }
}
