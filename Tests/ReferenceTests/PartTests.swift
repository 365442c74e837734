import Codecs
import Models
import Reference
import Testing
import Verification

/// The parts of the forward pass against what transformers and torch make of the same numbers.
@Suite struct PartTests {
  @Test(arguments: ["rotary.json", "router.json"]) func thereAreCases(file: String) throws {
    #expect(try Fixture.cases(file).count > 1)
  }

  /// Frequencies may differ in the last bit of F32, as powers are rounded differently; cosines and
  /// sines then differ by that times the position.
  @Test(arguments: try Fixture.cases("rotary.json"))
  func rotaryTablesEqualThoseOfTransformers(fixture: Fixture) throws {
    let rotary = Rotary(try fixture.config())
    let frequencies = rotary.frequencies.map { Double($0) }
    #expect(largestError(frequencies, fixture.numbers("frequencies"), floor: 1e-30) < 2.5e-7)
    #expect(abs(Double(rotary.tableFactor) - fixture.number("tableFactor")) < 1e-6)
    let scale = fixture.number("softmaxScale")
    #expect(abs(Double(rotary.softmaxScale) / scale - 1) < 1e-7)
    let positions = fixture.integers("positions")
    let table = rotary.table(positions: positions)
    #expect(!positions.isEmpty && !frequencies.isEmpty)
    for (name, found) in [("cosines", table.cosines), ("sines", table.sines)] {
      let rows = fixture.rows(name)
      #expect(rows.count == positions.count && rows.allSatisfy { !$0.isEmpty }, "\(name)")
      for (row, expected) in rows.enumerated() {
        let bound = 1e-6 + 2.5e-7 * Double(positions[row])
        let error = largestError(found[row].map { Double($0) }, expected, floor: 1)
        #expect(error < bound, "\(name) of position \(positions[row])")
      }
    }
  }

  /// transformers leaves interleaved pairs as two halves; here they stay where they were.
  @Test(arguments: try Fixture.cases("rotary.json"))
  func rotationsEqualThoseOfTransformers(fixture: Fixture) throws {
    let rotary = Rotary(try fixture.config())
    let x = fixture.activations("x")
    let table = (
      cosines: fixture.activations("cosines"), sines: fixture.activations("sines")
    )
    let pairs = x.columns / 2
    let rotated = fixture.rows("rotated")
    #expect(rotated.count == x.rows && x.rows > 0 && pairs > 0)
    for (row, expected) in rotated.enumerated() {
      rotary.rotate(x[row].baseAddress!, table.cosines[row], table.sines[row])
      let found = (0..<x.columns).map { index in
        let (pair, half) = (index % pairs, index / pairs)
        return Double(x[row][rotary.isInterleaved ? 2 * pair + half : index])
      }
      #expect(largestError(found, expected, floor: 1) < 1e-6)
    }
  }

  @Test(arguments: try Fixture.cases("router.json"), KernelLevel.available)
  func routingEqualsThatOfTransformers(fixture: Fixture, level: KernelLevel) throws {
    let bias = fixture.numbers("bias").map { Float($0) }
    let routing = Router(try fixture.config()).route(
      fixture.activations("logits"), bias: bias, level: level)
    let (experts, weights) = (fixture.rows("experts"), fixture.rows("weights"))
    #expect(!experts.isEmpty && experts.count == weights.count)
    #expect(routing.experts.count == experts.count * routing.choices && routing.choices > 0)
    for token in experts.indices {
      let start = token * routing.choices
      let order = (start..<start + routing.choices).sorted {
        routing.experts[$0] < routing.experts[$1]
      }
      #expect(order.map { Double(routing.experts[$0]) } == experts[token])
      let found = order.map { Double(routing.weights[$0]) }
      #expect(largestError(found, weights[token], floor: 1e-6) < 1e-6)
    }
  }

  /// Nothing that a router is given may stop it, and ties go to the lower index.
  @Test func routingStaysDefinedWithoutNumbers() throws {
    let config = try #require(try Fixture.cases("router.json").first).config()
    let logits = Activations(rows: 2, columns: config.routedExperts)
    logits[1].update(repeating: .nan)
    let bias = [Float](repeating: 0, count: config.routedExperts)
    let routing = Router(config).route(logits, bias: bias, level: .best)
    #expect(routing.experts.count == 2 * config.expertsPerToken)
    #expect(Array(routing.experts.prefix(config.expertsPerToken)) == [0, 1, 2, 3])
    #expect(Set(routing.experts.suffix(config.expertsPerToken)).count == config.expertsPerToken)
  }

  @Test func agreementCountsExpertsInCommon() {
    let one = Routing(choices: 2, experts: [0, 1, 2, 3], weights: [1, 1, 1, 1])
    let other = Routing(choices: 2, experts: [1, 0, 3, 4], weights: [1, 1, 1, 1])
    #expect(one.agreement(with: one) == 1)
    #expect(one.agreement(with: other) == 0.75)
  }
}
