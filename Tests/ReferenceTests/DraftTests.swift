import Passes
import Testing

/// How often an MTP layer's first choice is the main model's.
@Suite struct DraftTests {
  @Test func depthsAreComparedWithTheRowThatHasSeenTheTokensBetween() {
    // Two sequences of 4 and 2 tokens; depth 1 has 3 and 1 rows, depth 2 has 2 and none.
    let main = [1, 2, 3, 4, 5, 6]
    let found = Drafts.kept(lengths: [4, 2], tops: [main, [2, 3, 9, 6], [3, 9]])
    #expect(found.map(\.positions) == [4, 2])
    #expect(found.map(\.kept) == [3, 1])
  }

  @Test func sequencesThatAreTooShortHaveNone() {
    let found = Drafts.kept(lengths: [1, 1], tops: [[7, 8], []])
    #expect(found.map(\.positions) == [0] && found.map(\.kept) == [0])
    #expect(Drafts.kept(lengths: [3], tops: [[1, 2, 3]]).isEmpty)
  }
}
