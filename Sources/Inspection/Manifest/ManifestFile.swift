package import Formats
package import Platform
internal import Tensors

/// A manifest that a conversion wrote (schema `fathom.manifest/2`, or `/1`), read for checking.
package struct ManifestFile: Sendable {
  /// The version that is written.
  static let schema = "fathom.manifest/2"
  /// All versions that are read.
  static let schemas = ["fathom.manifest/1", schema]

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
    /// Of weights, the hash of what belongs to no tensor; nil in version 1.
    let header: BLAKE3Value?
  }

  /// What it says of a tensor of the source.
  struct SourceTensor: Sendable {
    let name: ExactText
    /// Type and shape.
    let kind: String?
    /// Nil where the output was not made from it.
    let hash: BLAKE3Value?
  }

  /// Where it was read from.
  package let path: String
  /// The hash of all of it.
  package let hash: BLAKE3Value
  /// Its version, where that is an older one, which does not cover the headers of weights.
  private(set) var oldSchema: String?
  /// The output's tensors.
  private(set) var tensors: [Tensor] = []
  /// The output's files.
  private(set) var files: [File] = []
  /// The hash of the whole output, as `fathom hash` prints it; nil where none is stated.
  private var checkpoint: BLAKE3Value?
  /// The source's tensors.
  private(set) var source: [SourceTensor] = []
  /// The hash of the whole source; nil where some of it was not used.
  private(set) var sourceCheckpoint: BLAKE3Value?

  /// Reads a manifest that the user named.
  ///
  /// - Throws: `.notFound` where there is none, `.malformed` for what no conversion writes.
  package init(path: String) throws(Fault) { try self.init(InputFile(path: path)) }

  /// Reads a manifest.
  ///
  /// - Throws: `.inputOutput` where it cannot be read, `.malformed` for what no conversion writes.
  package init(_ file: InputFile) throws(Fault) {
    path = file.path
    let bytes = try file.contents(limit: ManifestName.sizeLimit)
    hash = BLAKE3.hash(bytes)
    do throws(Fault) {
      try JSONCursor.read(bytes) { cursor throws(Fault) in try read(&cursor) }
      if oldSchema == nil { try ManifestSeal.require(bytes) }
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
          switch key {
          case "checkpoint": sourceCheckpoint = try cursor.hashOrNull()
          case "tensors":
            try cursor.elements { cursor throws(Fault) in try readSource(&cursor) }
          default: try cursor.skipValue()
          }
        }
        parts.insert(ExactText(key))
      case "output":
        try cursor.members { key, cursor throws(Fault) in
          switch key {
          case "checkpoint": checkpoint = try cursor.hashOrNull()
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
    guard let schema, ManifestFile.schemas.contains(schema) else {
      throw Fault(
        .malformed, "is another document", expected: "schema \(ManifestFile.schema)",
        found: schema)
    }
    if schema != ManifestFile.schema { oldSchema = schema }
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

  /// What `fathom hash` prints of a model, by the manifest's word: of one whose tensors have the
  /// names, types and shapes that it states, in files of the sizes that it states; nil of any other.
  package func contents(of inventory: Inventory) -> BLAKE3Value? {
    let sizes = Dictionary(uniqueKeysWithValues: files.map { ($0.name, $0.byteCount) })
    guard tensors.count == inventory.tensors.count,
      inventory.shards.allSatisfy({ sizes[$0.name] == $0.file.size })
    else { return nil }
    let isSame = tensors.allSatisfy { tensor in
      let found = inventory[tensor.name]
      return found?.type.rawValue == tensor.type && found?.shape.dimensions == tensor.shape
    }
    return isSame ? checkpoint : nil
  }

  private mutating func readSource(_ cursor: inout JSONCursor) throws(Fault) {
    try Inventory.requireRoom(for: source.count + 1)
    let entry = try ManifestEntry(&cursor)
    var kind: String?
    if let type = entry.type, let shape = entry.shape { kind = TensorHash.kind(type, shape) }
    source.append(
      SourceTensor(name: try entry.require(entry.name), kind: kind, hash: entry.hash))
  }

  private mutating func readTensor(_ cursor: inout JSONCursor) throws(Fault) {
    try Inventory.requireRoom(for: tensors.count + 1)
    let entry = try ManifestEntry(&cursor)
    tensors.append(
      Tensor(
        name: try entry.require(entry.name), type: try entry.require(entry.type),
        shape: try entry.require(entry.shape), hash: try entry.require(entry.hash)))
  }

  private mutating func readFile(_ cursor: inout JSONCursor) throws(Fault) {
    try Inventory.requireRoom(for: files.count + 1)
    let entry = try ManifestEntry(&cursor)
    let name = try entry.require(entry.name)
    // It is joined to a folder: nothing outside of that is anybody's business.
    guard Folder.isEntry(name) else {
      throw Fault(
        .malformed, "names a file outside of the model's folder", offset: entry.offset,
        expected: "a file name", found: name.text)
    }
    files.append(
      File(
        name: name, byteCount: try entry.require(entry.byteCount), hash: entry.hash,
        header: entry.header))
  }
}
