internal import Models
internal import Platform

extension LoaderLimit {
  /// What is known of llama.cpp's loader of `deepseek4` and its graph, as of October 2026.
  static let llamaOfV4: [LoaderLimit] = [
    LoaderLimit { config in
      guard let streams = config.v4?.streams, streams != 4 else { return nil }
      return "llama.cpp stops where there are not 4 residual streams, and there are \(streams)"
    },
    LoaderLimit { config in
      guard let v4 = config.v4, v4.kinds.contains(.sparse), v4.indexHeadSize % 64 != 0 else {
        return nil
      }
      return "llama.cpp turns the indexer's keys by a matrix of 64 × 64 and more, and stops where "
        + "index_head_dim is no multiple of 64, as \(v4.indexHeadSize)"
    },
    LoaderLimit { config in
      guard let factor = config.yarn?.tableFactor, abs(factor - 1) > 1e-6 else { return nil }
      return "llama.cpp never scales sines and cosines for deepseek4; the model's YaRN scales them "
        + "by \(factor): logits differ"
    },
    LoaderLimit { config in
      guard let yarn = config.yarn, yarn.betaFast != 32 || yarn.betaSlow != 1 else { return nil }
      return "llama.cpp does not read yarn_beta_fast and yarn_beta_slow for deepseek4 and takes 32 "
        + "and 1, the model has \(yarn.betaFast) and \(yarn.betaSlow): positions are rotated "
        + "otherwise there, and logits differ"
    },
  ]
}
