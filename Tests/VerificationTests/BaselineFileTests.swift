import Compression
import Models
import Platform
import Support
import Testing
import Verification

/// Files that claim to be baselines: whatever they hold, there is a fault or a value, and no crash.
@Suite struct BaselineFileTests {
  /// A small sound baseline.
  private static let sound: [UInt8] = {
    let path = Repository.samples + "/tiny-tied/config.json"
    guard let bytes = try? contents(path), let json = try? JSONValue(parsing: bytes, file: path),
      let config = try? ModelConfig(json: json, file: path)
    else { return [] }
    let tokens = [3, 1, 4, 1, 5, 9]
    let targets: [Int?] = [1, 4, 1, 5, 9, nil]
    let logits = SyntheticLogits(rows: 6, vocabSize: 288, noise: 0)
    guard let head = try? logits.baseline(targets: targets, keep: 8) else { return [] }
    let layers = [0, 3].map {
      BaselineLayer(
        state: StateSketch(), choices: $0, experts: (0..<6 * $0).map { $0 % 8 })
    }
    let baseline = Baseline(
      reference: "small", config: json, network: config, sequences: [tokens], heads: [head],
      embedding: StateSketch(), layers: layers, measured: .null)
    return (try? baseline.encoded()) ?? []
  }()

  /// Puts another payload into the file, with its hash.
  private func file(payload: [UInt8]) throws -> [UInt8] {
    Array(BaselineFileTests.sound[..<16]) + SHA256Digest.hash(payload)
      + (try Zstandard.compress(payload, level: 1))
  }

  private func payload() throws -> [UInt8] {
    try Zstandard.decompress(
      Array(BaselineFileTests.sound[48...]), limit: 1 << 24, file: "sound")
  }

  private func fault(_ bytes: [UInt8]) -> Fault? {
    do throws(Fault) {
      _ = try Baseline(bytes, file: "baseline")
      return nil
    } catch {
      return error
    }
  }

  @Test func theSoundOneIsRead() throws {
    #expect(!BaselineFileTests.sound.isEmpty)
    #expect(fault(BaselineFileTests.sound) == nil)
    #expect(fault(try file(payload: payload())) == nil)
  }

  @Test func cutShortItIsRefused() {
    let sound = BaselineFileTests.sound
    for count in stride(from: 0, to: sound.count, by: 7) {
      #expect(fault(Array(sound[..<count]))?.kind == .malformed)
    }
  }

  @Test func everyChangedByteIsSeen() {
    for place in stride(from: 0, to: BaselineFileTests.sound.count, by: 5) {
      var bytes = BaselineFileTests.sound
      bytes[place] ^= 0x41
      #expect(fault(bytes)?.kind == .malformed, "byte \(place)")
    }
  }

  @Test func aBombIsRefusedBeforeItUnfolds() throws {
    // A frame of a few KB that holds a gigabyte of zeros more than it may.
    let bomb = try Zstandard.compress([UInt8](repeating: 0, count: (256 << 20) + 1), level: 1)
    let found = fault(Array(BaselineFileTests.sound[..<48]) + bomb)
    #expect(found?.message == "holds more than it may")
  }

  /// Any payload with a sound hash: text and arrays changed at random.
  @Test func noPayloadCrashes() throws {
    let sound = try payload()
    var state: UInt64 = 7
    func next(_ limit: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % limit
    }
    var refused = 0
    for _ in 0..<2000 {
      var bytes = sound
      for _ in 0...next(3) { bytes[next(bytes.count)] = UInt8(next(256)) }
      if next(8) == 0 { bytes.removeLast(next(bytes.count)) }
      if let fault = fault(try file(payload: bytes)) {
        #expect(fault.kind == .malformed)
        refused += 1
      }
    }
    #expect(refused > 500)
  }

  /// Headers and arrays that break one rule each, by what stands in the place of what.
  @Test(arguments: [
    ("\"lengths\":[6]", "\"lengths\":[7]", ""),
    ("\"lengths\":[6]", "\"lengths\":[5]", ""),
    ("\"lengths\":[6]", "\"lengths\":[4194304,9]", "tokens"),
    ("\"lengths\":[6]", "\"lengths\":[]", "lengths"),
    ("\"choices\":[0,3]", "\"choices\":[0,4]", "ends before"),
    ("\"choices\":[0,3]", "\"choices\":[0]", "choices"),
    ("\"mtpLayers\":0", "\"mtpLayers\":2", "mtpLayers"),
    ("\"vocab_size\":288", "\"vocab_size\":4", "out of range"),
    ("\"hidden_size\":64", "\"hidden_size\":-1", "hidden_size"),
    ("fathom.fixture/1", "fathom.fixture/9", "schema"),
    ("\"entries\":[", "\"entries\":[1", "do not add up"),
  ])
  func aHeaderThatLiesIsRefused(from: String, to: String, message: String) throws {
    let sound = try payload()
    let length = Int(sound[0]) | Int(sound[1]) << 8
    let text = String(decoding: sound[4..<4 + length], as: UTF8.self)
    let parts = text.components(from)
    try #require(parts.count == 2)
    let header = Array((parts[0] + to + parts[1]).utf8)
    let count = (0..<4).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) }
    let found = fault(try file(payload: count + header + sound[(4 + length)...]))
    #expect(
      found?.kind == .malformed && found?.description.contains(message) ?? false, "\(found as Any)")
  }

  /// The last array but the experts and sketches: numbers that are none.
  @Test func numbersThatAreNoneAreRefused() throws {
    var bytes = try payload()
    // The last sketch's first upper bytes, before 18 experts of 4 bytes: NaN.
    let place = bytes.count - 18 * 4 - 1
    bytes[place] = 0x7F
    bytes[place - 512] = 0xC0
    #expect(fault(try file(payload: bytes))?.message.contains("not finite") ?? false)
  }

  @Test func whatFollowsTheLastArrayIsRefused() throws {
    #expect(fault(try file(payload: payload() + [0]))?.message.contains("goes on") ?? false)
  }
}

extension String {
  /// The parts between occurrences of `separator`.
  fileprivate func components(_ separator: String) -> [String] {
    guard let range = firstRange(of: separator) else { return [self] }
    return [String(self[..<range.lowerBound]), String(self[range.upperBound...])]
  }
}
