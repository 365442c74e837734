internal import Glibc

/// The files and folders that a run reads, none of which it may write over, into or around.
///
/// They are known by what the system calls them, whatever path leads there, and by their names, for
/// file systems that number files anew as they go. What is not there is left to whoever opens it.
package struct InputPlaces: Sendable {
  private var entries: Set<FileIdentity> = []
  private var names: Set<ExactText> = []
  private var folders: Set<FileIdentity> = []
  /// Folders above all of those.
  private var above: Set<FileIdentity> = []

  /// None.
  package init() {}

  /// Adds a file, and what it leads to where it is a link.
  package mutating func add(file path: String) {
    if let place = try? OutputPath.place(of: path) {
      add(entry: place)
      addFolders(above: place)
    }
    guard let target = OutputPath.resolve(path) else { return }
    add(entry: target)
    addFolders(above: target)
  }

  /// Adds a folder with all files in it.
  package mutating func add(folder path: String) {
    guard let resolved = OutputPath.resolve(path), let folder = FileIdentity(of: resolved) else {
      return
    }
    folders.insert(folder)
    // A link to it counts as well.
    add(file: path)
    guard let open = OpenFolder(resolved) else { return }
    for name in open.names() ?? [] {
      guard let mark = open.mark(of: name) else { continue }
      entries.insert(mark.identity)
      guard mark.kind == .link else { continue }
      var status = stat()
      if name.withCString({ fstatat(open.descriptor, $0, &status, 0) }) == 0 {
        entries.insert(FileIdentity(status))
      }
    }
  }

  private mutating func add(entry path: String) {
    names.insert(ExactText(path))
    if let identity = FileIdentity(of: path) { entries.insert(identity) }
  }

  private mutating func addFolders(above path: String) {
    for folder in Folder.above(path) {
      if let identity = FileIdentity(of: folder) { above.insert(identity) }
    }
  }

  /// Throws `.cannotCreate` where what stands at a place is one of them, or holds one.
  func requireSpared(_ standing: Standing) throws(Fault) {
    let identity = standing.mark.identity
    guard
      !entries.contains(identity) && !names.contains(ExactText(standing.path))
        && !folders.contains(identity) && !above.contains(identity) && !isBelow(standing.path)
    else { throw overlap(standing.path) }
  }

  /// Throws `.cannotCreate` where a place lies in one of the folders.
  func requireOutside(_ path: String) throws(Fault) { if isBelow(path) { throw overlap(path) } }

  private func isBelow(_ path: String) -> Bool {
    Folder.above(path).contains { folder in
      FileIdentity(of: folder).map(folders.contains) ?? false
    }
  }

  private func overlap(_ path: String) -> Fault {
    Fault(
      .cannotCreate, "overlaps an input of this run", file: path,
      expected: "a place where nothing lies that is read")
  }
}

extension Folder {
  /// The folders above a path without links, the nearest first.
  static func above(_ path: String) -> [String] {
    var folders: [String] = []
    var path = path
    while ExactText(path) != "/", ExactText(path) != "." {
      path = parent(of: path)
      folders.append(path)
    }
    return folders
  }
}
