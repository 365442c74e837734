internal import Formats
internal import Parts
internal import Platform
internal import Remote
internal import Verification

extension ParserEntry {
  /// What the hub says of a repository.
  package static let hubList = ParserEntry("hub-list") { (input) throws(Fault) in
    let listing = try HubListing(input.bytes, path: "hf://a/b")
    for file in listing.files {
      precondition(file.name.split(separator: "/").allSatisfy(Folder.isPlain), file.name.text)
    }
  }

  /// A page of the list of a bucket's files.
  package static let s3List = ParserEntry("s3-list") { (input) throws(Fault) in
    let listing = try S3Listing(input.bytes, below: "m/", path: "s3://bucket/m")
    for (name, file) in listing.files {
      precondition(
        file.size >= 0 && name.split(separator: "/").allSatisfy(Folder.isPlain), name.text)
    }
  }

  /// The head of a server's answer, line by line.
  package static let answerHead = ParserEntry("answer-head") { (input) throws(Fault) in
    var head = AnswerHead()
    for line in input.bytes.split(separator: 10) {
      guard head.add(String(decoding: line, as: UTF8.self)) else { break }
    }
    guard let extent = head.extent else {
      throw Fault(.malformed, "has no extent", file: "http://localhost/m")
    }
    precondition(extent.range.lowerBound >= 0 && extent.range.upperBound <= extent.total)
    _ = head.tag
  }

  /// What a part of a command's work has found. What does not end with its own hash gets that, and
  /// the program's version: no mutation could reach either.
  package static let partResult = ParserEntry("part-result") { (input) throws(Fault) in
    var bytes = input.bytes
    if bytes.suffix(4) != Array("\"\n}\n".utf8)[...] {
      let text = ExactText(String(decoding: bytes, as: UTF8.self))
        .replacing("@version", with: ExactText(FathomVersion.text))
      bytes = Array(text.utf8)
      bytes += Array(ManifestSeal.text(BLAKE3.hash(bytes)).utf8)
    }
    let results = PartResults(of: "hash", model: String(repeating: "0", count: 64))
    _ = try results.values(1, of: 2, in: bytes, path: "hash-1-of-2.json")
  }

  /// What a part of `verify` has measured: lists of numbers, each behind how many it has, of a network
  /// of one layer. What is accepted goes through all that the report is made of.
  package static let partNumbers = ParserEntry("part-numbers") { (input) throws(Fault) in
    var numbers: [Double] = []
    var word: UInt64 = 0
    for (index, byte) in input.bytes.enumerated() {
      word = word >> 8 | UInt64(byte) << 56
      if index % 8 == 7 { numbers.append(Double(bitPattern: word)) }
    }
    var sums = ComparisonSums(layers: 1, mtpLayers: 0, isolates: true)
    let sizes = NumberTape.Sizes(vocabulary: 16, experts: 8, choices: 2)
    for list in 0..<sums.lists {
      let count = Int(exactly: numbers.first ?? -1) ?? -1
      guard (0..<numbers.count).contains(count) else {
        throw Fault(.malformed, "has a list without its numbers")
      }
      var tape = NumberTape(sizes, reading: Array(numbers[1..<count + 1]))
      numbers.removeFirst(count + 1)
      sums.pass(list: list, &tape, targets: [[3, nil]])
      guard tape.isRead else { throw Fault(.malformed, "does not hold what its sequences have") }
    }
    sums.add(sums)
    let comparison = LogitsComparison(sums, layers: 1)
    precondition(comparison.main.tokens == 4 && comparison.layers.count == 1)
  }
}
