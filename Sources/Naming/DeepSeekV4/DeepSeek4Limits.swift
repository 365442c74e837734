internal import Models
internal import Platform

extension LoaderLimit {
  /// What is known of llama.cpp's loader of `deepseek4` and its graph, as of October 2026.
  static let llamaOfV4: [LoaderLimit] = [
    LoaderLimit { config in
      guard let streams = config.v4?.streams, streams != 4 else { return nil }
      return "llama.cpp stops where there are not 4 residual streams, and there are \(streams)"
    },
    llamaIndexer { config in
      config.v4.flatMap { $0.kinds.contains(.sparse) ? $0.indexHeadSize : nil }
    },
    LoaderLimit { config in
      guard let factor = config.yarn?.tableFactor, abs(factor - 1) > 1e-6 else { return nil }
      return "llama.cpp never scales sines and cosines for deepseek4; the model's YaRN scales them "
        + "by \(factor): logits differ"
    },
    llamaBetas(of: "deepseek4"),
  ]
}
