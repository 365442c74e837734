internal import CPlatform
internal import Glibc

/// A file of lines that only grows, that is kept twice, and that one process at a time may have.
///
/// Each line stands behind its checksum, so that one that a crash tore or a disk damaged is told
/// from a whole one, which the copy then has (`JournalText`). The lock is the system's: it ends with
/// the process, however that ends. To open a journal changes nothing in it.
package final class Journal {
  /// Its path.
  package let path: String
  /// What the two files hold together; nothing that was appended since is in it.
  package private(set) var text = JournalText()
  /// The lines that it held when it was opened.
  package var lines: [String] { text.lines }
  /// The file, which has the lock, and its copy, which comes into being with the first line.
  private var files: [OpenFile]
  /// Bytes of lines.
  private var count = 0
  /// Whether one of the files has other bytes than it should, as no crash leaves them.
  package private(set) var wasDamaged = false

  /// One of the two.
  private struct OpenFile {
    let path: String
    var descriptor: Int32 = -1
    /// Whether it holds what it should.
    var isSound = true
  }

  /// The names of both in the folder of the work.
  static let names: [ExactText] = ["journal", "journal-copy"]

  /// More than any conversion writes; something else stands there then.
  private static let sizeLimit = 64 << 20

  /// Opens or creates the file and locks it.
  ///
  /// - Parameters:
  ///   - owner: what messages call the file's purpose.
  ///   - isShared: whether others may have it too, to read it: whoever writes has it alone.
  /// - Returns: nil where the file was taken away meanwhile, so that another try makes sense.
  /// - Throws: `.cannotCreate` where another process has it, where it cannot be created, or is none.
  init?(in folder: String, for owner: String, isShared: Bool = false) throws(Fault) {
    files = Journal.names.map { OpenFile(path: Folder.join(folder, $0)) }
    path = files[0].path
    try open(0, creates: true)
    guard files[0].descriptor >= 0 else { return nil }
    let code = fathom_lock(files[0].descriptor, isShared ? 0 : 1)
    guard code != EWOULDBLOCK else { throw Journal.claimed(owner) }
    // Where the file system knows no locks, the work goes on without.
    var (here, there) = (stat(), stat())
    if fstat(files[0].descriptor, &here) == 0 { try WorkFolder.requireOwn(journal: path, here) }
    guard fstat(files[0].descriptor, &here) == 0, lstat(path, &there) == 0,
      here.st_ino == there.st_ino, here.st_dev == there.st_dev
    else { return nil }
    do throws(Fault) {
      try open(1, creates: false)
      try read(in: folder)
    } catch {
      // Of a folder that is new nothing stays.
      if here.st_size == 0, access(files[1].path, F_OK) != 0 { unlink(path) }
      var fault = error
      fault.advice = WorkFolder.advice(folder)
      throw fault
    }
  }

  deinit { close() }

  /// Waits for what others do in a moment.
  package static func pause() { usleep(20_000) }

  /// What is said where another process has the journal of `owner`.
  package static func claimed(_ owner: String) -> Fault {
    Fault(.cannotCreate, "is being written by another run of fathom", file: owner)
  }

  /// Lets go of the files and of the lock.
  func close() {
    for index in files.indices.reversed() where files[index].descriptor >= 0 {
      Glibc.close(files[index].descriptor)
      files[index].descriptor = -1
    }
  }

  /// Opens one of the two; leaves it closed where it is not there.
  private func open(_ index: Int, creates: Bool) throws(Fault) {
    let flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (creates ? O_CREAT : 0)
    files[index].descriptor = Glibc.open(files[index].path, flags, 0o666)
    guard files[index].descriptor < 0, errno != ENOENT else { return }
    throw creatingFault(errno, path: files[index].path)
  }

  private func read(in folder: String) throws(Fault) {
    var contents: [[UInt8]] = []
    for file in files {
      contents.append(
        file.descriptor < 0 ? [] : try Journal.read(file.descriptor, file.path, in: folder))
    }
    text = try JournalText(contents[0], copy: contents[1], file: path)
    count = text.bytes.count
    for index in files.indices {
      files[index].isSound = contents[index] == text.bytes
      wasDamaged = wasDamaged || zip(contents[index], text.bytes).contains { $0 != $1 }
    }
  }

  /// Reads a journal without changing or claiming anything.
  ///
  /// - Returns: what it says, and whether another run has it; nil where there is none.
  /// - Throws: `.cannotCreate` where something else stands there or both copies contradict each other,
  ///   `.inputOutput` where it cannot be read.
  package static func look(
    in folder: String
  ) throws(Fault) -> (text: JournalText, isClaimed: Bool)? {
    var contents: [[UInt8]] = []
    var isThere = false
    var isClaimed = false
    for name in names {
      let path = Folder.join(folder, name)
      let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
      guard descriptor >= 0 || errno == ENOENT || errno == ENOTDIR else {
        throw Fault(.inputOutput, "cannot be opened", file: path, found: reason(errno))
      }
      guard descriptor >= 0 else {
        contents.append([])
        continue
      }
      defer { Glibc.close(descriptor) }
      isThere = true
      isClaimed = isClaimed || fathom_lock(descriptor, 0) == EWOULDBLOCK
      contents.append(try read(descriptor, path, in: folder))
    }
    guard isThere else { return nil }
    let path = Folder.join(folder, names[0])
    return (try JournalText(contents[0], copy: contents[1], file: path), isClaimed)
  }

  /// The bytes of an open file.
  ///
  /// - Throws: `.cannotCreate` where that is no journal of this user's.
  private static func read(
    _ descriptor: Int32, _ path: String, in folder: String
  ) throws(Fault) -> [UInt8] {
    var (status, around) = (stat(), stat())
    guard fstat(descriptor, &status) == 0, stat(folder, &around) == 0 else {
      throw Fault(.inputOutput, "cannot be examined", file: path, found: reason(errno))
    }
    guard status.st_mode & S_IFMT == S_IFREG, status.st_nlink == 1 else {
      throw Fault(
        .cannotCreate, "is no journal of fathom", file: path,
        expected: "a file with one name", found: "\(status.st_nlink) names, or no file")
    }
    guard status.st_uid == geteuid() || status.st_uid == around.st_uid else {
      throw Fault(.cannotCreate, "belongs to another user", file: path)
    }
    let size = Int(status.st_size)
    guard size <= sizeLimit else {
      throw Fault(
        .cannotCreate, "is no journal of fathom", file: path,
        expected: "\(sizeLimit) bytes at most",
        found: "\(size)")
    }
    var bytes = [UInt8](repeating: 0, count: size)
    var done = 0
    while done < size {
      let got = bytes.withUnsafeMutableBytes {
        pread(descriptor, $0.baseAddress! + done, size - done, off_t(done))
      }
      if got < 0 && errno == EINTR { continue }
      guard got >= 0 else {
        throw Fault(.inputOutput, "cannot be read", file: path, found: reason(errno))
      }
      // Another run is beginning it anew.
      if got == 0 { break }
      done += got
    }
    return Array(bytes[..<done])
  }

  /// Forgets all lines.
  ///
  /// - Throws: `.inputOutput` where the system refuses.
  package func restart() throws(Fault) {
    for file in files where file.descriptor >= 0 {
      guard ftruncate(file.descriptor, 0) == 0 else {
        throw writingFault(errno, path: file.path, offset: 0)
      }
    }
    text = JournalText()
    count = 0
    for index in files.indices { files[index].isSound = true }
  }

  /// Makes both files hold what they hold together, durably, so that lines can be added.
  ///
  /// Whole lines are written over with their own bytes: a crash in the middle loses none.
  ///
  /// - Throws: `.cannotCreate` where space or quota ran out, `.inputOutput` for all else.
  package func repair() throws(Fault) {
    for index in files.indices {
      if files[index].descriptor < 0 {
        try open(index, creates: true)
        files[index].isSound = count == 0
      }
      let file = files[index]
      if file.isSound { continue }
      try put(text.bytes, in: file, at: 0)
      guard ftruncate(file.descriptor, off_t(text.bytes.count)) == 0,
        fdatasync(file.descriptor) == 0
      else { throw writingFault(errno, path: file.path, offset: text.bytes.count) }
      files[index].isSound = true
    }
  }

  /// Reserves disk for lines to come, so that progress can be noted on a disk that is full.
  ///
  /// - Throws: `.cannotCreate` where so many lines are more than a journal may have, or space or quota
  ///   ran out; `.inputOutput` for all else.
  package func reserve(_ bytes: Int) throws(Fault) {
    // Of all lines that a run may need: one that goes on asks for no more than the first did.
    guard bytes <= Journal.sizeLimit else {
      throw Fault(
        .cannotCreate, "would become too long", file: path,
        expected: "\(Journal.sizeLimit) bytes at most: a larger --flush-every, or --no-manifest",
        found: "\(bytes)")
    }
    try repair()
    // Not every file system can; it is then as if the disk had been a little fuller.
    for file in files { _ = fathom_reserve(file.descriptor, Int64(count), Int64(bytes)) }
  }

  /// Writes lines behind those that are there and flushes the files to disk, the copy last: one of
  /// them is whole at any time.
  ///
  /// - Throws: `.cannotCreate` where space or quota ran out, `.inputOutput` for all else.
  package func append(_ texts: [String]) throws(Fault) {
    try repair()
    let bytes = texts.flatMap { "\(CRC32C($0).text) \($0)\n".utf8 }
    guard bytes.count <= Journal.sizeLimit - count else {
      throw Fault(
        .cannotCreate, "would become too long", file: path,
        expected: "\(Journal.sizeLimit) bytes at most: a larger --flush-every")
    }
    for file in files {
      try put(bytes, in: file, at: count)
      guard fdatasync(file.descriptor) == 0 else {
        throw writingFault(errno, path: file.path, offset: count)
      }
    }
    count += bytes.count
  }

  private func put(_ bytes: [UInt8], in file: OpenFile, at start: Int) throws(Fault) {
    var done = 0
    while done < bytes.count {
      let written = bytes.withUnsafeBytes {
        pwrite(file.descriptor, $0.baseAddress! + done, bytes.count - done, off_t(start + done))
      }
      if written < 0 && errno == EINTR { continue }
      guard written > 0 else { throw writingFault(errno, path: file.path, offset: start + done) }
      done += written
    }
  }
}
