import Models
import Passes
import Platform
import Support
import Testing
import Verification

/// What a baseline says of a candidate, against what both models together say.
@Suite struct BaselineBoundTests {
  private static let targets: [Int?] = (0..<64).map { $0 == 63 ? nil : $0 * 31 % 5000 }

  /// Candidates from close to far, baselines from rich to poor.
  @Test(arguments: [0.001, 0.03, 0.3, 2.0], [4, 16, 256, 5000])
  func theExactDivergenceLiesWithinTheBounds(noise: Double, keep: Int) throws {
    let logits = SyntheticLogits(rows: 64, vocabSize: 5000, noise: noise)
    let targets = BaselineBoundTests.targets
    let exact = try logits.exact(targets: targets)
    let head = try logits.baseline(targets: targets, keep: keep)
    let found = try logits.measured(against: head, targets: targets)
    let interval = try #require(found.interval)
    let rounding = 1e-12
    #expect(interval.lower <= exact.klMean + rounding && exact.klMean <= interval.upper + rounding)
    #expect(interval.lower <= found.klMean && found.klMean <= interval.upper)
    #expect(abs(found.klMean - exact.klMean) <= 4 * interval.standardError + rounding)
    #expect(found.top1Agreement == exact.top1Agreement)
    #expect(found.perplexityReference == exact.perplexityReference)
    #expect(found.perplexityCandidate == exact.perplexityCandidate)
    #expect(abs(found.nmse - exact.nmse) <= StateSketch.bound * exact.nmse)
    #expect(zip(found.positions, exact.positions).allSatisfy { $0.topReference == $1.topReference })
    if keep == 5000 { #expect(interval.upper - interval.lower < rounding) }
  }

  @Test func moreEntriesNarrowTheBounds() throws {
    let logits = SyntheticLogits(rows: 64, vocabSize: 5000, noise: 0.1)
    let targets = BaselineBoundTests.targets
    let widths = try [8, 32, 128, 512].map { keep in
      let head = try logits.baseline(targets: targets, keep: keep)
      let interval = try #require(logits.measured(against: head, targets: targets).interval)
      return interval.upper - interval.lower
    }
    #expect(widths == widths.sorted(by: >) && widths[3] < widths[0] / 3)
  }

  @Test func theSameLogitsHaveNoDivergence() throws {
    let logits = SyntheticLogits(rows: 64, vocabSize: 5000, noise: 0)
    let targets = BaselineBoundTests.targets
    let head = try logits.baseline(targets: targets, keep: 8)
    let found = try logits.measured(against: head, targets: targets)
    #expect(found.klMean == 0 && found.klMax == 0 && found.nmse == 0)
    #expect(try head == logits.baseline(targets: targets, keep: 8, threads: 1))
  }

  /// 512 tokens of DeepSeek-V3's vocabulary with its MTP layer and 62 layers of hidden states.
  @Test func aBaselineOfDeepSeekV3IsSmall() throws {
    let (rows, vocabSize) = (512, 129_280)
    let path = Repository.samples + "/deepseek-v3/config.json"
    let json = try JSONValue(parsing: contents(path), file: path)
    let config = try ModelConfig(json: json, file: path)
    let tokens = TokenInput.sequence(count: rows, vocabSize: vocabSize)
    let targets: [Int?] = tokens.dropFirst().map { $0 } + [nil]
    let main = SyntheticLogits(rows: rows, vocabSize: vocabSize, noise: 0.05)
    let mtp = SyntheticLogits(rows: rows - 1, vocabSize: vocabSize, noise: 0.05, first: 9)
    let head = try main.baseline(targets: targets, keep: 64)
    let heads = [head, try mtp.baseline(targets: Array(targets.dropFirst()), keep: 64)]
    let layers = (0..<62).map { layer in
      let buckets = (0..<512).map {
        Float(SyntheticLogits.mix(layer * 512 + $0) >> 40) / 65_536 - 128
      }
      let choices = layer < 3 ? 0 : 8
      return BaselineLayer(
        state: StateSketch(buckets: buckets, energy: 1), choices: choices,
        experts: (0..<choices * 128).map {
          Int(SyntheticLogits.mix(layer << 20 + $0) % 256)
        })
    }
    let baseline = Baseline(
      reference: "synthetic", config: json, network: config, sequences: [tokens], heads: heads,
      embedding: StateSketch(), layers: layers, measured: .null)
    let bytes = try baseline.encoded()
    #expect(bytes.count < 500_000, "\(bytes.count) bytes, \(baseline.summary)")
    _ = try Baseline(bytes, file: "baseline")
  }

  /// The bounds at the size of DeepSeek-V3's vocabulary, with what is kept by default.
  @Test func aVocabularyOfDeepSeekV3IsMeasured() throws {
    let logits = SyntheticLogits(rows: 48, vocabSize: 129_280, noise: 0.05)
    let targets = (0..<48).map { $0 * 2693 }
    let head = try logits.baseline(targets: targets, keep: 64)
    let found = try logits.measured(against: head, targets: targets)
    let exact = try logits.exact(targets: targets)
    let interval = try #require(found.interval)
    #expect(abs(found.klMean - exact.klMean) <= 4 * interval.standardError)
    #expect(interval.standardError < 0.05 * exact.klMean)
    #expect(interval.lower <= exact.klMean && exact.klMean <= interval.upper)
    #expect(found.top1Agreement == exact.top1Agreement)
    #expect(found.perplexityCandidate == exact.perplexityCandidate)
  }
}
