import Models
import Platform
import Reference
import Support
import Testing

/// DeepSeek-V4 in the form that it is published in: FP8 blocks, experts in FP4, a layer of every kind
/// and one that predicts. The fixture's logits are transformers', those of the predictor DeepSeek's
/// definition by transformers' modules (`scripts/make v4-fixtures`); scores of experts and entries
/// that decide are far apart, so that what remains is rounding.
@Suite struct DeepSeekV4Tests {
  private func sample() throws -> Sample {
    try Sample(folder: Repository.root + "/Tests/ReferenceTests/Fixtures/deepseek-v4")
  }

  @Test(arguments: [1, 3]) func theLogitsAreTransformers(threads: Int) throws {
    let sample = try sample()
    let found = try sample.logits(threads: threads)
    #expect(found.count == 2 && sample.expected.count == 2)
    for (found, expected) in zip(found, sample.expected) {
      #expect(found.count == expected.count)
      #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 2e-4 })
    }
  }

  /// Blocks of rows, of entries and of queries, strips of them on several threads.
  @Test(arguments: MemoryPlan.all) func divisionDoesNotShow(plan: MemoryPlan) throws {
    let sample = try sample()
    #expect(try sample.logits(threads: 2, plan: plan) == sample.logits(threads: 1))
  }

  /// Each sequence by itself: what it gives does not depend on those beside it.
  @Test func sequencesDoNotMeet() throws {
    let sample = try sample()
    let tokens = sample.tokens[0]
    let lengths = [1, 3, 4, 5, 9, 33]
    let together = try sample.logits(threads: 2, of: lengths.map { Array(tokens.prefix($0)) })
    var start = 0
    for length in lengths {
      let alone = try sample.logits(threads: 2, of: [Array(tokens.prefix(length))])
      let count = length * sample.config.vocabSize
      #expect(Array(together[0][start..<start + count]) == alone[0])
      start += count
    }
  }

  /// What follows a token changes nothing before it.
  @Test func tokensSeeNoFuture() throws {
    let sample = try sample()
    let whole = try sample.logits(threads: 2)[0]
    for length in [7, 8, 130] {
      let part = try sample.logits(threads: 2, of: [Array(sample.tokens[0].prefix(length))])[0]
      #expect(zip(part, whole).allSatisfy { abs($0 - $1) < 1e-5 })
    }
  }
}
