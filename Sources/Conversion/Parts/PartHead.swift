internal import Platform

/// Which part a journal is of, and what of each file it writes: its head says so, since what follows
/// is counted from there.
struct PartHead: Sendable, Hashable {
  let number: Int
  let count: Int
  /// The bytes of each file, by its index in the layout; files of other parts are not in it.
  let bytes: [Int: Range<Int>]

  /// Where the bytes of a file begin.
  var starts: [Int: Int] { bytes.mapValues(\.lowerBound) }

  init(_ share: Share) {
    (number, count) = (share.number, share.count)
    bytes = Dictionary(uniqueKeysWithValues: share.files.map { ($0, share.bytes[$0]) })
  }

  var json: JSONValue {
    .object([
      "number": .integer(number), "of": .integer(count),
      "bytes": .array(
        bytes.sorted { $0.key < $1.key }.map { file, range in
          .array([.integer(file), .integer(range.lowerBound), .integer(range.upperBound)])
        }),
    ])
  }

  /// Reads it; nil where it makes no sense.
  init?(_ value: JSONValue) {
    guard case .integer(let number) = value["number"], case .integer(let count) = value["of"],
      number > 0, number <= count, case .array(let items) = value["bytes"]
    else { return nil }
    var bytes: [Int: Range<Int>] = [:]
    for item in items {
      guard case .array(let numbers) = item, numbers.count == 3,
        case .integer(let file) = numbers[0], case .integer(let start) = numbers[1],
        case .integer(let end) = numbers[2], file >= 0, start >= 0, start < end,
        bytes.updateValue(start..<end, forKey: file) == nil
      else { return nil }
    }
    (self.number, self.count, self.bytes) = (number, count, bytes)
  }
}

extension ConversionRecords {
  /// Throws `.cannotCreate` where a part's journal is another conversion's, or another part's, and what
  /// `requireFits` throws.
  func requireOwn(
    _ share: Share, of plan: Plan, _ identity: ConversionIdentity, sourceTensors: Int, path: String
  ) throws(Fault) {
    guard let earlier = self.identity else { return }
    try identity.requireSame(as: earlier, path: path)
    guard part == PartHead(share) else {
      throw Fault(
        .cannotCreate, "is of another part", file: path,
        expected: "part \(share.number) of \(share.count)")
    }
    try requireFits(plan, sourceTensors: sourceTensors, file: path)
  }
}

extension Share {
  /// The name of its folder in the folder of the work.
  var name: ExactText { Share.name(number, of: count) }

  static func name(_ number: Int, of count: Int) -> ExactText {
    "part-\(number)-of-\(count)"
  }

  /// The part and the number of parts that a folder's name speaks of; nil for any other.
  static func numbers(in name: ExactText) -> (number: Int, count: Int)? {
    let words = name.split(separator: "-")
    guard words.count == 4, let number = Int(words[1].text), let count = Int(words[3].text),
      number > 0, number <= count, count <= PartChoice.mostParts,
      name == Share.name(number, of: count)
    else { return nil }
    return (number, count)
  }
}
