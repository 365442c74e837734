package import Platform
internal import Tensors

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
  /// What the index says of a tensor.
  package struct Entry: Sendable {
    /// Where its name stands in `names`.
    fileprivate let name: Range<UInt32>
    /// Where it stands in the text.
    fileprivate let place: UInt32
    /// The name's mark.
    let mark: UInt32
    private let shortFile: UInt32

    fileprivate init(name: Range<Int>, place: Int, mark: UInt32, file: Int) {
      self.name = UInt32(clamping: name.lowerBound)..<UInt32(clamping: name.upperBound)
      self.place = UInt32(clamping: place)
      self.mark = mark
      shortFile = UInt32(clamping: file)
    }

    /// The index of its file in `files`.
    package var file: Int { Int(shortFile) }
  }

  /// The entries, in order.
  package private(set) var entries: [Entry] = []
  /// The names of all tensors, one behind the other: as texts of their own they would be 92,000 pieces
  /// of memory, and most are only compared.
  private var names: [UInt8] = []
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
    // An entry takes some 100 bytes, half of them its name.
    names.reserveCapacity(bytes.count / 2)
    entries.reserveCapacity(bytes.count / 96)
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
      let (place, start) = (cursor.position, names.count)
      let mark = try cursor.withString { bytes in
        names.append(contentsOf: bytes)
        return MarkTable.mark(of: bytes)
      }
      try Inventory.requireRoom(for: entries.count + 1)
      try cursor.expect(UInt8(ascii: ":"))
      let last = entries.last?.file
      let other: ExactText? = try cursor.withString { bytes in
        // Neighbours mostly share their file: compare before making a text.
        let isSame = last.map { files[$0].withBytes { $0.elementsEqual(bytes) } } ?? false
        return isSame ? nil : ExactText(String(decoding: bytes, as: UTF8.self))
      }
      let file = try other.map { name throws(Fault) in try number(of: name, cursor) } ?? last ?? 0
      entries.append(Entry(name: start..<names.count, place: place, mark: mark, file: file))
    } while cursor.take(UInt8(ascii: ","))
    try cursor.expect(UInt8(ascii: "}"))
  }

  /// The place of a file in `files`, where it is put if it is not there.
  private mutating func number(of file: ExactText, _ cursor: JSONCursor) throws(Fault) -> Int {
    if let number = fileIndices[file] { return number }
    guard files.count < SafetensorsIndex.fileLimit else {
      throw Fault(
        .malformed, "names too many files", offset: UInt64(cursor.position),
        expected: "at most \(SafetensorsIndex.fileLimit)")
    }
    fileIndices[file] = files.count
    files.append(file)
    firstEntries.append(entries.count)
    return files.count - 1
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
    for entry in entries {
      let name = name(of: entry)
      if !seen.insert(name).inserted { return (name, Int(entry.place)) }
    }
    return nil
  }

  /// Hands out the bytes of an entry's name.
  func withName<Value>(of entry: Entry, _ body: (UnsafeBufferPointer<UInt8>) -> Value) -> Value {
    names.withUnsafeBufferPointer {
      body(
        UnsafeBufferPointer(rebasing: $0[Int(entry.name.lowerBound)..<Int(entry.name.upperBound)]))
    }
  }

  /// The tensor that an entry is about.
  package func name(of entry: Entry) -> ExactText {
    withName(of: entry) { ExactText(String(decoding: $0, as: UTF8.self)) }
  }

  /// Where each of `files` stands among names of shards; nil where it does not.
  package func places(among shards: some Sequence<ExactText>) -> [Int?] {
    let places = Dictionary(
      shards.enumerated().map { ($0.element, $0.offset) }, uniquingKeysWith: { first, _ in first })
    return files.map { places[$0] }
  }

  /// The first tensor that the index places in `file`.
  package func firstTensor(in file: ExactText) -> ExactText? {
    fileIndices[file].map { name(of: entries[firstEntries[$0]]) }
  }
}
