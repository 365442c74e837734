import Codecs
import Formats
import Models
import Platform
import Reference
import Testing
import Verification

/// Every sample against the logits that transformers computed from it (`scripts/make_samples.py`).
///
/// The tolerance, 2e-4 for logits with a standard deviation of about 2, is several times what two
/// correct F32 implementations differ by, and far below what any wrong step causes.
struct SampleTests {
  static let names = [
    "tiny-bf16", "tiny-e8m0", "tiny-fp8", "tiny-fp8-block32", "tiny-mtp2", "tiny-no-qlora",
    "tiny-tied", "tiny-ue8m0",
  ]

  @Test(arguments: names) func logitsEqualThoseOfTransformers(name: String) throws {
    let sample = try Sample(name)
    let passed = try sample.logits(threads: 1)
    #expect(passed.count == sample.expected.count)
    for (found, expected) in zip(passed, sample.expected) {
      try #require(found.count == expected.count)
      let difference = zip(found, expected).map { abs($0 - $1) }.max() ?? .nan
      #expect(difference < 2e-4)
      #expect(divergence(expected, found, vocabSize: sample.config.vocabSize) < 1e-8)
    }
  }

  @Test func threadsDoNotChangeAnyBit() throws {
    let sample = try Sample("tiny-mtp2")
    #expect(try sample.logits(threads: 1) == sample.logits(threads: 2))
    #expect(try sample.logits(threads: 1) == sample.logits(threads: 5))
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
