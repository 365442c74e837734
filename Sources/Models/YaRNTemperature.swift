internal import Platform

extension ModelConfig.YaRN {
  /// The factor on sines and cosines: given, or the quotient of both temperatures, or the paper's.
  public var tableFactor: Double {
    if let attentionFactor { return attentionFactor }
    if let mscale, let all = mscaleAllDimensions, mscale != 0, all != 0 {
      return temperature(mscale) / temperature(all)
    }
    return temperature(1)
  }

  /// How much an extended context sharpens the attention, by a multiplier such as
  /// `mscaleAllDimensions`; the softmax scale takes its square.
  public func temperature(_ multiplier: Double) -> Double {
    factor <= 1 ? 1 : 0.1 * multiplier * Mathematics.log(factor) + 1
  }
}
