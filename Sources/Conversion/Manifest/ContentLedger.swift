internal import Dialects
internal import Formats
package import Platform
internal import Weights

/// Hashes of the bytes of stored tensors and of the output's, as they become known in a run.
package struct ContentLedger {
  /// A hash that a journal keeps.
  package struct Record: Sendable, Hashable {
    /// Whether the tensor is one of the source.
    let isSource: Bool
    /// Index in the inventory, or in the plan.
    let tensor: Int
    /// Of the bytes alone.
    let hash: BLAKE3Value

    /// Notes a hash.
    package init(isSource: Bool, tensor: Int, hash: BLAKE3Value) {
      (self.isSource, self.tensor, self.hash) = (isSource, tensor, hash)
    }
  }

  private let sizes: (source: [Int], output: [Int])
  /// Of each stored tensor, nil while it is not known or not needed.
  private(set) var source: [BLAKE3Value?]
  /// Of each tensor of the plan, nil while it is not known.
  private(set) var output: [BLAKE3Value?]
  /// Stored tensors whose bytes a tensor of the output has, by the index of that one.
  private let copies: [Int: [Int]]
  /// What the output uses of the source.
  let isUsed: [Bool]
  /// Stored tensors that are hashed here, where they are read to be hashed.
  private let isOurs: [Bool]
  /// Of each tensor of the output the bytes that are hashed here.
  let hashed: [Range<Int>]
  /// What is known of tensors of the output of which only a stretch is.
  private(set) var stretches: [HashedStretch] = []
  /// Tensors that are being hashed.
  private var sourceStreams: [Int: BLAKE3Stream] = [:]
  private var outputStreams: [Int: BLAKE3Stream] = [:]
  /// What has become known since it was last taken.
  private var news: [Record] = []
  private var newStretches: [HashedStretch] = []

  /// Looks at what is made from what.
  init(_ plan: Plan, _ share: Share, inventory: Inventory) {
    sizes = (inventory.tensors.map(\.byteCount), plan.tensors.map(\.entry.byteCount))
    source = Array(repeating: nil, count: inventory.tensors.count)
    output = Array(repeating: nil, count: plan.tensors.count)
    var isUsed = [Bool](repeating: false, count: inventory.tensors.count)
    var copies: [Int: [Int]] = [:]
    for (index, tensor) in plan.tensors.enumerated() {
      tensor.assembly.forEachStored { isUsed[$0.index] = true }
      if case .copy = tensor.operation,
        inventory.tensors[tensor.source.index].byteCount == tensor.entry.byteCount
      {
        copies[index, default: []].append(tensor.source.index)
      }
    }
    self.isUsed = isUsed
    self.copies = copies
    isOurs = share.isWhole ? isUsed : share.hashedSources(plan, count: isUsed.count)
    var hashed = [Range<Int>](repeating: 0..<0, count: plan.tensors.count)
    for (number, file) in plan.layout.files.enumerated() {
      for (tensor, offset) in zip(file.tensors, file.offsets) {
        hashed[tensor] = share.hashed(
          ofFile: number, offset: offset, size: plan.tensors[tensor].entry.byteCount)
      }
    }
    self.hashed = hashed
  }

  /// Stored tensors that have to be read here to be hashed: those that are used and whose hash is
  /// neither known nor that of a copy.
  func unread() -> [Bool] {
    var isUnread = isOurs
    for stored in copies.values.joined() { isUnread[stored] = false }
    for (index, hash) in source.enumerated() where hash != nil { isUnread[index] = false }
    return isUnread
  }

  /// Takes what an earlier run knew; what does not fit is passed over.
  mutating func take(_ records: [Record], isKept: (_ output: Int) -> Bool) {
    for record in records {
      if record.isSource {
        if source.indices.contains(record.tensor) { source[record.tensor] = record.hash }
      } else if output.indices.contains(record.tensor), isKept(record.tensor) {
        output[record.tensor] = record.hash
        for stored in copies[record.tensor] ?? [] { source[stored] = record.hash }
      }
    }
  }

  /// Takes the values of the next parts of a stored tensor.
  mutating func take(source tensor: Int, parts: UnsafeRawBufferPointer) {
    // Out of the dictionary while it grows, so that it is not copied.
    var stream =
      sourceStreams.removeValue(forKey: tensor) ?? BLAKE3Stream(byteCount: sizes.source[tensor])
    stream.appendParts(parts)
    if stream.isComplete {
      know(source: tensor, stream.value())
    } else {
      sourceStreams[tensor] = stream
    }
  }

  /// Takes stretches that an earlier run, or other runs, knew.
  mutating func take(_ known: [HashedStretch]) { stretches += known }

  /// Takes bytes of a tensor of the output, in their order, with the values of their whole parts.
  ///
  /// - Parameter start: where they begin in the tensor.
  mutating func take(
    output tensor: Int, _ bytes: UnsafeRawBufferPointer, at start: Int,
    parts: UnsafeRawBufferPointer? = nil
  ) {
    let range = hashed[tensor]
    var stream =
      outputStreams.removeValue(forKey: tensor)
      ?? BLAKE3Stream(byteCount: sizes.output[tensor], from: range.lowerBound)
    let (from, to) = (
      max(start, stream.position), min(start + bytes.count, range.upperBound)
    )
    if let parts, from == start, to == start + bytes.count {
      stream.append(bytes, known: parts)
    } else if from < to {
      stream.append(UnsafeRawBufferPointer(rebasing: bytes[from - start..<to - start]))
    }
    guard stream.position == range.upperBound, !range.isEmpty else {
      outputStreams[tensor] = stream
      return
    }
    guard range.count < sizes.output[tensor] else {
      return know(output: tensor, stream.value())
    }
    let stretch = HashedStretch(
      tensor: tensor, from: range.lowerBound / BLAKE3Stream.partBytes, values: stream.values)
    stretches.append(stretch)
    newStretches.append(stretch)
  }

  /// Makes hashes of the stretches that all shares know.
  mutating func join() {
    for (tensor, known) in Dictionary(grouping: stretches, by: \.tensor) {
      guard output[tensor] == nil,
        let hash = HashedStretch.hash(Array(Set(known)), byteCount: sizes.output[tensor])
      else { continue }
      output[tensor] = hash
      for stored in copies[tensor] ?? [] { source[stored] = hash }
    }
  }

  /// A tensor of the output whose hash is not known, or else a stored one that is used.
  func firstUnknown() -> (isSource: Bool, tensor: Int)? {
    if let tensor = output.firstIndex(of: nil) { return (false, tensor) }
    return source.indices.first { isUsed[$0] && source[$0] == nil }.map { (true, $0) }
  }

  /// Completes what has no bytes and passes through no pipeline.
  mutating func finish() {
    let empty = BLAKE3.hash([])
    for (index, size) in sizes.output.enumerated() where size == 0 { output[index] = empty }
    for (index, size) in sizes.source.enumerated() where size == 0 && isUsed[index] {
      source[index] = empty
    }
  }

  private mutating func know(source tensor: Int, _ hash: BLAKE3Value) {
    source[tensor] = hash
    news.append(Record(isSource: true, tensor: tensor, hash: hash))
  }

  private mutating func know(output tensor: Int, _ hash: BLAKE3Value) {
    output[tensor] = hash
    news.append(Record(isSource: false, tensor: tensor, hash: hash))
    for stored in copies[tensor] ?? [] where source[stored] == nil {
      know(source: stored, hash)
    }
  }

  /// Gives out what has become known since it was last asked.
  mutating func takeNews() -> (hashes: [Record], stretches: [HashedStretch]) {
    defer { (news, newStretches) = ([], []) }
    return (news, newStretches)
  }
}

extension ContentLedger.Record {
  /// Records of a line: many times as many would be more values than a document may have.
  private static let perLine = 10_000

  /// Lines of a journal with some of them.
  package static func lines(_ records: [ContentLedger.Record]) -> [String] {
    stride(from: 0, to: records.count, by: perLine).map { start in
      let items = records[start..<min(records.count, start + perLine)].map {
        "[\"\($0.isSource ? "source" : "output")\",\($0.tensor),\"\($0.hash.text)\"]"
      }
      return "{\"hashed\":[\(items.joined(separator: ","))]}"
    }
  }

  /// Reads an entry of such a line; nil where it is none.
  init?(_ value: JSONValue) {
    guard case .array(let items) = value, items.count == 3, case .string(let kind) = items[0],
      kind == "source" || kind == "output", case .integer(let tensor) = items[1],
      case .string(let text) = items[2], let hash = BLAKE3Value(text: text)
    else { return nil }
    self.init(isSource: kind == "source", tensor: tensor, hash: hash)
  }
}
