package import Formats
package import Platform

/// A list of content hashes that `fathom hash` printed earlier, as text or as JSON, or what a
/// manifest says of the source of its conversion.
package struct HashList: Sendable {
  /// What the list says of a tensor.
  struct Entry: Sendable {
    let name: ExactText
    /// Type and shape; nil where the list does not say.
    let kind: String?
    /// Nil where a manifest names a tensor that nothing was made from.
    let hash: BLAKE3Value?
  }

  /// How names stand in it.
  enum Names: Sendable {
    /// As they are.
    case exact
    /// As text of `fathom.hash/1` has them: escaped and cut short, so that several share a text.
    /// The hash of the checkpoint, the last line, tells these apart.
    case shortened
  }

  /// The tensors in the order of the list.
  private var entries: [Entry] = []
  private var places: [ExactText: Int] = [:]
  var names = Names.exact
  /// The hash of the whole checkpoint; nil where a manifest has none.
  var checkpoint: BLAKE3Value?
  /// What the list is, where it is of an older version: `fathom.hash/1`.
  var oldSchema: String?

  /// Reads a list.
  ///
  /// - Throws: `.notFound` where there is none, `.malformed` for what `fathom hash` does not print.
  package init(path: String) throws(Fault) {
    let bytes = try InputFile.contents(of: path, limit: ManifestName.sizeLimit)
    do throws(Fault) {
      if bytes.first == UInt8(ascii: "{") {
        try JSONCursor.read(bytes) { cursor throws(Fault) in try read(&cursor, path: path) }
      } else {
        try read(lines: bytes)
      }
    } catch {
      var fault = error
      fault.file = path
      throw fault
    }
  }

  /// Adds a tensor.
  ///
  /// - Throws: `.malformed` where it is there already, or there are more than any checkpoint has.
  mutating func add(_ entry: Entry) throws(Fault) {
    try Inventory.requireRoom(for: entries.count + 1)
    guard places.updateValue(entries.count, forKey: entry.name) == nil else {
      throw Fault(.malformed, "stands twice in the list", tensor: entry.name)
    }
    entries.append(entry)
  }

  /// Forgets the tensors.
  mutating func removeAll() { (entries, places) = ([], [:]) }

  /// Compares a checkpoint with the list, line by line.
  package func comparison(with found: ContentHashes) -> HashComparison {
    var result = HashComparison()
    var isSeen = [Bool](repeating: false, count: entries.count)
    for tensor in found.tensors {
      guard let place = places[ExactText(key(of: tensor.name))], !isSeen[place] else {
        result.add(.unexpected, tensor.name, expected: nil, found: tensor.hash)
        continue
      }
      isSeen[place] = true
      result.compare(tensor, entries[place])
    }
    for (entry, isSeen) in zip(entries, isSeen) where !isSeen {
      result.add(.missing, entry.name, expected: entry.hash, found: nil)
    }
    if let checkpoint {
      let same = oldSchema == nil ? found.checkpoint : found.oldCheckpoint
      result.checkpoint = (checkpoint, same)
    } else {
      result.coverage.pass(over: ExactText(HashComparison.checkpointName))
    }
    if let oldSchema {
      result.notes.append(
        "the list is an old one (\(oldSchema)): all that it says is compared; fathom hash makes a "
          + "new one")
    }
    result.sort()
    return result
  }

  private func key(of name: ExactText) -> String {
    switch names {
    case .exact: name.text
    case .shortened: HashList.shortened(name)
    }
  }

  /// A name in text of `fathom.hash/1`.
  private static func shortened(_ name: ExactText) -> String {
    var result = ""
    for scalar in name.text.unicodeScalars.prefix(400) {
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse:
        result += "\\u{\(String(scalar.value, radix: 16))}"
      case .unassigned where scalar.properties.isNoncharacterCodePoint:
        result += "\\u{\(String(scalar.value, radix: 16))}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return name.text.unicodeScalars.count > 400 ? result + "…" : result
  }
}

/// How a checkpoint differs from a list, and what of the two was compared.
package struct HashComparison: Sendable {
  /// Everything that differs, in the order of the names.
  package private(set) var differences: [HashDifference] = []
  /// What was compared, and what could not be.
  package internal(set) var coverage = Coverage()
  /// The hashes of the whole checkpoint, in the list and as it is; nil where the list has none.
  package internal(set) var checkpoint: (expected: BLAKE3Value, found: BLAKE3Value)? {
    didSet {
      guard let checkpoint else { return }
      coverage.compare(
        ExactText(HashComparison.checkpointName), isSame: checkpoint.expected == checkpoint.found)
    }
  }
  /// What has to be known of the comparison, a line each.
  package internal(set) var notes: [String] = []

  /// What the whole is called among what was compared.
  static let checkpointName = "the hash of the whole checkpoint"

  /// Whether the checkpoint is what the list says, as far as it says something.
  package var holds: Bool { coverage.holds }

  mutating func add(
    _ problem: Coverage.Problem, _ name: ExactText, expected: BLAKE3Value?, found: BLAKE3Value?
  ) {
    coverage.add(problem, name)
    differences.append(
      HashDifference(tensor: name, problem: problem, expected: expected, found: found))
  }

  mutating func compare(_ found: TensorHash, _ expected: HashList.Entry) {
    let isSameKind = expected.kind.map { $0 == found.kind } ?? true
    guard let hash = expected.hash, isSameKind else {
      if isSameKind { return coverage.pass(over: found.name) }
      coverage.compare(found.name, isSame: false)
      differences.append(
        HashDifference(
          tensor: found.name, problem: .different, expected: expected.hash, found: found.hash,
          kinds: expected.kind.map { ($0, found.kind) }))
      return
    }
    coverage.compare(found.name, isSame: hash == found.hash)
    guard hash != found.hash else { return }
    differences.append(
      HashDifference(tensor: found.name, problem: .different, expected: hash, found: found.hash))
  }

  mutating func sort() {
    differences.sort { $0.tensor.utf8.lexicographicallyPrecedes($1.tensor.utf8) }
  }
}

/// A tensor that is not as a list says.
package struct HashDifference: Sendable {
  /// Its name.
  package let tensor: ExactText
  /// What is wrong with it.
  package let problem: Coverage.Problem
  /// The hash in the list, nil where the list has no such tensor, or none of it.
  package let expected: BLAKE3Value?
  /// The hash found, nil where the checkpoint has no such tensor.
  package let found: BLAKE3Value?
  /// Type and shape, where these differ already.
  package let kinds: (expected: String, found: String)?

  init(
    tensor: ExactText, problem: Coverage.Problem, expected: BLAKE3Value?, found: BLAKE3Value?,
    kinds: (expected: String, found: String)? = nil
  ) {
    self.tensor = tensor
    self.problem = problem
    self.expected = expected
    self.found = found
    self.kinds = kinds
  }
}
