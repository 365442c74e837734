import Codecs
import Models
import Passes
import Platform
import Reference
import Support
import Testing
import Verification

/// Which keys queries see, where an indexer chooses them. That they are those of transformers shows in
/// the logits of `SampleTests`.
@Suite struct KeyChoiceTests {
  private func chosen(_ scores: [Float], _ count: Int) -> (keys: [Int], isTied: Bool) {
    var bits = [UInt64](repeating: 0, count: (scores.count + 63) / 64)
    let isTied = bits.withUnsafeMutableBufferPointer { bits in
      scores.withUnsafeBufferPointer { TopKeys.choose(count, of: $0, into: bits) }
    }
    return (scores.indices.filter { bits[$0 / 64] >> UInt64($0 % 64) & 1 == 1 }, isTied)
  }

  @Test func theLargestScoresAreChosen() {
    var state: UInt64 = 7
    for count in [1, 2, 63, 64, 65, 200] {
      let scores = (0..<200).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Float(Int64(bitPattern: state) >> 40) / 1024
      }
      let sorted = scores.indices.sorted { (scores[$0], $1) > (scores[$1], $0) }
      #expect(chosen(scores, count).keys == sorted.prefix(count).sorted())
    }
  }

  /// The case that no indexer likes: all heads' products are negative, and many keys score 0.
  @Test func equalScoresGoByTheirPlaces() {
    #expect(chosen([0, 1, 0, -0.0, 0], 3) == ([0, 1, 2], true))
    #expect(chosen([-0.0, 1, 0], 3) == ([0, 1, 2], false))
    #expect(chosen([5, 5, 5, 5], 1) == ([0], true))
    #expect(chosen([5, 4, 5, 3], 2) == ([0, 2], false))
    #expect(chosen([-1, -3, -2, -.infinity], 2) == ([0, 2], false))
    #expect(chosen([-1, .nan, 2, .infinity], 2) == ([1, 3], false))
  }

  /// With no more tokens than are chosen nothing differs from DeepSeek-V3, not even the last bit.
  @Test(arguments: ["tiny-v32", "tiny-glm5", "tiny-glm52"])
  func allKeysArePlainAttention(name: String) throws {
    var sample = try Sample(name)
    let tokens = [sample.tokens[0]]
    sample.config.indexer?.topK = tokens[0].count - 1
    let nearly = try sample.logits(threads: 2, of: tokens)
    sample.config.indexer?.topK = tokens[0].count
    let all = try sample.logits(threads: 2, of: tokens)
    sample.config.indexer = nil
    #expect(try sample.logits(threads: 2, of: tokens) == all)
    // One key of one query is missing before.
    #expect(nearly != all)
    #expect(nearly[0].dropLast(sample.config.vocabSize) == all[0].dropLast(sample.config.vocabSize))
  }

  /// Rows of each sequence by itself, blocks of queries, and strips of them on several threads.
  @Test(arguments: MemoryPlan.all) func divisionDoesNotShow(plan: MemoryPlan) throws {
    let sample = try Sample("tiny-glm52")
    let size = sample.config.vocabSize
    let long = TokenInput.sequence(count: 130, vocabSize: size)
    let expected = try sample.logits(threads: 1, of: [[1, 2, 3], long])
    #expect(try sample.logits(threads: 3, plan: plan, of: [[1, 2, 3], long]) == expected)
    #expect(
      try sample.logits(threads: 2, plan: plan, of: [long])[0][...]
        == expected[0].dropFirst(3 * size))
  }

  @Test func keysTravelWithTheStream() throws {
    let sample = try Sample("tiny-glm52")
    let weights = try CheckpointWeights(sample.files.weights, config: sample.config, mtp: false)
    let network = Network(config: sample.config, weights: weights, threads: 1)
    let batch = try TokenBatch(sample.tokens, vocabSize: sample.config.vocabSize)
    let hidden = try network.embed(batch)
    var sets: [KeySets] = []
    for layer in 0..<sample.config.layers {
      _ = try network.layer(layer, hidden: hidden, batch: batch)
      let keys = try #require(hidden.chosenKeys)
      #expect(keys.ties == 0)
      sets.append(keys)
    }
    // full, full, shared, full, shared, shared
    #expect(sets[1].equals(sets[2]) && sets[3].equals(sets[4]) && sets[3].equals(sets[5]))
    #expect(!sets[0].equals(sets[1]) && !sets[1].equals(sets[3]))
    let lengths = batch.lengths()
    let all = (0..<lengths[0]).reduce(0) { $0 + min($1 + 1, 5) }
    let same = try #require(
      KeySets.overlap(reference: sets[1], candidate: sets[2], lengths: lengths))
    #expect(same == (all, all))
    let other = try #require(
      KeySets.overlap(reference: sets[1], candidate: sets[3], lengths: lengths))
    #expect(other.all == all && other.common < all && other.common >= lengths[0])
    let most = (lengths[0] * (lengths[0] + 1)) / 2
    let none = try #require(
      KeySets.overlap(reference: nil, candidate: sets[1], lengths: lengths))
    #expect(none == (all, most))
    #expect(KeySets.overlap(reference: nil, candidate: nil, lengths: lengths) == nil)
  }
}
