internal import Glibc

/// A folder that is open, so that nothing done in it goes by another folder's name.
final class OpenFolder: Sendable {
  let descriptor: Int32

  /// Opens a folder itself, never what a link leads to; nil where `errno` says why not.
  init?(_ path: String) {
    let opened = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard opened >= 0 else { return nil }
    descriptor = opened
  }

  /// Opens a folder in this one.
  init?(_ name: RawName, in folder: OpenFolder) {
    let opened = name.withCString {
      openat(folder.descriptor, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    }
    guard opened >= 0 else { return nil }
    descriptor = opened
  }

  deinit { close(descriptor) }

  /// The names in it in the order of their bytes; nil where `errno` says why not, or where there are
  /// more than `limit`.
  func names(limit: Int = .max) -> [RawName]? {
    // A stream closes its descriptor, and shares its place with copies of it.
    let copy = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard copy >= 0 else { return nil }
    guard let stream = fdopendir(copy) else {
      close(copy)
      return nil
    }
    defer { closedir(stream) }
    var names: [RawName] = []
    errno = 0
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: UInt8.self, capacity: Int(NAME_MAX) + 1) {
          RawName(Array(UnsafeBufferPointer(start: $0, count: strlen($0))))
        }
      }
      if !name.equals(".") && !name.equals("..") { names.append(name) }
      guard names.count <= limit else {
        errno = E2BIG
        return nil
      }
      errno = 0
    }
    guard errno == 0 else { return nil }
    return names.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
  }

  /// What a name in it stands for, links not followed; nil where nothing does.
  func mark(of name: RawName) -> FileMark? {
    var status = stat()
    let code = name.withCString { fstatat(descriptor, $0, &status, AT_SYMLINK_NOFOLLOW) }
    return code == 0 ? FileMark(status) : nil
  }

  /// Removes an entry that is no folder; returns whether it is gone.
  func unlink(_ name: RawName) -> Bool {
    name.withCString { unlinkat(descriptor, $0, 0) } == 0 || errno == ENOENT
  }

  /// Removes a folder in it that is empty; returns whether it is gone.
  func removeFolder(_ name: RawName) -> Bool {
    name.withCString { unlinkat(descriptor, $0, AT_REMOVEDIR) } == 0 || errno == ENOENT
  }
}

extension Folder {
  /// Removes a folder with everything in it, or a file, never following a link; returns whether all
  /// is gone.
  ///
  /// Only for what a run has made itself: what was there before is removed by its `Standing`, which
  /// knows what was looked at.
  static func removeTree(_ path: String) -> Bool {
    guard let folder = OpenFolder(path) else {
      // A file, or a link, whatever it leads to.
      return errno == ENOENT || unlink(path) == 0
    }
    return removeContents(of: folder) && rmdir(path) == 0
  }

  private static func removeContents(of folder: OpenFolder) -> Bool {
    guard let names = folder.names() else { return false }
    var isGone = true
    for name in names where !folder.unlink(name) {
      guard let inner = OpenFolder(name, in: folder), removeContents(of: inner),
        folder.removeFolder(name)
      else {
        isGone = false
        continue
      }
    }
    return isGone
  }
}
