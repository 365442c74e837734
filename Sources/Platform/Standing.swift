internal import Glibc

/// What stands under a name before something is written there, as it was when it was looked at:
/// a file, or a folder with all that is in it. Links are never followed.
///
/// The look is compared with what is there when it is replaced, and what is removed then is what was
/// looked at and nothing else.
package struct Standing: Sendable {
  /// An entry of a folder.
  package struct Entry: Sendable {
    /// Its name.
    package let name: RawName
    let mark: FileMark

    /// Whether it is a regular file, or a link to whatever.
    package var isFileOrLink: Bool { mark.kind == .file || mark.kind == .link }
    /// The name for people; folders end in a slash.
    package var shown: String { name.shown + (mark.kind == .folder ? "/" : "") }
  }

  /// Where it stands.
  package let path: String
  let mark: FileMark
  /// What is in a folder, in the order of names; nil where nobody has to know.
  package let entries: [Entry]?
  /// The folder, whatever name it gets.
  private let folder: OpenFolder?

  /// More entries than a model's folder ever has.
  private static let entryLimit = 1 << 16

  /// Looks at a place.
  ///
  /// - Parameter lists: whether to look into a folder.
  /// - Returns: nil where nothing is there.
  /// - Throws: `.cannotCreate` where it cannot be looked at, or holds more than any model does.
  static func look(at path: String, lists: Bool) throws(Fault) -> Standing? {
    var status = stat()
    guard lstat(path, &status) == 0 else {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw creatingFault(errno, path: path, "cannot be examined")
    }
    let mark = FileMark(status)
    guard mark.kind == .folder, lists else {
      return Standing(path: path, mark: mark, entries: nil, folder: nil)
    }
    guard let folder = OpenFolder(path) else {
      throw creatingFault(errno, path: path, "cannot be looked into")
    }
    guard fstat(folder.descriptor, &status) == 0, FileMark(status) == mark else {
      throw Fault(.cannotCreate, "changes while it is looked at", file: path)
    }
    return Standing(path: path, mark: mark, entries: try list(folder, path: path), folder: folder)
  }

  private static func list(_ folder: OpenFolder, path: String) throws(Fault) -> [Entry] {
    guard let names = folder.names(limit: entryLimit) else {
      throw errno == E2BIG
        ? Fault(
          .cannotCreate, "has too many entries to be replaced", file: path,
          expected: "at most \(entryLimit)")
        : creatingFault(errno, path: path, "cannot be looked into")
    }
    return names.compactMap { name in
      folder.mark(of: name).map { Entry(name: name, mark: $0) }
    }
  }

  /// What kind of thing it is.
  package var kind: Folder.Kind {
    switch mark.kind {
    case .file: .file
    case .folder: .folder
    case .link, .special: .special
    }
  }

  /// What a link leads to; nil for anything else.
  var target: RawName? {
    guard mark.kind == .link else { return nil }
    var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = bytes.withUnsafeMutableBytes {
      readlink(path, $0.bindMemory(to: CChar.self).baseAddress!, $0.count)
    }
    return count > 0 ? RawName(Array(bytes[..<count])) : nil
  }

  /// Whether what a path names now is what was looked at, unchanged.
  func isSame(at path: String) -> Bool {
    var status = stat()
    guard lstat(path, &status) == 0 else { return false }
    // Some file systems number a folder anew once nobody has it open.
    if let folder {
      var opened = stat()
      guard fstat(folder.descriptor, &opened) == 0, FileMark(opened) == FileMark(status),
        let found = try? Standing.list(folder, path: path), let entries
      else { return false }
      return found.elementsEqual(entries) { one, other in
        one.name == other.name && one.mark.isLike(other.mark)
      }
    }
    return FileMark(status) == mark
  }

  /// Removes, wherever it lies now, what was looked at: a file, or a folder's entries one by one
  /// and then the folder, unless something else is in it.
  ///
  /// - Parameter path: where it lies.
  /// - Returns: whether all is gone.
  func remove(at path: String) -> Bool {
    guard let folder, let entries else {
      var status = stat()
      guard lstat(path, &status) == 0 else { return errno == ENOENT }
      return FileMark(status) == mark && mark.kind != .folder && unlink(path) == 0
    }
    for entry in entries where entry.mark.kind != .folder {
      guard let mark = folder.mark(of: entry.name), mark.isLike(entry.mark) else { continue }
      _ = folder.unlink(entry.name)
    }
    return rmdir(path) == 0
  }

  /// The first bytes of the file, or of a file in the folder; empty for what is no regular file.
  ///
  /// - Parameters:
  ///   - name: the file in the folder; nil where a file stands there itself.
  ///   - limit: how many.
  /// - Throws: `.cannotCreate` where they cannot be read.
  package func beginning(of name: RawName? = nil, limit: Int) throws(Fault) -> [UInt8] {
    let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
    let descriptor: Int32
    if let name {
      guard let folder else { return [] }
      descriptor = name.withCString { openat(folder.descriptor, $0, flags) }
    } else {
      descriptor = open(path, flags)
    }
    guard descriptor >= 0 else {
      if errno == ELOOP { return [] }
      throw creatingFault(errno, path: path, "cannot be looked at")
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, FileMark(status).kind == .file else { return [] }
    var bytes = [UInt8](repeating: 0, count: min(limit, Int(status.st_size)))
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeMutableBytes {
        pread(descriptor, $0.baseAddress! + done, $0.count - done, off_t(done))
      }
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw creatingFault(errno, path: path, "cannot be looked at") }
      if count == 0 { break }
      done += count
    }
    return Array(bytes[..<done])
  }

  /// Bytes of the file; 0 for a folder.
  package var byteCount: Int { mark.size }
}
