import Codecs
import Formats
import Models
import Passes
import Platform
import Reference
import Support
import Testing
import Verification

/// Every sample against the logits that transformers computed from it (`scripts/make samples`).
///
/// The tolerance, 2e-4 for logits with a standard deviation of about 2, is several times what two
/// correct F32 implementations differ by, and far below what any wrong step causes.
@Suite struct SampleTests {
  @Test(arguments: Repository.sampleNames + ["axk1", "mistral-large3"], KernelLevel.available)
  func logitsEqualThoseOfTransformers(name: String, level: KernelLevel) throws {
    let sample = try Sample(name)
    let heads = try sample.logits(threads: 2, level: level)
    #expect(heads.count == sample.expected.count)
    for (found, expected) in zip(heads, sample.expected) {
      #expect(largestDifference(found, expected) < 2e-4)
      #expect(divergence(expected, found, vocabSize: sample.config.vocabSize) < 1e-8)
    }
  }

  /// Plain Swift adds in the same order but rounds products, which some dozen layers of sums can
  /// turn into 1e-4 at logits of about 2.
  @Test(.enabled(if: KernelLevel.best != .plain), arguments: Repository.sampleNames)
  func plainSwiftIsNearTheBestLevel(name: String) throws {
    let sample = try Sample(name)
    let plain = try sample.logits(threads: 1, level: .plain)
    let best = try sample.logits(threads: 1, level: .best)
    for (one, other) in zip(plain, best) { #expect(largestDifference(one, other) < 1e-4) }
  }

  @Test(.enabled(if: KernelLevel.available.count > 2), arguments: Repository.sampleNames)
  func vectorLevelsHaveTheSameBits(name: String) throws {
    let sample = try Sample(name)
    let best = try sample.logits(threads: 1, level: .best)
    let others = KernelLevel.available.filter { $0 != .plain && $0 != .best }
    #expect(!others.isEmpty)
    for level in others { #expect(try sample.logits(threads: 1, level: level) == best) }
  }

  @Test func threadsDoNotChangeAnyBit() throws {
    let sample = try Sample("tiny-mtp2")
    #expect(try sample.logits(threads: 1) == sample.logits(threads: 2))
    #expect(try sample.logits(threads: 1) == sample.logits(threads: 5))
  }

  @Test(arguments: MemoryPlan.all) func memoryDoesNotChangeAnyBit(plan: MemoryPlan) throws {
    let sample = try Sample("tiny-mtp2")
    let expected = try sample.logits(threads: 2)
    #expect(try sample.logits(threads: 2, plan: plan) == expected)
    #expect(try sample.pieces(threads: 3, plan: plan) == expected[0])
  }

  /// Sequences of several blocks of keys, whose sums are corrected as larger scores turn up.
  @Test(arguments: try Fixture.cases("long.json"), KernelLevel.available)
  func longSequencesEqualThoseOfTransformers(fixture: Fixture, level: KernelLevel) throws {
    let sample = try Sample(fixture.description)
    let size = sample.config.vocabSize
    let positions = fixture.integers("positions")
    #expect(positions.count { $0 > 512 } > 2)
    let heads = try sample.logits(threads: 2, level: level, of: [fixture.integers("tokens")])
    for (found, key) in zip(heads, ["logits", "mtp_logits"]) {
      let expected = fixture.rows(key)
      #expect(expected.count == positions.count)
      for (position, row) in zip(positions, expected) {
        let part = Array(found[position * size..<(position + 1) * size])
        #expect(largestDifference(part, row.map { Float($0) }) < 2e-4, "\(key) \(position)")
      }
    }
  }

  /// Keys come in blocks of 256. What a token gets does not depend on what comes after it, on other
  /// sequences, or on threads: not even in the last bit.
  @Test(arguments: KernelLevel.available)
  func longSequencesDependOnTheirOwnPastAlone(level: KernelLevel) throws {
    let sample = try Sample("tiny-bf16")
    let size = sample.config.vocabSize
    let long = TokenInput.sequence(count: level == .plain ? 300 : 530, vocabSize: size)
    let whole = try sample.logits(threads: 2, level: level, of: [[1, 2, 3], long])
    let alone = try sample.logits(threads: 3, level: level, of: [long])
    #expect(whole[0].dropFirst(3 * size) == alone[0][...])
    for length in [1, 47, 256, 257] {
      let part = try sample.logits(threads: 1, level: level, of: [Array(long[..<length])])
      #expect(part[0][...] == alone[0][..<(length * size)])
    }
    guard level != .plain else { return }
    let plain = try sample.logits(threads: 2, level: .plain, of: [long])
    #expect(largestDifference(plain[0], alone[0]) < 1e-4)
  }

  private func largestDifference(_ one: [Float], _ other: [Float]) -> Float {
    guard one.count == other.count else { return .infinity }
    return zip(one, other).map { ($0 - $1).isNaN ? .infinity : abs($0 - $1) }.max() ?? 0
  }

  /// Largest KL divergence of any position, from the definition.
  private func divergence(_ p: [Float], _ q: [Float], vocabSize: Int) -> Double {
    stride(from: 0, to: p.count, by: vocabSize).map { start in
      let (a, b) = (
        logSoftmax(p[start..<start + vocabSize]), logSoftmax(q[start..<start + vocabSize])
      )
      return zip(a, b).reduce(0) { $0 + Mathematics.exp($1.0) * ($1.0 - $1.1) }
    }.max() ?? 0
  }

  private func logSoftmax(_ logits: ArraySlice<Float>) -> [Double] {
    let top = Double(logits.max() ?? 0)
    let sum = logits.reduce(0) { $0 + Mathematics.exp(Double($1) - top) }
    return logits.map { Double($0) - top - Mathematics.log(sum) }
  }
}
