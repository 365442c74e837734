public import Formats
public import Platform

/// A list of content hashes that `fathom hash` printed earlier, as text or as JSON.
public struct HashList: Sendable {
  /// Hashes by the names of their tensors, as they are printed.
  private var hashes: [ExactText: BLAKE3Value] = [:]
  /// Names in the order of the list.
  private var names: [ExactText] = []

  /// Tensors that a manifest names without their hashes, since nothing was made from them.
  private var unhashed: Set<ExactText> = []

  /// Largest list that is read: several times that of DeepSeek-V3's 91,991 tensors.
  private static let sizeLimit = 64 << 20

  /// Reads a list.
  ///
  /// - Throws: `.notFound` where there is none, `.malformed` for what `fathom hash` does not print.
  public init(path: String) throws(Fault) {
    let bytes = try InputFile.contents(of: path, limit: HashList.sizeLimit)
    do throws(Fault) {
      if bytes.first == UInt8(ascii: "{") {
        try JSONCursor.read(bytes) { cursor throws(Fault) in try read(&cursor, path: path) }
      } else {
        try read(String(decoding: bytes, as: UTF8.self))
      }
    } catch {
      var fault = error
      fault.file = path
      throw fault
    }
  }

  /// How a checkpoint's tensors differ from the list, in the order of their names.
  public func differences(from found: ContentHashes) -> [HashDifference] {
    var differences: [HashDifference] = []
    var rest = hashes
    for tensor in found.tensors {
      let expected = rest.removeValue(forKey: ExactText(tensor.name.printable.text))
      if expected == tensor.hash || unhashed.contains(ExactText(tensor.name.printable.text)) { continue }
      differences.append(
        HashDifference(tensor: tensor.name, expected: expected, found: tensor.hash))
    }
    differences += names.compactMap { name in
      rest[name].map { HashDifference(tensor: name, expected: $0, found: nil) }
    }
    return differences.sorted { $0.tensor.utf8.lexicographicallyPrecedes($1.tensor.utf8) }
  }

  private mutating func add(_ name: ExactText, _ hash: BLAKE3Value) throws(Fault) {
    guard hashes.updateValue(hash, forKey: ExactText(name.printable.text)) == nil else {
      throw Fault(.malformed, "stands twice in the list", tensor: name)
    }
    names.append(ExactText(name.printable.text))
  }

  /// Lines `HASH  TYPE [shape]  NAME`; the last one is about the checkpoint.
  private mutating func read(_ text: String) throws(Fault) {
    for (number, line) in text.split(separator: "\n").enumerated() {
      let parts = line.split(separator: "  ", maxSplits: 2)
      guard let hash = parts.first.flatMap({ BLAKE3Value(text: $0) }), parts.count > 1 else {
        throw Fault(
          .malformed, "is no list of hashes", expected: "lines of fathom hash",
          found: "line \(number + 1)")
      }
      if parts.count == 3 { try add(ExactText(parts[2]), hash) }
    }
    if names.isEmpty { throw Fault(.malformed, "holds no hashes") }
  }

  /// The document of schema `fathom.hash/1`, without a tree: it has an entry for each tensor.
  private mutating func read(_ cursor: inout JSONCursor, path: String) throws(Fault) {
    var schema: String?
    try cursor.members { key, cursor throws(Fault) in
      switch key {
      case "schema": schema = try cursor.string()
      case "tensors":
        try cursor.elements { cursor throws(Fault) in try readTensor(&cursor) }
      default: try cursor.skipValue()
      }
    }
    try cursor.expectEnd()
    if schema == "fathom.manifest/1" { return try take(ManifestFile(path: path)) }
    guard schema == "fathom.hash/1" else {
      throw Fault(
        .malformed, "is another document", expected: "schema fathom.hash/1", found: schema)
    }
  }

  /// What a manifest says of the source of its conversion.
  private mutating func take(_ manifest: ManifestFile) throws(Fault) {
    (hashes, names) = ([:], [])
    for (name, hash) in manifest.source {
      if let hash { try add(name, hash) } else { unhashed.insert(ExactText(name.printable.text)) }
    }
  }

  private mutating func readTensor(_ cursor: inout JSONCursor) throws(Fault) {
    var (name, hash): (String?, BLAKE3Value?)
    let start = cursor.position
    try cursor.members { key, cursor throws(Fault) in
      switch key {
      case "name": name = try cursor.string()
      case "hash": hash = BLAKE3Value(text: try cursor.string())
      default: try cursor.skipValue()
      }
    }
    guard let name, let hash else {
      throw Fault(
        .malformed, "has an entry without name or hash", offset: UInt64(start),
        expected: "64 hexadecimal digits")
    }
    try add(ExactText(name), hash)
  }
}

/// A tensor whose hash is not the one of a list.
public struct HashDifference: Sendable, Hashable {
  /// Its name.
  public let tensor: ExactText
  /// The hash in the list, nil where the list has no such tensor.
  public let expected: BLAKE3Value?
  /// The hash found, nil where the checkpoint has no such tensor.
  public let found: BLAKE3Value?

  /// `missing`, `unexpected` or `different`.
  public var problem: String {
    expected == nil ? "unexpected" : found == nil ? "missing" : "different"
  }
}
