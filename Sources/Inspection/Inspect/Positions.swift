internal import Models
internal import Platform
internal import Reports

extension ModelConfig {
  /// How positions are turned into rotations, in a line: `base 10,000; YaRN 40 times 4,096, …`.
  var positionsText: String {
    let base = "base \(ModelConfig.short(ropeTheta))" + (ropeInterleaved ? "" : ", half-split")
    let short = ModelConfig.short
    let temperature =
      queryTemperature.map {
        "; queries × (1 + \(short($0.beta)) ln steps), a step each \(Quantity.count($0.length))"
      } ?? ""
    guard let yarn else { return "\(base); no extension\(temperature)" }
    let further = [
      yarn.mscale.map { "mscale \(short($0))" },
      yarn.mscaleAllDimensions.map { "mscale_all_dim \(short($0))" },
      yarn.attentionFactor.map { "attention_factor \(short($0))" },
      yarn.truncate ? nil : "not truncated",
    ].compactMap { $0 }
    return "\(base); YaRN \(short(yarn.factor)) times "
      + "\(Quantity.count(yarn.originalContextLength)), betas \(short(yarn.betaFast)) and \(short(yarn.betaSlow))"
      + further.map { ", \($0)" }.joined() + temperature
  }

  /// The same as values.
  var positions: JSONValue {
    func number(_ value: Double?) -> JSONValue { value.map { .number($0) } ?? .null }
    var document: JSONObject = [
      "ropeTheta": .number(ropeTheta), "interleaved": .bool(ropeInterleaved),
      "context": .integer(contextLength),
      "yarn": yarn.map { yarn in
        .object([
          "factor": .number(yarn.factor), "originalContext": .integer(yarn.originalContextLength),
          "betaFast": .number(yarn.betaFast), "betaSlow": .number(yarn.betaSlow),
          "truncate": .bool(yarn.truncate), "mscale": number(yarn.mscale),
          "mscaleAllDim": number(yarn.mscaleAllDimensions),
          "attentionFactor": number(yarn.attentionFactor),
        ])
      } ?? .null,
    ]
    document["queryTemperature"] = queryTemperature.map {
      .object(["beta": .number($0.beta), "length": .integer($0.length)])
    }
    return .object(document)
  }

  /// A number without needless zeros, whole ones in groups of three digits.
  private static func short(_ value: Double) -> String {
    Int(exactly: value).map(Quantity.count) ?? "\(value)"
  }
}
