import Platform
import Support
import Testing

/// Known answers of the authors' implementation; scripts/make hash-fixtures made them.
@Suite struct BLAKE3Tests {
  static let cases: [(length: Int, hash: String)] = {
    let path = Repository.root + "/Tests/PlatformTests/Fixtures/blake3.json"
    let document = try? JSONDocument(String(decoding: contents(path), as: UTF8.self))
    return (document?.list("cases") ?? []).map {
      ($0.integer("length") ?? -1, $0.string("hash") ?? "")
    }
  }()
  static let message = (0..<(cases.map(\.length).max() ?? 0)).map { UInt8($0 % 251) }

  @Test func thereAreCases() { #expect(BLAKE3Tests.cases.count > 30) }

  @Test(arguments: BLAKE3.Level.available)
  func hashesAreThoseOfThePeer(level: BLAKE3.Level) {
    for (length, hash) in BLAKE3Tests.cases {
      let found = BLAKE3.hash(Array(BLAKE3Tests.message[..<length]), level: level)
      #expect(found.text == hash, "\(length) bytes")
    }
  }

  /// Parts of any power of two of chunks make the whole, and each starts at its own place.
  @Test(arguments: BLAKE3.Level.available, [1024, 4096, 1 << 16, 1 << 20])
  func partsMakeTheWhole(level: BLAKE3.Level, size: Int) {
    for (length, hash) in BLAKE3Tests.cases where length > size {
      let starts = Array(stride(from: 0, to: length, by: size))
      var values = [UInt8](repeating: 0, count: starts.count * BLAKE3Value.byteCount)
      values.withUnsafeMutableBytes { values in
        for (number, start) in starts.enumerated().reversed() {
          let place = number * BLAKE3Value.byteCount
          BLAKE3Tests.message[start..<min(start + size, length)].withUnsafeBytes {
            BLAKE3.hash(
              part: $0, from: start, isWhole: false, level: level,
              into: UnsafeMutableRawBufferPointer(
                rebasing: values[place..<place + BLAKE3Value.byteCount]))
          }
        }
        #expect(BLAKE3.join(values, level: level).text == hash, "\(length) bytes")
      }
    }
  }

  @Test func textsAreReadBack() {
    let value = BLAKE3.hash([1, 2, 3])
    #expect(BLAKE3Value(text: value.text) == value)
    for text in ["", value.text.dropLast(), value.text.uppercased(), value.text + "00"]
      as [any StringProtocol]
    {
      #expect(BLAKE3Value(text: String(text)) == nil)
    }
  }
}
