internal import Platform

extension ModelConfig {
  /// llama.cpp's multiplier of YaRN's temperature, a tenth of `mscale_all_dim`.
  ///
  /// Where YaRN changes frequencies alone it is next to nothing: for `deepseek2` llama.cpp then leaves
  /// the softmax, sines and cosines as they are, where for 0, and without the key, it scales all of
  /// them.
  var yarnMultiplier: Double? {
    guard let yarn else { return nil }
    guard yarn.mscaleAllDimensions ?? 0 == 0, yarn.tableFactor == 1,
      architecture.ggufName == Architecture.deepSeekV3.ggufName
    else { return yarn.mscaleAllDimensions.map { 0.1 * $0 } }
    return YaRN.leastMultiplier
  }
}

extension ModelConfig.YaRN {
  /// What stands for no temperature in llama.cpp's files.
  static let leastMultiplier = 1e-20

  /// The factor on sines and cosines: given, or the quotient of both temperatures, or the paper's.
  package var tableFactor: Double {
    if let attentionFactor { return attentionFactor }
    if let mscale, let all = mscaleAllDimensions, mscale != 0, all != 0 {
      return temperature(mscale) / temperature(all)
    }
    return temperature(1)
  }

  /// How much an extended context sharpens the attention, by a multiplier such as
  /// `mscaleAllDimensions`; the softmax scale takes its square.
  package func temperature(_ multiplier: Double) -> Double {
    factor <= 1 ? 1 : 0.1 * multiplier * Mathematics.log(factor) + 1
  }
}
