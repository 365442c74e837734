import Reference
import Testing
import Verification

/// What `verify` measures, against torch in F64.
@Suite struct MetricsTests {
  /// The fixture's logits, which pass by in tiles of `tile` tokens of the vocabulary.
  private func metrics(
    _ reference: Activations, _ candidate: Activations, targets: [Int?], tile: Int
  ) -> LogitsMetrics {
    var positions = targets.map { PositionSums(target: $0) }
    for start in stride(from: 0, to: reference.columns, by: tile) {
      let end = min(start + tile, reference.columns)
      for row in positions.indices {
        positions[row].add(
          UnsafeMutableBufferPointer(rebasing: reference[row][start..<end]),
          UnsafeMutableBufferPointer(rebasing: candidate[row][start..<end]),
          vocabulary: start..<end)
      }
    }
    return LogitsMetrics(positions)
  }

  @Test(arguments: try Fixture.cases("metrics.json"), [1, 7, 1000])
  func measuresEqualThoseOfTorch(fixture: Fixture, tile: Int) {
    let found = metrics(
      fixture.activations("reference"), fixture.activations("candidate"),
      targets: fixture.integers("targets"), tile: tile)
    let measures: [(String, Double)] = [
      ("klMean", found.klMean), ("klMax", found.klMax), ("top1Agreement", found.top1Agreement),
      ("nmse", found.nmse), ("maxAbsDifference", found.maxAbsDifference),
      ("perplexityReference", found.perplexityReference),
      ("perplexityCandidate", found.perplexityCandidate),
      ("klError", found.statistics.klError), ("top1Error", found.statistics.top1Error),
      ("ratioError", found.statistics.perplexityRatioError),
      ("lossCorrelation", found.statistics.lossCorrelation),
      ("probabilityRms", found.statistics.probabilityRms),
      ("probabilityRmsError", found.statistics.probabilityRmsError),
    ]
    let percentiles = zip(found.statistics.klPercentiles, fixture.numbers("percentiles"))
    #expect(found.statistics.klPercentiles.map(\.name) == ["50", "90", "95", "99", "99.9", "max"])
    for (percentile, expected) in percentiles {
      #expect(abs(percentile.value - expected) <= 1e-9 * expected + 1e-14, "\(percentile.name)")
    }
    for (name, value) in measures {
      let expected = fixture.number(name)
      // A divergence of 10⁻¹³ is a difference of sums of about 1: torch's own error is as large.
      #expect(abs(value - expected) <= 1e-9 * abs(expected) + 1e-14, "\(name)")
    }
    #expect(found.nonFinite == 0 && found.tokens == fixture.rows("reference").count)
  }

  @Test func equalLogitsDoNotDiffer() {
    let logits = Activations(rows: 1, columns: 3)
    logits[0][1] = 4
    let found = metrics(logits, logits, targets: [nil], tile: 2)
    #expect(found.klMax == 0 && found.nmse == 0 && found.top1Agreement == 1)
    #expect(found.perplexityReference.isNaN, "no token follows")
    #expect(found.statistics.klError.isNaN, "one position has no spread")
    #expect(found.statistics.lossCorrelation.isNaN && found.statistics.probabilityRms.isNaN)
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity], [0, 1])
  func whatIsNotFiniteIsCountedAndMeasuresNothing(value: Float, side: Int) {
    let logits = (Activations(rows: 2, columns: 3), Activations(rows: 2, columns: 3))
    (side == 0 ? logits.0 : logits.1)[1][2] = value
    let found = metrics(logits.0, logits.1, targets: [0, nil], tile: 3)
    #expect(found.nonFinite == 1)
    let measures = [
      found.klMean, found.klMax, found.nmse, found.top1Agreement, found.maxAbsDifference,
      found.perplexityRatio, found.statistics.klError, found.statistics.top1Error,
      found.statistics.perplexityRatioError, found.statistics.probabilityRms,
      found.statistics.klPercentiles[5].value,
    ]
    #expect(measures.filter(\.isNaN).count == measures.count)
  }
}
