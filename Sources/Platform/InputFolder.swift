internal import CPlatform
internal import Glibc

/// The one door to the files of a folder that belongs to a model, and to those beside a file that
/// does: each is opened below the folder's own descriptor, without following a link that nobody
/// looked at, so that what was checked is what is read.
///
/// A link is followed where it ends in the folder, or, in a snapshot of the Hugging Face cache,
/// where every file is such a link, in the `blobs` of the same repository.
package final class InputFolder: Sendable {
  /// What a name stands for.
  package enum Entry: Sendable {
    /// A regular file, open.
    case file(InputFile)
    /// A directory.
    case folder
    /// A device, a pipe or a socket.
    case special
    /// A link to a name that is not there.
    case linkToNothing
    /// A link that is not followed, and where it leads.
    case linkOut(to: String)
  }

  /// The folder's path as it is named in messages.
  package let path: String
  /// The file that the user named, which may be a link to anywhere; nil where it is the folder.
  private let named: ExactText?
  private let links: LinkRule
  private let descriptor: Int32
  /// Where it is when it lies elsewhere, and has no descriptor.
  private let distant: DistantPlaces.Found?

  /// Opens a folder.
  ///
  /// - Throws: `.notFound` where there is none, `.inputOutput` where it cannot be opened.
  package convenience init(path: String) throws(Fault) { try self.init(path: path, named: nil) }

  /// Opens the folder around a file that the user named.
  package convenience init(around file: String) throws(Fault) {
    try self.init(path: Folder.parent(of: file), named: Folder.name(of: file))
  }

  private init(path: String, named: ExactText?) throws(Fault) {
    self.path = path
    self.named = named
    links = LinkRule.current
    distant = DistantPlaces.find(path)
    if let distant {
      descriptor = -1
      guard try distant.folder.kind(of: distant.place) == .folder else {
        throw Fault(.notFound, "no such folder", file: path)
      }
      return
    }
    descriptor = fathom_open_place(AT_FDCWD, path, 1)
    guard descriptor >= 0 else { throw InputFile.openingFault(errno, path: path) }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Whether it lies elsewhere.
  package var isDistant: Bool { distant != nil }

  /// Threads to look into many files of the folder with: those that wait for a distant one need no
  /// processor.
  package func lookers(_ threads: Int) -> Int { distant == nil ? threads : max(threads, 32) }

  /// The entries of the folder.
  ///
  /// - Throws: `.inputOutput` where it cannot be read.
  package func listing() throws(Fault) -> Folder.Listing {
    if let distant { return try distant.listing() }
    let directory = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw InputFile.openingFault(errno, path: path) }
    let stream = fdopendir(directory)
    if stream == nil { close(directory) }
    return try Folder.listing(stream, path: path)
  }

  /// Opens a file.
  ///
  /// - Throws: `.notFound` where there is none, or no regular file; `.malformed` for a link out of
  ///   the folder and for what is no plain name; `.inputOutput` where it cannot be read.
  package func open(_ name: ExactText) throws(Fault) -> InputFile {
    guard let file = try find(name) else {
      throw InputFile.openingFault(ENOENT, path: place(of: name))
    }
    return file
  }

  /// Opens a file that may be absent: nil where nothing has its name.
  ///
  /// - Throws: as `open`.
  package func find(_ name: ExactText) throws(Fault) -> InputFile? {
    let place = place(of: name)
    switch try entry(name) {
    case nil: return nil
    case .file(let file): return file
    case .folder: throw InputFile.noFileFault(.folder, path: place)
    case .special: throw InputFile.noFileFault(.special, path: place)
    case .linkToNothing: throw Fault(.notFound, "is a link to nothing", file: place)
    case .linkOut(let target):
      var fault = Fault(
        .malformed, "is a link out of the folder and is not followed", file: place,
        expected: "a file in \(path)", found: "a link to \(target)")
      fault.advice =
        "copy the file into the folder, or allow links that lead out of it with --follow-links"
      throw fault
    }
  }

  /// Reads the whole of a small file that may be absent: nil where nothing has its name.
  ///
  /// - Throws: as `open`; `.malformed` where it is larger than `limit` bytes.
  package func contents(of name: ExactText, limit: Int) throws(Fault) -> [UInt8]? {
    try find(name)?.contents(limit: limit)
  }

  /// The path of an entry, as it is named in messages.
  package func place(of name: ExactText) -> String { Folder.join(path, name) }

  /// Looks at a name, and opens what is a file; nil where nothing has it.
  ///
  /// - Throws: `.malformed` for what is no plain name, `.notFound` for a loop of links,
  ///   `.inputOutput` where the system refuses.
  package func entry(_ name: ExactText) throws(Fault) -> Entry? {
    guard Folder.isEntry(name) else {
      throw Fault(
        .malformed, "cannot hold a file of this name", file: path,
        expected: "a plain file name", found: name.text)
    }
    if let distant { return try distant.entry(name) }
    var status = stat()
    // Before it is opened, since opening is enough to make some devices do something.
    guard fstatat(descriptor, name.text, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
      if errno == ENOENT { return nil }
      throw Folder.examiningFault(errno, path: place(of: name))
    }
    if status.st_mode & S_IFMT == S_IFLNK { return try follow(name) }
    return try opened(status, name) { openat(descriptor, name.text, InputFile.flags | O_NOFOLLOW) }
  }

  /// Looks at where a link leads.
  private func follow(_ name: ExactText) throws(Fault) -> Entry {
    var status = stat()
    if fstatat(descriptor, name.text, &status, 0) != 0 {
      switch errno {
      case ENOENT, ENOTDIR: return .linkToNothing
      case EACCES: return .linkOut(to: target(of: name))
      default: throw Folder.examiningFault(errno, path: place(of: name))
      }
    }
    if links == .anywhere || named == name {
      return try opened(status, name) { openat(descriptor, name.text, InputFile.flags) }
    }
    guard let way = LinkWay(from: path, to: name.text) else {
      return .linkOut(to: target(of: name))
    }
    return try opened(status, name) { way.open(from: descriptor, InputFile.flags) }
  }

  /// Opens what was looked at, if it is a file.
  private func opened(
    _ status: stat, _ name: ExactText, _ open: () -> Int32
  ) throws(Fault) -> Entry {
    switch Folder.Kind(status) {
    case .folder: return .folder
    case .special: return .special
    case .file:
      let file = open()
      // It was there, and no link, a moment ago.
      if file < 0, errno == ELOOP || errno == ENOENT || errno == ENOTDIR {
        throw Fault(.malformed, "was exchanged while it was opened", file: place(of: name))
      }
      return .file(try InputFile(descriptor: file, path: place(of: name)))
    }
  }

  /// What a link says.
  private func target(of name: ExactText) -> String {
    var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = bytes.withUnsafeMutableBytes { buffer in
      buffer.withMemoryRebound(to: CChar.self) {
        readlinkat(descriptor, name.text, $0.baseAddress!, $0.count)
      }
    }
    return count > 0 ? Folder.escaped(Array(bytes[..<count])) : "an unknown place"
  }
}
