import Codecs
import Models
import Reference
import Testing

/// What runtimes round, against ggml and torch.
@Suite struct RoundingTests {
  typealias Rounding = RuntimeArithmetic.Rounding

  static let roundings: [(name: String, rounding: Rounding)] = [
    ("bytes", .bytes), ("signedBytes", .signedBytes), ("fp8", .fp8(powersOfTwo: false)),
    ("fp8ByPowersOfTwo", .fp8(powersOfTwo: true)), ("bf16", .bf16), ("f16", .f16),
  ]

  @Test(arguments: roundings)
  func rowsBecomeWhatPeersMakeOfThem(name: String, rounding: Rounding) throws {
    let cases = try Fixture.cases("rounding.json")
    #expect(cases.count == 4)
    for fixture in cases {
      let row = fixture.numbers("values").map { Float($0) }
      let expected = fixture.numbers(name).map { Float($0) }
      #expect(expected.count == row.count && row.count == 512 && expected != row)
      let found = Activations(rows: 1, columns: row.count)
      _ = found[0].update(fromContentsOf: row)
      rounding.apply(to: MutableFloatMatrix(found[0].baseAddress!, rows: 1, columns: row.count))
      #expect(found.array == expected)
    }
  }
}
