import Compression
import Platform
import Testing

@Suite struct ZstandardTests {
  static let text = Array(String(repeating: "model.layers.0.mlp.experts.", count: 1000).utf8)

  @Test(arguments: [[], [7], text, (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* $0) }])
  func whatIsCompressedComesBack(bytes: [UInt8]) throws {
    let frame = try Zstandard.compress(bytes)
    #expect(try Zstandard.decompress(frame, limit: bytes.count, file: "x") == bytes)
    #expect(try Zstandard.compress(bytes) == frame)
  }

  @Test func textShrinks() throws {
    #expect(try Zstandard.compress(ZstandardTests.text).count < 200)
  }

  @Test func everyDamageIsTold() throws {
    let frame = try Zstandard.compress(ZstandardTests.text)
    func expectFault(_ bytes: [UInt8], _ limit: Int = 1 << 20) {
      #expect {
        try Zstandard.decompress(bytes, limit: limit, file: "x.zst")
      } throws: { error in
        (error as? Fault)?.kind == .malformed && (error as? Fault)?.file == "x.zst"
      }
    }
    expectFault(frame, ZstandardTests.text.count - 1)
    expectFault([])
    expectFault(Array("no frame at all".utf8))
    for count in 1..<frame.count { expectFault(Array(frame.prefix(count))) }
    for index in frame.indices {
      var damaged = frame
      damaged[index] ^= 0x20
      // A frame may carry bits that mean nothing; what comes back must then be what went in.
      if let bytes = try? Zstandard.decompress(damaged, limit: 1 << 20, file: "x.zst") {
        #expect(bytes == ZstandardTests.text, "byte \(index)")
      }
    }
  }
}
