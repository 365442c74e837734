internal import Locks
package import Platform

/// The header of a safetensors file, wholly checked: names are unique, sizes follow from type and
/// shape, and the tensors fill the data part without holes or overlaps.
///
/// Layout (safetensors 0.8): 8 bytes of header length, little-endian; the header, a JSON object
/// that starts with `{` and may end in spaces; the data.
package struct SafetensorsHeader: Sendable {
  /// Longest header that is read, in bytes: twice that of DeepSeek-V3 in a single file. safetensors'
  /// own limit is 100,000,000.
  package static let lengthLimit = 1 << 25
  /// Dimensions that a tensor may have.
  static let rankLimit = 64
  /// Headers from this length on are parsed one after the other, so that many threads cannot fill
  /// memory with those of a hostile checkpoint.
  private static let largeLength = 1 << 22
  private static let largeHeaders = Guarded(())
  /// Keys of metadata that are read.
  static let metadataLimit = 100_000

  /// Tensors in the order of their bytes; offsets count from the start of the file.
  package let tensors: [StoredTensor]
  /// The `__metadata__` entries in order; what is no string stands as JSON.
  package let metadata: [(key: String, value: String)]
  /// The first of them that is no string, which safetensors' own readers refuse; nil where all are.
  package let metadataFault: Fault?
  /// Where the data must end: the size that the file must have.
  package let expectedSize: Int

  /// What reading a header found.
  package enum Reading: Sendable {
    /// The header is sound; whether the data is whole, `expectedSize` and the file's size tell.
    case header(SafetensorsHeader)
    /// The file ends before its header does; it should have at least so many bytes.
    case cut(atLeast: Int)
  }

  /// Reads and checks the header of an open file.
  ///
  /// - Parameters:
  ///   - shard: the index that the tensors will carry.
  ///   - budget: what the model's files share.
  /// - Throws: `.malformed` with the offset of what is wrong; `.inputOutput` where reading fails.
  package static func read(
    _ file: InputFile, shard: Int, within budget: ModelBudget = ModelBudget()
  ) throws(Fault) -> Reading {
    try file.parsed(as: .safetensors) { () throws(Fault) in
      try reading(file, shard: shard, within: budget)
    }
  }

  private static func reading(
    _ file: InputFile, shard: Int, within budget: ModelBudget
  ) throws(Fault) -> Reading {
    guard file.size >= 8 else {
      throw Fault(
        .malformed, "is too short for a safetensors file", file: file.path,
        expected: "at least 8 bytes", found: "\(file.size)")
    }
    var length: UInt64 = 0
    for (index, byte) in try file.read(at: 0, count: 8).enumerated() {
      length |= UInt64(byte) << (8 * index)
    }
    guard length >= 2, length <= UInt64(lengthLimit) else {
      throw Fault(
        .malformed, "has an impossible header length", file: file.path, offset: 0,
        expected: "2 to \(lengthLimit) bytes", found: "\(length)")
    }
    let end = 8 + Int(length)
    guard file.size >= end else { return .cut(atLeast: end) }
    try budget.headerBytes.take(Int(length), for: file.path)
    guard end < largeLength else {
      return try largeHeaders.withLock { _ throws(Fault) in
        .header(try parse(file, length: Int(length), shard: shard))
      }
    }
    return .header(try parse(file, length: Int(length), shard: shard))
  }

  private static func parse(
    _ file: InputFile, length: Int, shard: Int
  ) throws(Fault) -> SafetensorsHeader {
    try parse(file.read(at: 8, count: length), file: file.path, shard: shard)
  }

  private static func parse(
    _ bytes: [UInt8], file: String, shard: Int
  ) throws(Fault) -> SafetensorsHeader {
    do throws(Fault) {
      return try JSONCursor.read(bytes) { cursor throws(Fault) in
        var parser = SafetensorsHeaderParser(shard: shard, dataStart: 8 + bytes.count)
        // An entry takes at least 50 bytes of header, and mostly some 140.
        parser.reserve(bytes.count / 128)
        return try parser.header(&cursor)
      }
    } catch {
      var fault = error
      fault.file = file
      fault.offset = fault.offset.map { $0 + 8 }
      throw fault
    }
  }

  /// Throws where a header that is going to be written is none that is read: of a file that nothing
  /// reads back a model is lost.
  ///
  /// - Parameters:
  ///   - bytes: the header with its length before it.
  ///   - file: what is going to be written, for messages.
  /// - Throws: `.malformed` as `read` does, with advice.
  package static func requireReadable(_ bytes: [UInt8], file: String) throws(Fault) {
    do throws(Fault) {
      guard bytes.count - 8 <= lengthLimit else {
        throw Fault(
          .malformed, "would have too long a header for so many tensors", file: file,
          expected: "at most \(lengthLimit) bytes", found: "\(bytes.count - 8)")
      }
      _ = try parse(Array(bytes.dropFirst(8)), file: file, shard: 0)
    } catch {
      var fault = error
      fault.advice = "what would be written could not be read again, so that nothing is written"
      throw fault
    }
  }

  /// The tensors as those of another file of the model, with a text before all names.
  package func tensors(inShard shard: Int, prefix: ExactText) -> [StoredTensor] {
    if prefix.isEmpty, tensors.first?.shard == shard { return tensors }
    return tensors.map { tensor in
      var own = prefix.isEmpty ? tensor : tensor.renamed(prefix + tensor.name)
      own.shard = shard
      return own
    }
  }

  /// Throws where the file does not end exactly where its tensors end.
  package func requireSize(of file: InputFile) throws(Fault) {
    guard file.size != expectedSize else { return }
    let difference = abs(file.size - expectedSize)
    throw Fault(
      .malformed,
      file.size < expectedSize
        ? "is \(difference) bytes short" : "has \(difference) bytes after its last tensor",
      file: file.path, offset: UInt64(min(file.size, expectedSize)),
      expected: "\(expectedSize) bytes", found: "\(file.size)")
  }
}
