internal import Glibc

extension Folder {
  /// The entries of a folder, sorted by their bytes so that nothing depends on the order in which
  /// the file system lists them.
  package struct Listing: Sendable {
    /// Their names.
    package internal(set) var names: [ExactText] = []
    /// Names that are not UTF-8, which no text can hold, with their bytes escaped.
    package internal(set) var unreadable: [String] = []
  }

  /// The entries of a folder.
  ///
  /// - Throws: `.notFound` where there is none, `.inputOutput` where it cannot be read.
  package static func listing(of path: String) throws(Fault) -> Listing {
    if let distant = DistantPlaces.find(path) { return try distant.listing() }
    return try listing(opendir(path), path: path)
  }

  /// The entries of an open folder, which is closed.
  static func listing(_ directory: OpaquePointer?, path: String) throws(Fault) -> Listing {
    guard let directory else {
      let kind: Fault.Kind = errno == ENOENT || errno == ENOTDIR ? .notFound : .inputOutput
      throw Fault(kind, "cannot be listed", file: path, found: reason(errno))
    }
    defer { closedir(directory) }
    var entries: [[UInt8]] = []
    while true {
      errno = 0
      guard let entry = readdir(directory) else {
        if errno == 0 { break }
        throw Fault(.inputOutput, "cannot be listed", file: path, found: reason(errno))
      }
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      if name != Array(".".utf8) && name != Array("..".utf8) { entries.append(name) }
    }
    entries.sort { $0.lexicographicallyPrecedes($1) }
    var listing = Listing()
    for entry in entries {
      if let name = String(validating: entry, as: UTF8.self) {
        listing.names.append(ExactText(name))
      } else {
        listing.unreadable.append(escaped(entry))
      }
    }
    return listing
  }

  /// What is said of a name that is not UTF-8, its bytes escaped.
  package static func unreadableFault(_ name: String, in folder: String) -> Fault {
    Fault(
      .malformed, "holds a name that is not UTF-8", file: folder,
      expected: "names in UTF-8: rename it, or take it away", found: name)
  }

  /// Whether `name` can be that of an entry of a folder and leads nowhere else.
  package static func isEntry(_ name: ExactText) -> Bool {
    !name.isEmpty && name != "." && name != ".."
      && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == 0 }
  }

  /// Whether a document that moves between systems may name a file so: an entry of its own folder
  /// on any of them.
  package static func isPlain(_ name: ExactText) -> Bool {
    isEntry(name) && !name.utf8.contains(UInt8(ascii: "\\"))
  }

  /// Bytes as a text in which each that belongs to no character of UTF-8 stands as `\xFF`.
  static func escaped(_ bytes: [UInt8]) -> String {
    var text = ""
    var parser = Unicode.UTF8.ForwardParser()
    var (source, place) = (bytes.makeIterator(), 0)
    while true {
      switch parser.parseScalar(from: &source) {
      case .valid(let scalar):
        text.unicodeScalars.append(Unicode.UTF8.decode(scalar))
        place += scalar.count
      case .error(let length):
        for byte in bytes[place..<place + length] {
          text += byte < 16 ? "\\x0" : "\\x"
          text += String(byte, radix: 16)
        }
        place += length
      case .emptyInput: return text
      }
    }
  }

  static func examiningFault(_ code: Int32, path: String) -> Fault {
    switch code {
    case ELOOP: Fault(.notFound, "symbolic links form a loop", file: path)
    case ENAMETOOLONG: Fault(.notFound, "the name is too long", file: path)
    default: Fault(.inputOutput, "cannot be examined", file: path, found: reason(code))
    }
  }
}
