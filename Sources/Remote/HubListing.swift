package import Platform

/// What the hub says of a repository at a revision.
package struct HubListing: Sendable {
  /// A file as the hub lists it.
  package struct File: Sendable {
    /// Its path in the repository.
    package let name: ExactText
    /// Its size in bytes; nil where the hub does not say it.
    package let size: Int?
    /// SHA-256 of a large file; small ones have none.
    package let hash: String?
  }

  /// The commit that the revision names.
  package let commit: String
  /// The files, in the order of their names.
  package let files: [File]

  /// Reads the hub's answer, a JSON document.
  ///
  /// - Throws: `.malformed` where it is none of a repository.
  package init(_ bytes: [UInt8], path: String) throws(Fault) {
    let json = try JSONValue(parsing: bytes, file: path, limits: .list)
    guard case .string(let commit)? = json["sha"], case .array(let items)? = json["siblings"],
      commit.utf8.count >= 7, commit.utf8.allSatisfy(HubListing.isDigit)
    else {
      throw Fault(
        .malformed, "is described by the hub in other words than it uses", file: path,
        expected: "a commit \"sha\" and files \"siblings\"")
    }
    var files: [File] = []
    for item in items {
      guard case .string(let name)? = item["rfilename"] else { continue }
      let parts = ExactText(name).split(separator: "/")
      guard parts.allSatisfy(Folder.isPlain) else { continue }
      var (size, hash): (Int?, String?)
      if case .integer(let count)? = item["size"], count >= 0 { size = count }
      if case .string(let text)? = item["lfs"]?["sha256"] ?? item["lfs"]?["oid"] { hash = text }
      files.append(File(name: ExactText(name), size: size, hash: hash))
    }
    self.commit = commit
    self.files = files.sorted { $0.name < $1.name }
  }

  /// A SHA-256 in hexadecimal digits; nil where a text is none.
  static func digest(_ text: String?) -> String? {
    text.flatMap { $0.utf8.count == 64 && $0.utf8.allSatisfy(isDigit) ? $0 : nil }
  }

  /// What the contents of a file at a commit are called: a hash where there is one.
  static func tag(_ hash: String?, _ place: ExactText, at commit: String) -> String {
    hash ?? "\(commit)/\(place)"
  }

  /// Whether a byte is a digit as hashes have them.
  private static func isDigit(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
  }
}
