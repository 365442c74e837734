internal import Formats
public import Platform
internal import Tensors

/// A manifest that a conversion wrote (schema `fathom.manifest/1`), read for checking.
public struct ManifestFile: Sendable {
  /// What it says of a tensor of the output.
  struct Tensor: Sendable, Hashable {
    let name: ExactText
    let type: String
    let shape: [Int]
    let hash: BLAKE3Value
  }

  /// What it says of a file.
  struct File: Sendable, Hashable {
    let name: ExactText
    let byteCount: Int
    /// Nil for weights, whose tensors have hashes.
    let hash: BLAKE3Value?
  }

  /// Where it was read from.
  public let path: String
  /// The output's tensors.
  private(set) var tensors: [Tensor] = []
  /// The output's files.
  private(set) var files: [File] = []
  /// Hashes of the source's tensors; nil for those that the output was not made from.
  public private(set) var source: [(name: ExactText, hash: BLAKE3Value?)] = []

  /// Largest manifest that is read: twice that of DeepSeek-V3's 91,991 tensors.
  private static let sizeLimit = 128 << 20

  /// Reads a manifest that the user named.
  ///
  /// - Throws: `.notFound` where there is none, `.malformed` for what no conversion writes.
  public init(path: String) throws(Fault) { try self.init(InputFile(path: path)) }

  /// Reads a manifest.
  ///
  /// - Throws: `.inputOutput` where it cannot be read, `.malformed` for what no conversion writes.
  public init(_ file: InputFile) throws(Fault) {
    path = file.path
    let bytes = try file.contents(limit: ManifestFile.sizeLimit)
    do throws(Fault) {
      try JSONCursor.read(bytes) { cursor throws(Fault) in try read(&cursor) }
    } catch {
      var fault = error
      fault.file = path
      throw fault
    }
  }

  /// Without a tree: it has two entries for each tensor.
  private mutating func read(_ cursor: inout JSONCursor) throws(Fault) {
    var schema: String?
    var parts: Set<ExactText> = []
    try cursor.members { key, cursor throws(Fault) in
      switch key {
      case "schema": schema = try cursor.string()
      case "source":
        try cursor.members { key, cursor throws(Fault) in
          guard key == "tensors" else { return try cursor.skipValue() }
          try cursor.elements { cursor throws(Fault) in try readSource(&cursor) }
        }
        parts.insert(ExactText(key))
      case "output":
        try cursor.members { key, cursor throws(Fault) in
          switch key {
          case "tensors":
            try cursor.elements { cursor throws(Fault) in try readTensor(&cursor) }
            parts.insert(ExactText(key))
          case "files":
            try cursor.elements { cursor throws(Fault) in try readFile(&cursor) }
            parts.insert(ExactText(key))
          default: try cursor.skipValue()
          }
        }
      default: try cursor.skipValue()
      }
    }
    try cursor.expectEnd()
    guard schema == "fathom.manifest/1" else {
      throw Fault(
        .malformed, "is another document", expected: "schema fathom.manifest/1", found: schema)
    }
    guard parts.count == 3 else {
      throw Fault(.malformed, "lacks a part", expected: "source, output, its files and tensors")
    }
    try requireDistinct(tensors.map(\.name))
    try requireDistinct(source.map(\.name))
    try requireDistinct(files.map(\.name))
  }

  private func requireDistinct(_ names: [ExactText]) throws(Fault) {
    var seen: Set<ExactText> = []
    seen.reserveCapacity(names.count)
    for name in names where !seen.insert(name).inserted {
      throw Fault(.malformed, "names something twice", tensor: name)
    }
  }

  private mutating func readSource(_ cursor: inout JSONCursor) throws(Fault) {
    let entry = try ManifestEntry(&cursor)
    source.append((try entry.require(entry.name), entry.hash))
  }

  private mutating func readTensor(_ cursor: inout JSONCursor) throws(Fault) {
    let entry = try ManifestEntry(&cursor)
    tensors.append(
      Tensor(
        name: try entry.require(entry.name), type: try entry.require(entry.type),
        shape: try entry.require(entry.shape), hash: try entry.require(entry.hash)))
  }

  private mutating func readFile(_ cursor: inout JSONCursor) throws(Fault) {
    let entry = try ManifestEntry(&cursor)
    let name = try entry.require(entry.name)
    // It is joined to a folder: nothing outside of that is anybody's business.
    guard Folder.isPlain(name) else {
      throw Fault(
        .malformed, "names a file outside of the model's folder", offset: entry.offset,
        expected: "a file name", found: name.text)
    }
    files.append(
      File(name: name, byteCount: try entry.require(entry.byteCount), hash: entry.hash))
  }
}

/// The members of an entry of a manifest's lists that are checked.
private struct ManifestEntry {
  var name: ExactText?
  var type: String?
  var shape: [Int]?
  var byteCount: Int?
  var hash: BLAKE3Value?
  /// Where it stands.
  let offset: UInt64

  /// Dimensions that a shape may have; no format stores more.
  private static let dimensionLimit = 64

  init(_ cursor: inout JSONCursor) throws(Fault) {
    let start = UInt64(cursor.position)
    offset = start
    var entry = (
      name: ExactText?.none, type: String?.none, shape: [Int]?.none, bytes: Int?.none,
      hash: BLAKE3Value?.none
    )
    try cursor.members { key, cursor throws(Fault) in
      switch key {
      case "name": entry.name = try ExactText(cursor.string())
      case "type": entry.type = try cursor.string()
      case "bytes": entry.bytes = try cursor.count()
      case "shape":
        var shape: [Int] = []
        try cursor.elements { cursor throws(Fault) in
          shape.append(try cursor.count())
          guard shape.count <= ManifestEntry.dimensionLimit else {
            throw Fault(.malformed, "has a shape of too many dimensions", offset: start)
          }
        }
        entry.shape = shape
      case "hash":
        cursor.skipSpace()
        if cursor.peek == UInt8(ascii: "n") { return try cursor.expect(literal: "null") }
        entry.hash = BLAKE3Value(text: try cursor.string())
        if entry.hash == nil {
          throw Fault(
            .malformed, "has an entry whose hash is none", offset: start,
            expected: "64 hexadecimal digits")
        }
      default: try cursor.skipValue()
      }
    }
    (name, type, shape, byteCount, hash) = entry
  }

  func require<Value>(_ value: Value?) throws(Fault) -> Value {
    guard let value else {
      throw Fault(
        .malformed, "has an entry that is not complete", tensor: name, offset: offset,
        expected: "name, bytes, hash, and of a tensor type and shape")
    }
    return value
  }
}
