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
}

extension Folder {
  /// Removes a file, or a folder with the files in it, never following a link; returns whether all
  /// is gone.
  ///
  /// Only for what a run has made itself, which has no folders in its folders: one that has is
  /// somebody's, and stays. What was there before a run is removed by its `Standing`.
  static func removeTree(_ path: String) -> Bool {
    guard let folder = OpenFolder(path) else {
      // A file, or a link, whatever it leads to.
      return errno == ENOENT || unlink(path) == 0
    }
    guard let names = folder.names() else { return false }
    for name in names {
      if folder.mark(of: name)?.kind == .folder { return false }
    }
    return names.allSatisfy { folder.unlink($0) } && rmdir(path) == 0
  }
}
