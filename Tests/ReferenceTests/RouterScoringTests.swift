import Codecs
import Models
import Reference
import Testing

/// A router that takes a softmax, which no checkpoint of the family does and wrong configs say.
@Suite struct RouterScoringTests {
  @Test(arguments: KernelLevel.available) func softmaxScoresShareOne(level: KernelLevel) throws {
    var config = try #require(try Fixture.cases("router.json").first).config()
    config.scoring = .softmax
    config.normalizeExpertWeights = false
    config.routedScalingFactor = 1
    config.expertGroups = 1
    config.chosenGroups = 1
    let logits = Activations(rows: 1, columns: config.routedExperts)
    for expert in 0..<config.routedExperts { logits[0][expert] = Float(expert % 5) }
    let sum = (0..<config.routedExperts).reduce(0.0) { $0 + exponential($1 % 5) }
    let routing = Router(config).route(
      logits, bias: [Float](repeating: 0, count: config.routedExperts), level: level)
    for (expert, weight) in zip(routing.experts, routing.weights) {
      #expect(abs(Double(weight) - exponential(expert % 5) / sum) < 1e-6)
    }
    #expect(routing.experts[0] == 4)
  }

  private func exponential(_ power: Int) -> Double {
    (0..<power).reduce(1.0) { product, _ in product * 2.718281828459045 }
  }
}
