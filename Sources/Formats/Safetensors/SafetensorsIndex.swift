package import Platform

/// `model.safetensors.index.json`: which tensor stands in which file.
///
/// Read with the strict cursor rather than as a tree: DeepSeek-V3's index has 91,991 entries, and
/// `inspect` is to be done before a tree of them would be built.
package struct SafetensorsIndex: Sendable {
  /// The usual file name.
  package static let fileName: ExactText = "model.safetensors.index.json"
  /// Largest index that is read, in bytes; DeepSeek-V3's has nine million.
  static let sizeLimit = 64 << 20
  /// Files that an index may name; each is looked for.
  private static let fileLimit = 10_000
  /// Members that it may have; usual are two.
  private static let memberLimit = 1000

  /// Distinct file names as the index writes them, in the order of their first mention.
  package private(set) var files: [ExactText] = []
  /// Tensor names with the index of their file in `files`, in order.
  package private(set) var entries: [(tensor: ExactText, file: Int)] = []
  /// Where each entry stands in the text.
  private var places: [Int] = []
  /// For each file the first entry that names it.
  private var firstEntries: [Int] = []
  private var fileIndices: [ExactText: Int] = [:]
  /// `metadata.total_size`, nil where absent.
  package private(set) var totalSize: Int?
  /// Where the index was read, as messages name it.
  package let path: String

  /// Reads an index.
  ///
  /// - Throws: `.inputOutput` where it cannot be read, `.malformed` with the offset of what is wrong.
  package init(_ file: InputFile) throws(Fault) {
    path = file.path
    try file.parsed(as: .json) { () throws(Fault) in try read(file) }
  }

  private mutating func read(_ file: InputFile) throws(Fault) {
    let bytes = JSONDialect.withoutMark(try file.contents(limit: SafetensorsIndex.sizeLimit))
    do throws(Fault) {
      try JSONCursor.read(bytes) { cursor throws(Fault) in try read(&cursor) }
    } catch {
      var fault = error
      fault.file = path
      throw fault
    }
  }

  private mutating func read(_ cursor: inout JSONCursor) throws(Fault) {
    var seen: Set<ExactText> = []
    try cursor.expect(UInt8(ascii: "{"))
    if !cursor.take(UInt8(ascii: "}")) {
      repeat {
        cursor.skipSpace()
        let place = cursor.position
        let key = try cursor.string()
        guard seen.insert(ExactText(key)).inserted, seen.count <= SafetensorsIndex.memberLimit
        else {
          throw Fault(
            .malformed, "has a key twice, or too many", offset: UInt64(place),
            expected: "at most \(SafetensorsIndex.memberLimit) keys", found: key)
        }
        try cursor.expect(UInt8(ascii: ":"))
        switch key {
        case "weight_map": try readMap(&cursor)
        case "metadata": try readMetadata(&cursor)
        default: try cursor.skipValue()
        }
      } while cursor.take(UInt8(ascii: ","))
      try cursor.expect(UInt8(ascii: "}"))
    }
    try cursor.expectEnd()
    guard seen.contains("weight_map") else {
      throw Fault(.malformed, "is not an index", expected: "a weight_map", found: "none")
    }
  }

  private mutating func readMap(_ cursor: inout JSONCursor) throws(Fault) {
    try cursor.expect(UInt8(ascii: "{"))
    if cursor.take(UInt8(ascii: "}")) { return }
    repeat {
      cursor.skipSpace()
      places.append(cursor.position)
      let tensor = ExactText(try cursor.string())
      try Inventory.requireRoom(for: entries.count + 1)
      try cursor.expect(UInt8(ascii: ":"))
      let file = ExactText(try cursor.string())
      // Neighbours mostly share their file: compare before hashing.
      if let last = entries.last, files[last.file] == file {
        entries.append((tensor, last.file))
        continue
      }
      if fileIndices[file] == nil {
        guard files.count < SafetensorsIndex.fileLimit else {
          throw Fault(
            .malformed, "names too many files", offset: UInt64(cursor.position),
            expected: "at most \(SafetensorsIndex.fileLimit)")
        }
        fileIndices[file] = files.count
        files.append(file)
        firstEntries.append(entries.count)
      }
      entries.append((tensor, fileIndices[file] ?? 0))
    } while cursor.take(UInt8(ascii: ","))
    try cursor.expect(UInt8(ascii: "}"))
  }

  private mutating func readMetadata(_ cursor: inout JSONCursor) throws(Fault) {
    cursor.skipSpace()
    guard cursor.peek == UInt8(ascii: "{") else { return try cursor.skipValue() }
    try cursor.expect(UInt8(ascii: "{"))
    if cursor.take(UInt8(ascii: "}")) { return }
    repeat {
      cursor.skipSpace()
      let place = cursor.position
      let key = try cursor.string()
      guard key != "total_size" || totalSize == nil else {
        throw Fault(
          .malformed, "has the key \"total_size\" twice", offset: UInt64(place),
          expected: "each key once")
      }
      try cursor.expect(UInt8(ascii: ":"))
      cursor.skipSpace()
      let isNumber = cursor.peek.map { (0x30...0x39).contains($0) } ?? false
      if key == "total_size", isNumber {
        totalSize = try cursor.wholeNumber()
      } else {
        try cursor.skipValue()
      }
    } while cursor.take(UInt8(ascii: ","))
    try cursor.expect(UInt8(ascii: "}"))
  }

  /// The first tensor that has two entries, and where the second one stands in the text; nil where
  /// each has one. Found only where somebody asks, since a look at every name takes its time.
  package var repeated: (tensor: ExactText, offset: Int)? {
    var seen: Set<ExactText> = []
    for (place, entry) in zip(places, entries) where !seen.insert(entry.tensor).inserted {
      return (entry.tensor, place)
    }
    return nil
  }

  /// Where each of `files` stands among names of shards; nil where it does not.
  package func places(among shards: some Sequence<ExactText>) -> [Int?] {
    let places = Dictionary(
      shards.enumerated().map { ($0.element, $0.offset) }, uniquingKeysWith: { first, _ in first })
    return files.map { places[$0] }
  }

  /// The first tensor that the index places in `file`.
  package func firstTensor(in file: ExactText) -> ExactText? {
    fileIndices[file].map { entries[firstEntries[$0]].tensor }
  }
}
