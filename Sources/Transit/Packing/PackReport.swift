internal import Formats
package import Platform

/// What `pack` made, file by file: the document that it prints, and that lies in a packed folder as
/// `fathom-pack.json` (schema `fathom.pack/1`).
package struct PackReport: Sendable, Hashable {
  /// A file of the model.
  package struct File: Sendable, Hashable {
    /// Its name.
    package let name: ExactText
    /// Its size.
    package let byteCount: Int
    /// What it takes now.
    package let packedByteCount: Int
    /// BLAKE3 of its bytes.
    package let hash: BLAKE3Value
    /// Whether it is packed; else it is the same file.
    package let isPacked: Bool
  }

  /// A document has some 200 bytes for each file.
  static let limit = 16 << 20

  /// The files in the order of their names.
  package let files: [File]

  /// Bytes of all files before.
  package var byteCount: Int { files.reduce(0) { $0 + $1.byteCount } }
  /// Bytes of all files now.
  package var packedByteCount: Int { files.reduce(0) { $0 + $1.packedByteCount } }
  /// How many times smaller they are now.
  package var ratio: Double { Double(byteCount) / Double(max(1, packedByteCount)) }

  init(_ files: [File]) {
    self.files = files.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
  }

  /// The document.
  package var json: JSONValue {
    .object([
      "schema": .string("fathom.pack/1"), "version": .string(FathomVersion.text),
      "bytes": .integer(byteCount), "packedBytes": .integer(packedByteCount),
      "ratio": .number(ratio),
      "files": .array(
        files.map { file in
          .object([
            "name": .string(file.name.text), "bytes": .integer(file.byteCount),
            "packedBytes": .integer(file.packedByteCount), "blake3": .string(file.hash.text),
            "packed": .bool(file.isPacked),
          ])
        }),
    ])
  }

  /// Reads the list of a packed folder; nil where it has none.
  ///
  /// - Throws: `.malformed` for what is no such document.
  static func read(
    in folder: InputFolder
  ) throws(Fault) -> [ExactText: (size: Int, hash: BLAKE3Value)]? {
    guard let bytes = try folder.contents(of: PackedFile.listName, limit: limit) else { return nil }
    let path = folder.place(of: PackedFile.listName)
    let document = try JSONValue(parsing: bytes, file: path, limits: .document)
    guard document["schema"] == .string("fathom.pack/1"),
      case .array(let files)? = document["files"]
    else {
      throw Fault(
        .malformed, "is no list of packed files", file: path, expected: "schema fathom.pack/1")
    }
    var found: [ExactText: (size: Int, hash: BLAKE3Value)] = [:]
    for file in files {
      guard case .string(let name)? = file["name"], case .integer(let size)? = file["bytes"],
        case .string(let text)? = file["blake3"], let hash = BLAKE3Value(text: text),
        Folder.isEntry(ExactText(name)),
        found.updateValue((size, hash), forKey: ExactText(name)) == nil
      else {
        throw Fault(
          .malformed, "has an entry that is wrong or stands twice", file: path,
          expected: "name, bytes and blake3 of each file in the folder")
      }
    }
    return found
  }
}
