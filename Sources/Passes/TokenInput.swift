internal import Formats
package import Platform
internal import Tensors

/// Where token ids come from: a file, or a fixed sequence that needs none.
package enum TokenInput {
  /// Largest JSON file that is read, in bytes.
  private static let jsonLimit = 32 << 20
  /// Ids, and sequences of them, that are read.
  private static let idLimit = 1 << 22

  /// Reads the file that `--tokens` names: JSON `[ids]` or `[[ids], …]`, or a safetensors file with
  /// `input_ids` (batch, tokens) or (tokens), I64 or I32. Contents tell which it is.
  ///
  /// - Throws: `.notFound`, `.inputOutput`, or `.malformed` with what is not an id.
  package static func read(_ path: String) throws(Fault) -> [[Int]] {
    let start = try InputFile(path: path)
    // A safetensors file has `{` after eight bytes of length; no list of ids has one anywhere.
    if start.size > 8, try start.read(at: 8, count: 1) == [UInt8(ascii: "{")] {
      return try readSafetensors(path)
    }
    return try readJSON(path)
  }

  private static func readJSON(_ path: String) throws(Fault) -> [[Int]] {
    let document = try JSONValue(
      parsing: InputFile.contents(of: path, limit: jsonLimit), file: path)
    guard case .array(let elements) = document, let first = elements.first else {
      throw Fault(
        .malformed, "holds no token ids", file: path, expected: "[ids] or [[ids], …]")
    }
    guard case .array = first else { return [try ids(elements, path: path)] }
    var sequences: [[Int]] = []
    for element in elements {
      guard case .array(let sequence) = element else {
        throw Fault(
          .malformed, "mixes ids and sequences", file: path, expected: "a sequence of ids",
          found: element.text(indent: nil))
      }
      sequences.append(try ids(sequence, path: path))
    }
    return sequences
  }

  private static func ids(_ elements: [JSONValue], path: String) throws(Fault) -> [Int] {
    var ids: [Int] = []
    ids.reserveCapacity(elements.count)
    for (position, element) in elements.enumerated() {
      guard case .integer(let id) = element else {
        throw Fault(
          .malformed, "element \(position) is no token id", file: path,
          expected: "a whole number", found: element.text(indent: nil))
      }
      ids.append(id)
    }
    return ids
  }

  private static func readSafetensors(_ path: String) throws(Fault) -> [[Int]] {
    let inventory = try Inventory(safetensorsFile: path)
    guard let stored = inventory["input_ids"] else {
      throw Fault(.malformed, "holds no tensor named input_ids", file: path)
    }
    let dimensions = stored.shape.dimensions
    guard stored.type == .i64 || stored.type == .i32, (1...2).contains(dimensions.count) else {
      throw Fault(
        .malformed, "cannot be read as token ids", file: path, tensor: "input_ids",
        expected: "I64 or I32 [batch, tokens]",
        found: "\(stored.type.rawValue) \(stored.shape)")
    }
    guard stored.shape.elementCount <= idLimit, dimensions[0] <= idLimit else {
      throw Fault(
        .malformed, "holds too many token ids", file: path, tensor: "input_ids",
        expected: "at most \(idLimit)", found: "\(stored.shape)")
    }
    let buffer = try inventory.read(stored)
    let bytes = UnsafeRawBufferPointer(buffer.bytes)
    let ids = (0..<stored.shape.elementCount).map { index in
      stored.type == .i64
        ? Int(bytes.load(fromByteOffset: 8 * index, as: Int64.self))
        : Int(bytes.load(fromByteOffset: 4 * index, as: Int32.self))
    }
    guard dimensions.count == 2 else { return [ids] }
    return (0..<dimensions[0]).map { Array(ids[$0 * dimensions[1]..<($0 + 1) * dimensions[1]]) }
  }

  /// Ids for a comparison to which no tokens were given: `count` numbers below `vocabSize`.
  ///
  /// SplitMix64 (Steele, Lea and Flood 2014) from seed 0, modulo the vocabulary: the same
  /// for every model with that vocabulary, and without meaning as text.
  package static func sequence(count: Int, vocabSize: Int) -> [Int] {
    var state: UInt64 = 0
    return (0..<count).map { _ in
      state &+= 0x9E37_79B9_7F4A_7C15
      var mixed = state
      mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
      mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
      return Int((mixed ^ (mixed >> 31)) % UInt64(vocabSize))
    }
  }
}
