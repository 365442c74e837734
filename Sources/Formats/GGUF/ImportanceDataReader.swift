internal import Platform

/// Reads the older format of `llama-imatrix`, `.dat`.
///
/// Layout, 32-bit little-endian integers: number of entries; for each the length of a name, the
/// name, the number of calls, the number of weights, the weights times calls as F32; then, if the
/// file goes on, the number of chunks, and the length and name of the data set.
struct ImportanceDataReader {
  private let file: InputFile
  private var position = 0

  init(_ file: InputFile) { self.file = file }

  mutating func read(into contents: inout ImportanceContents) throws(Fault) {
    let count = try number("number of entries", 1...)
    // An entry takes 17 bytes at the least.
    let limit = min(file.size / 17, ImportanceMatrix.entryLimit)
    guard count <= limit else {
      throw fault(
        "has an impossible number of entries", at: 0,
        expected: "at most \(limit)", found: "\(count)")
    }
    for _ in 0..<count {
      let start = position
      let name = try text("name")
      let calls = try number("number of calls")
      let weights = try number("number of weights", 1...)
      guard weights <= (file.size - position) / 4 else {
        throw fault(
          "ends inside the weights of \"\(name)\"", at: position,
          expected: "\(weights) numbers", found: "\(file.size - position) bytes")
      }
      // Without calls the numbers are taken as they are.
      let entry = StoredImportance(
        offset: position, count: weights, divisors: [calls > 0 ? Float(calls) : 1])
      guard contents.entries.updateValue(entry, forKey: ExactText(name)) == nil else {
        throw fault("has an entry twice", at: start, found: name)
      }
      position += weights * 4
    }
    guard position < file.size else { return }
    contents.chunkCount = max(0, try number("number of chunks"))
    guard position < file.size else { return }
    let dataset = try text("name of a data set")
    if !dataset.isEmpty { contents.datasets = [dataset] }
    guard position == file.size else {
      throw fault(
        "goes on after its end", at: position, found: "\(file.size - position) bytes more")
    }
  }

  private mutating func bytes(_ count: Int, of what: String) throws(Fault) -> [UInt8] {
    guard count <= file.size - position else {
      throw fault(
        "ends inside a \(what)", at: position, expected: "\(count) bytes",
        found: "\(file.size - position)")
    }
    defer { position += count }
    return try file.read(at: position, count: count)
  }

  private mutating func number(
    _ what: String, _ range: PartialRangeFrom<Int> = Int(Int32.min)...
  ) throws(Fault) -> Int {
    let start = position
    var value: UInt32 = 0
    for byte in try bytes(4, of: what).reversed() { value = value << 8 | UInt32(byte) }
    let number = Int(Int32(bitPattern: value))
    guard range.contains(number) else {
      throw fault(
        "has an impossible \(what)", at: start, expected: "at least \(range.lowerBound)",
        found: "\(number)")
    }
    return number
  }

  private mutating func text(_ what: String) throws(Fault) -> String {
    let length = try number("length of a \(what)", 0...)
    let start = position
    let text = String(validating: try bytes(length, of: what), as: UTF8.self)
    guard let text, !text.utf8.contains(0) else {
      throw fault("has a \(what) that is no text", at: start)
    }
    return text
  }

  private func fault(
    _ message: String, at offset: Int, expected: String? = nil, found: String? = nil
  ) -> Fault {
    Fault(
      .malformed, message, file: file.path, offset: UInt64(offset), expected: expected,
      found: found)
  }
}
