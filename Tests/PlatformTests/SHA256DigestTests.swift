import Platform
import Testing

/// Known answers of FIPS 180-4.
@Suite struct SHA256DigestTests {
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
  ])
  func digestsAreThoseOfTheStandard(text: String, expected: String) {
    #expect(SHA256Digest.text(SHA256Digest.hash(Array(text.utf8))) == expected)
  }

  @Test func piecesMakeTheWhole() {
    let bytes = (0..<1000).map { UInt8($0 % 251) }
    for size in [1, 55, 63, 64, 65, 999] {
      var digest = SHA256Digest()
      for start in stride(from: 0, to: bytes.count, by: size) {
        digest.update(Array(bytes[start..<min(start + size, bytes.count)]))
      }
      #expect(digest.finish() == SHA256Digest.hash(bytes))
    }
  }

  @Test func theProcessorsInstructionsGiveTheSame() {
    let bytes = (0..<100_003).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
    var (quick, plain) = (SHA256Digest(), SHA256Digest(isPlain: true))
    quick.update(bytes)
    plain.update(bytes)
    #expect(quick.finish() == plain.finish())
  }
}
