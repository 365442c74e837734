internal import Glibc
internal import Synchronization

/// What a file that stands for another one shows in its place.
package protocol FileView: Sendable {
  /// Fills `buffer` with what is shown from `offset` on; the range lies inside of it.
  ///
  /// - Throws: `.inputOutput` where the file cannot be read, `.malformed` where it is damaged.
  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(Fault)

  /// Which bytes of the file itself hold a range of what is shown.
  func stored(_ range: Range<Int>) -> Range<Int>
}

/// A file opened for reading; reads go through `pread`, so a file that shrinks underneath gives a
/// fault instead of the SIGBUS that a mapping would raise.
package final class InputFile: Sendable {
  /// The path as it is named in messages.
  package let path: String
  /// Size in bytes when the file was opened; of what is shown in its place, where something is.
  package let size: Int
  /// Size of the file itself.
  package let storedSize: Int
  /// What is shown in its place; nil for its own bytes.
  private let view: (any FileView)?
  /// Where its bytes come from when it lies elsewhere, and has no descriptor.
  private let source: (any ByteSource)?
  private let descriptor: Int32
  /// Which file it is, and when its contents last changed, as of its opening.
  package let version: FileVersion
  /// Whether it stands for a file that is gone, of which it has the beginning.
  package let isStandIn: Bool
  /// Whether `delete` has been called.
  private let isDeleted = Atomic<Bool>(false)

  /// Without waiting, so that a named pipe in a checkpoint's folder cannot hang the program.
  static let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK

  /// Opens a regular file that the user named: links are followed. What lies in a model's folder, or
  /// beside a file that was named, is opened by `InputFolder`.
  ///
  /// - Throws: `.notFound` where there is none or it is a directory, a socket or a loop of links;
  ///   `.inputOutput` where it cannot be read.
  package convenience init(path: String) throws(Fault) {
    if let place = DistantPlaces.find(path) {
      try self.init(sharing: place.file())
      return
    }
    try self.init(descriptor: open(path, InputFile.flags), path: path)
  }

  /// Opens an open file once more.
  private init(sharing file: InputFile) throws(Fault) {
    descriptor = try file.sharedDescriptor()
    path = file.path
    size = file.size
    storedSize = file.storedSize
    view = file.view
    source = file.source
    version = file.version
    isStandIn = file.isStandIn
  }

  /// Opens a file without a descriptor.
  init(source: any ByteSource, path: String, size: Int, version: FileVersion) {
    descriptor = -1
    self.path = path
    self.size = size
    storedSize = size
    view = nil
    self.source = source
    self.version = version
    isStandIn = false
  }

  /// Another number of the open file; -1 where it has none.
  private func sharedDescriptor() throws(Fault) -> Int32 {
    guard source == nil else { return -1 }
    let shared = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    guard shared >= 0 else { throw InputFile.openingFault(errno, path: path) }
    return shared
  }

  /// The number by which the system knows it; nil where it is not the file's own bytes that are shown.
  var ownDescriptor: Int32? { view == nil && source == nil && !isGone ? descriptor : nil }

  /// Takes over what `open` returned.
  init(descriptor: Int32, path: String) throws(Fault) {
    guard descriptor >= 0 else { throw InputFile.openingFault(errno, path: path) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      let code = errno
      close(descriptor)
      throw Fault(.inputOutput, "cannot be examined", file: path, found: reason(code))
    }
    let kind = Folder.Kind(status)
    guard kind == .file else {
      close(descriptor)
      throw InputFile.noFileFault(kind, path: path)
    }
    self.path = path
    self.size = Int(status.st_size)
    storedSize = size
    view = nil
    source = nil
    version = FileVersion(status)
    self.descriptor = descriptor
    isStandIn = false
  }

  /// Puts a file that has the beginning of another in its place.
  ///
  /// - Parameters:
  ///   - beginning: that file.
  ///   - path: the file that is gone, as messages name it.
  ///   - size: its size.
  /// - Throws: `.inputOutput` where the system has no descriptor left.
  package init(standIn beginning: InputFile, for path: String, size: Int) throws(Fault) {
    descriptor = try beginning.sharedDescriptor()
    self.path = path
    self.size = size
    storedSize = size
    view = nil
    source = beginning.source
    version = FileVersion(goneWithSize: size)
    isStandIn = true
  }

  /// Shows something else in place of an open file, under its name.
  ///
  /// - Throws: `.inputOutput` where the system has no descriptor left.
  package init(_ file: InputFile, showing view: any FileView, size: Int) throws(Fault) {
    descriptor = try file.sharedDescriptor()
    path = file.path
    self.size = size
    storedSize = file.size
    self.view = view
    source = file.source
    version = file.version
    isStandIn = false
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  static func openingFault(_ code: Int32, path: String) -> Fault {
    switch code {
    case ENOENT, ENOTDIR: Fault(.notFound, "no such file", file: path)
    case ELOOP, ENAMETOOLONG: Folder.examiningFault(code, path: path)
    default: Descriptors.fault(.inputOutput, "cannot be opened", code, path: path)
    }
  }

  static func noFileFault(_ kind: Folder.Kind, path: String) -> Fault {
    Fault(
      .notFound, "is not a file", file: path, expected: "a regular file",
      found: kind == .folder ? "a directory" : "a special file")
  }

  /// Whether something else is shown in its place.
  package var showsAnother: Bool { view != nil }

  /// Whether it lies elsewhere, where each look takes its time.
  package var isDistant: Bool { source != nil }

  /// SHA-256 of a file that lies elsewhere, in hexadecimal digits, where its keeper says it.
  package var statedSHA256: String? { source?.sha256 }

  /// Whether the file is gone: a stand-in is here for it, or it has been deleted.
  package var isGone: Bool { isStandIn || isDeleted.load(ordering: .relaxed) }

  /// Fills `buffer` from `offset` on.
  ///
  /// - Throws: `.inputOutput` where the file ends before (it shrank) or the system fails.
  package func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(Fault) {
    if view != nil || source != nil {
      guard offset >= 0, buffer.count <= size - offset else {
        throw Fault(
          .inputOutput, "ended early while it was read", file: path, offset: UInt64(size),
          expected: "\(buffer.count) bytes from \(offset)", found: "\(size) in all")
      }
      if let view { return try view.read(at: offset, into: buffer) }
      if let source { return try source.read(at: offset, into: buffer) }
    }
    var done = 0
    while done < buffer.count {
      let count = pread(
        descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset + done))
      if count < 0 {
        if errno == EINTR { continue }
        throw Fault(
          .inputOutput, "cannot be read", file: path, offset: UInt64(offset + done),
          found: reason(errno))
      }
      guard count > 0 else {
        throw Fault(
          .inputOutput, "ended early while it was read", file: path, offset: UInt64(offset + done),
          expected: "\(buffer.count - done) more bytes", found: "the end of the file")
      }
      done += count
    }
  }

  /// Reads `count` bytes from `offset` on.
  package func read(at offset: Int, count: Int) throws(Fault) -> [UInt8] {
    // The standard library would write the count into the one empty array that all threads share.
    guard count > 0 else { return [] }
    var fault: Fault?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      do throws(Fault) {
        try read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
        initialized = count
      } catch { fault = error }
    }
    if let fault { throw fault }
    return bytes
  }

  /// Reads the whole of a small file.
  ///
  /// - Throws: `.malformed` where it is larger than `limit` bytes.
  package func contents(limit: Int) throws(Fault) -> [UInt8] {
    guard size <= limit else {
      throw Fault(
        .malformed, "is too large for what it is", file: path, expected: "at most \(limit) bytes",
        found: "\(size)")
    }
    return try read(at: 0, count: size)
  }

  /// Reads the whole of a small file that the user named.
  ///
  /// - Throws: as `init(path:)`; `.malformed` where it is larger than `limit` bytes.
  package static func contents(of path: String, limit: Int) throws(Fault) -> [UInt8] {
    try InputFile(path: path).contents(limit: limit)
  }

  /// What tells a file from one that took its place: its size and when it was last written to.
  package var stamp: FileStamp { version.stamp }

  /// Throws `.malformed` where somebody has written to the file since it was opened.
  package func requireUnchanged() throws(Fault) {
    // What lies elsewhere is compared with every answer.
    guard !isGone, source == nil else { return }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw Fault(.inputOutput, "cannot be examined", file: path, found: reason(errno))
    }
    guard FileStamp(status) == stamp else {
      throw Fault(
        .malformed, "changed while it was read", file: path,
        expected: "\(storedSize) bytes as before",
        found: "\(status.st_size) bytes, written to since")
    }
  }

  /// Bytes that deleting the file gives to the file system of a folder; 0 where it lies on another.
  package func bytesOnDisk(of folder: String) -> Int {
    var (status, other) = (stat(), stat())
    guard !isStandIn, source == nil, fstat(descriptor, &status) == 0, stat(folder, &other) == 0,
      status.st_dev == other.st_dev
    else { return 0 }
    return Int(status.st_blocks) * 512
  }

  /// Throws `.usage` where the name is not the one and only of the file that is open: a symbolic
  /// link, one of several hard links, or another file's by now.
  package func requireOnlyName() throws(Fault) {
    guard source == nil else {
      throw Fault(.usage, "lies elsewhere and is not deleted", file: path)
    }
    var (status, named) = (stat(), stat())
    guard lstat(path, &named) == 0, fstat(descriptor, &status) == 0 else {
      throw Fault(.usage, "cannot be deleted", file: path, found: reason(errno))
    }
    guard named.st_mode & S_IFMT != S_IFLNK else {
      throw Fault(
        .usage, "is a link and is not deleted: what it leads to may serve others", file: path)
    }
    guard named.st_dev == status.st_dev, named.st_ino == status.st_ino else {
      throw Fault(.usage, "is not the file that was opened and is not deleted", file: path)
    }
    guard named.st_nlink == 1 else {
      throw Fault(
        .usage, "has other names and is not deleted, which would free no space", file: path)
    }
    guard access(Folder.parent(of: path), W_OK) == 0 else {
      throw Fault(.usage, "cannot be deleted", file: path, found: reason(errno))
    }
  }

  /// Deletes the file and lets go of it, so that its space is free. Nobody may be reading it, and
  /// who does so later gets a fault.
  ///
  /// - Throws: `.usage` as `requireOnlyName` does; `.inputOutput` where the system refuses.
  package func delete() throws(Fault) {
    guard !isGone else { return }
    try requireUnchanged()
    try requireOnlyName()
    guard unlink(path) == 0 else {
      throw Fault(.inputOutput, "cannot be deleted", file: path, found: reason(errno))
    }
    isDeleted.store(true, ordering: .relaxed)
    // The space is not free as long as the file is open, and the number of a closed descriptor
    // could soon be that of another file.
    let nothing = open("/dev/null", O_RDONLY | O_CLOEXEC)
    guard nothing >= 0 else { return }
    dup2(nothing, descriptor)
    close(nothing)
  }

  /// Tells the system that a range will be read soon, so that it fetches it in the meantime.
  package func fetchAhead(at offset: Int, count: Int) {
    let range = storedRange(at: offset, count: count)
    if let source { return source.fetchAhead(range) }
    posix_fadvise(descriptor, off_t(range.lowerBound), off_t(range.count), POSIX_FADV_WILLNEED)
  }

  /// Tells the system that a range will not be read again, so that streaming through a checkpoint
  /// does not push everything else out of the page cache.
  package func dropCache(at offset: Int, count: Int) {
    let range = storedRange(at: offset, count: count)
    if let source { return source.dropCache(range) }
    posix_fadvise(descriptor, off_t(range.lowerBound), off_t(range.count), POSIX_FADV_DONTNEED)
  }

  private func storedRange(at offset: Int, count: Int) -> Range<Int> {
    let range = offset..<offset + count
    guard let view else { return range }
    return view.stored(range.clamped(to: 0..<size))
  }
}
