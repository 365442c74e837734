import Calibration
import Testing

/// The knapsack of a recipe, against all choices.
@Suite struct RecipeChoiceTests {
  /// Options as types give them: more bytes, less loss, and one that no choice should take.
  private func choice(groups: Int, seed: Int) -> RecipeChoice {
    RecipeChoice(
      groups: (0..<groups).map { group in
        (0..<4).map { option in
          let noise = (group * 37 + option * 101 + seed * 53) % 17
          return RecipeChoice.Option(
            bytes: 1000 + (group + 1) * 311 * option + noise,
            loss: Double(100 + noise) / Double((1 + option) * (1 + option) * (1 + group % 3)))
        } + [RecipeChoice.Option(bytes: 5000, loss: 1000)]
      })
  }

  private func all(_ choice: RecipeChoice) -> [[Int]] {
    choice.groups.reduce([[]]) { known, options in
      known.flatMap { start in options.indices.map { start + [$0] } }
    }
  }

  @Test(arguments: 0..<5, [0.0, 0.1, 0.5, 0.9, 1.0])
  func theBestOfAllIsFound(seed: Int, share: Double) throws {
    let choice = choice(groups: 5, seed: seed)
    let sizes = all(choice).map { choice.bytes(of: $0) }
    let (least, most) = (try #require(sizes.min()), try #require(sizes.max()))
    let budget = least + Int(share * Double(most - least))
    let found = try #require(choice.best(within: budget))
    #expect(choice.bytes(of: found) <= budget)
    let best = all(choice).filter { choice.bytes(of: $0) <= budget }.map { choice.loss(of: $0) }
      .min()
    #expect(choice.loss(of: found) == best, "the budget is less than 20,000 steps")
    // But for rounding.
    #expect(choice.bound(within: budget) <= choice.loss(of: found) * (1 + 1e-12))
    #expect(choice.best(within: least - 1) == nil)
  }

  /// Between what was measured the share of the sum changes as the logarithm does.
  @Test func whatIsExpectedIsInterpolated() {
    let joint = JointLoss([
      JointLoss.Point(sum: 0.04, measured: 0.04), JointLoss.Point(sum: 0.01, measured: 0.0025),
      JointLoss.Point(sum: 0, measured: 0),
    ])
    #expect(joint.predicted(0.04) == 0.04 && joint.predicted(0.08) == 0.08)
    #expect(abs(joint.predicted(0.01) - 0.0025) < 1e-15)
    #expect(abs(joint.predicted(0.001) - 0.00025) < 1e-15)
    // Half the way: half of the sum is left.
    #expect(abs(joint.predicted(0.02) - 0.01) < 1e-15)
    #expect(joint.predicted(0) == 0 && JointLoss([]).predicted(0.5) == 0.5)
    let sum = joint.sum(predicting: 0.01, atMost: 1)
    #expect(abs(sum - 0.02) < 1e-12 && joint.predicted(sum) <= 0.01)
    #expect(joint.sum(predicting: 2, atMost: 1) == 1)
  }

  @Test(arguments: 0..<5)
  func theSmallestThatLosesSoLittleIsFound(seed: Int) throws {
    let choice = choice(groups: 5, seed: seed)
    let losses = all(choice).map { choice.loss(of: $0) }
    let least = try #require(losses.min())
    for limit in [least, least * 2, least * 5] {
      let found = try #require(choice.smallest(losing: limit))
      #expect(choice.loss(of: found) <= limit)
      let best = try #require(
        all(choice).filter { choice.loss(of: $0) <= limit }.map { choice.bytes(of: $0) }.min())
      #expect(Double(choice.bytes(of: found)) <= Double(best) * 1.001)
    }
    #expect(choice.smallest(losing: least * 0.99) == nil)
  }
}
