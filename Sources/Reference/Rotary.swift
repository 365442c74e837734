package import Models
internal import Platform

/// Rotary positional encoding: the frequencies that a config implies, and the rotation.
///
/// Everything follows transformers 5.23 (`modeling_rope_utils`, `modeling_deepseek_v3`): tables are
/// F32, so that long positions round as they do there.
package struct Rotary: Sendable {
  /// Radians per position of each pair of dimensions: (rope / 2).
  package let frequencies: [Float]
  /// Factor on sine and cosine.
  package let tableFactor: Float
  /// Factor on query · key before the softmax.
  package let softmaxScale: Float
  /// Whether pairs are (2i, 2i + 1) rather than (i, i + d / 2).
  package let isInterleaved: Bool
  /// How queries are scaled by their positions.
  private let temperature: ModelConfig.QueryTemperature?

  /// Takes frequencies and factors, YaRN's included, from a config.
  package init(_ config: ModelConfig) {
    isInterleaved = config.ropeInterleaved
    temperature = config.queryTemperature
    let scale = Mathematics.pow(Double(config.queryHeadSize), -0.5)
    guard let yarn = config.yarn else {
      frequencies = Rotary.periods(config).map { 1 / $0 }
      tableFactor = 1
      softmaxScale = Float(scale)
      return
    }
    frequencies = Rotary.frequencies(config, yarn)
    tableFactor = Float(yarn.tableFactor)
    let mscale = yarn.mscaleAllDimensions ?? 0
    let correction = mscale == 0 ? 1 : yarn.temperature(mscale)
    softmaxScale = Float(scale * correction * correction)
  }

  /// θ^(2i / d) for each pair.
  private static func periods(_ config: ModelConfig) -> [Float] {
    stride(from: 0, to: config.ropeHeadSize, by: 2).map { dimension in
      let exponent = Float(dimension) / Float(config.ropeHeadSize)
      return Float(Mathematics.pow(config.ropeTheta, Double(exponent)))
    }
  }

  /// YaRN: high frequencies stay, low ones are divided by the factor, a ramp lies between.
  private static func frequencies(
    _ config: ModelConfig, _ yarn: ModelConfig.YaRN
  ) -> [Float] {
    let size = Double(config.ropeHeadSize)
    // transformers reads an explicit 0 as "not given".
    let fast = yarn.betaFast == 0 ? 32 : yarn.betaFast
    let slow = yarn.betaSlow == 0 ? 1 : yarn.betaSlow
    func dimension(rotations: Double) -> Double {
      let ratio = Double(yarn.originalContextLength) / (rotations * 2 * .pi)
      return size * Mathematics.log(ratio) / (2 * Mathematics.log(config.ropeTheta))
    }
    var low = dimension(rotations: fast)
    var high = dimension(rotations: slow)
    if yarn.truncate {
      low = low.rounded(.down)
      high = high.rounded(.up)
    }
    low = max(low, 0)
    high = min(high, size - 1)
    if low == high { high += 0.001 }
    return periods(config).enumerated().map { pair, period in
      let ramp = (Float(pair) - Float(low)) / Float(high - low)
      let kept = 1 - min(max(ramp, 0), 1)
      return 1 / (Float(yarn.factor) * period) * (1 - kept) + 1 / period * kept
    }
  }

  /// Cosines and sines of some positions: (positions, rope / 2) each.
  package func table(positions: [Int]) -> (cosines: Activations, sines: Activations) {
    let table = emptyTable(positions.count)
    fill(table, 0..<positions.count, positions)
    return table
  }

  /// Room for the table of so many positions.
  func emptyTable(_ count: Int) -> (cosines: Activations, sines: Activations) {
    (
      Activations(unwrittenRows: count, columns: frequencies.count),
      Activations(unwrittenRows: count, columns: frequencies.count)
    )
  }

  /// Some rows of a table of positions.
  func fill(
    _ table: (cosines: Activations, sines: Activations), _ rows: Range<Int>, _ positions: [Int]
  ) {
    for row in rows {
      let (cosines, sines) = (table.cosines[row], table.sines[row])
      for (pair, frequency) in frequencies.enumerated() {
        // The angle is rounded to F32 first, as transformers does.
        let angle = Double(Float(positions[row]) * frequency)
        cosines[pair] = Float(Mathematics.cos(angle)) * tableFactor
        sines[pair] = Float(Mathematics.sin(angle)) * tableFactor
      }
    }
  }

  /// What queries at some positions are multiplied by before the softmax: its scale, and their
  /// temperature.
  package func queryScales(positions: [Int]) -> [Float] {
    positions.map { softmaxScale * Float(temperature?.factor(at: $0) ?? 1) }
  }

  /// Rotates a vector (rope) in place by one row of the table, or back.
  ///
  /// An indexer may pair the dimensions otherwise than the attention beside it: `isInterleaved`.
  /// Interleaved pairs stay where they are; transformers moves them to halves, which changes no
  /// product of a query and a key since it does so to both.
  package func rotate(
    _ x: UnsafeMutablePointer<Float>, _ cosines: UnsafeMutableBufferPointer<Float>,
    _ sines: UnsafeMutableBufferPointer<Float>, isInterleaved: Bool? = nil, back: Bool = false
  ) {
    let isInterleaved = isInterleaved ?? self.isInterleaved
    let pairs = frequencies.count
    for pair in 0..<pairs {
      let first = isInterleaved ? 2 * pair : pair
      let second = isInterleaved ? first + 1 : pair + pairs
      let (a, b) = (x[first], x[second])
      let sine = back ? -sines[pair] : sines[pair]
      x[first] = a * cosines[pair] - b * sine
      x[second] = b * cosines[pair] + a * sine
    }
  }
}
