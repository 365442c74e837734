internal import Formats
internal import Platform

extension HashList {
  /// The version of lists that is written.
  static let schema = "fathom.hash/2"
  private static let firstSchema = "fathom.hash/1"

  /// Lines `HASH  TYPE [shape]  NAME`, and a last one `HASH  169 tensors, 3.2 MiB, fathom.hash/2`
  /// about the checkpoint.
  ///
  /// In version 1 the last line does not name the version, and names are shortened. Without a last
  /// line the checkpoint's hash is not compared.
  mutating func read(lines bytes: [UInt8]) throws(Fault) {
    var lines = bytes.split(separator: UInt8(ascii: "\n"))
    if let end = lines.last {
      let last = try Line(end, number: lines.count)
      // What files say of their making is a list without this line.
      if last.isTotal {
        lines.removeLast()
        checkpoint = last.hash
        if !last.text.utf8.reversed().starts(with: ", \(HashList.schema)".utf8.reversed()) {
          (oldSchema, names) = (HashList.firstSchema, .shortened)
        }
      }
    }
    guard !lines.isEmpty else { throw Fault(.malformed, "holds no hashes") }
    for (number, bytes) in lines.enumerated() {
      try add(Line(bytes, number: number + 1).entry(names: names))
    }
  }

  /// The document of schema `fathom.hash/2` or `/1`, without a tree: it has an entry for each
  /// tensor.
  mutating func read(_ cursor: inout JSONCursor, path: String) throws(Fault) {
    var schema: String?
    try cursor.members { key, cursor throws(Fault) in
      switch key {
      case "schema": schema = try cursor.string()
      case "checkpoint" where schema?.utf8.starts(with: "fathom.hash/".utf8) ?? true:
        checkpoint = try cursor.hashOrNull()
      // Another document's may be anything.
      case "tensors" where schema?.utf8.starts(with: "fathom.hash/".utf8) ?? true:
        try cursor.elements { cursor throws(Fault) in try readTensor(&cursor) }
      default: try cursor.skipValue()
      }
    }
    try cursor.expectEnd()
    if ManifestFile.schemas.contains(schema ?? "") { return try take(ManifestFile(path: path)) }
    guard schema == HashList.schema || schema == HashList.firstSchema else {
      throw Fault(
        .malformed, "is another document", expected: "schema \(HashList.schema)", found: schema)
    }
    if schema == HashList.firstSchema { oldSchema = schema }
    guard checkpoint != nil else {
      throw Fault(
        .malformed, "lacks the hash of the checkpoint", expected: "64 hexadecimal digits")
    }
  }

  private mutating func readTensor(_ cursor: inout JSONCursor) throws(Fault) {
    let start = cursor.position
    let entry = try ManifestEntry(&cursor)
    guard let name = entry.name, let hash = entry.hash else {
      throw Fault(
        .malformed, "has an entry without name or hash", offset: UInt64(start),
        expected: "64 hexadecimal digits")
    }
    var kind: String?
    if let type = entry.type, let shape = entry.shape { kind = TensorHash.kind(type, shape) }
    try add(Entry(name: name, kind: kind, hash: hash))
  }

  /// What a manifest says of the source of its conversion.
  private mutating func take(_ manifest: ManifestFile) throws(Fault) {
    removeAll()
    (checkpoint, oldSchema) = (manifest.sourceCheckpoint, manifest.oldSchema)
    for tensor in manifest.source {
      try add(Entry(name: tensor.name, kind: tensor.kind, hash: tensor.hash))
    }
  }
}

/// A line of a list.
private struct Line {
  let hash: BLAKE3Value
  /// What stands behind the hash.
  let text: String
  let number: Int

  /// Whether it is about the whole checkpoint: types begin with a letter, counts with a digit.
  var isTotal: Bool { text.utf8.first.map { (0x30...0x39).contains($0) } ?? false }

  init(_ bytes: ArraySlice<UInt8>, number: Int) throws(Fault) {
    self.number = number
    let digits = 2 * BLAKE3Value.byteCount
    guard bytes.count > digits + 2,
      let hash = BLAKE3Value(text: String(decoding: bytes.prefix(digits), as: UTF8.self)),
      bytes.dropFirst(digits).starts(with: "  ".utf8),
      let text = String(validating: bytes.dropFirst(digits + 2), as: UTF8.self)
    else { throw Line.fault(number) }
    (self.hash, self.text) = (hash, text)
  }

  private static func fault(_ number: Int) -> Fault {
    Fault(
      .malformed, "is no list of hashes", expected: "lines of fathom hash",
      found: "line \(number)")
  }

  /// `TYPE [shape]  NAME`; the name may be empty.
  func entry(names: HashList.Names) throws(Fault) -> HashList.Entry {
    let bytes = Array(text.utf8)
    guard !isTotal, let end = bytes.firstIndex(of: UInt8(ascii: "]")),
      bytes[(end + 1)...].starts(with: "  ".utf8)
    else { throw Line.fault(number) }
    let shown = String(decoding: bytes[(end + 3)...], as: UTF8.self)
    guard let name = names == .exact ? ListedName.name(shownAs: shown) : shown else {
      throw Line.fault(number)
    }
    return HashList.Entry(
      name: ExactText(name), kind: String(decoding: bytes[...end], as: UTF8.self), hash: hash)
  }
}
