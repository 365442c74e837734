extension LoaderLimit {
  /// What is known of llama.cpp's loader of `deepseek2` and its graph, as of October 2026.
  package static let llama: [LoaderLimit] = [
    LoaderLimit { config in
      config.mtpLayers > 1
        ? "llama.cpp runs one MTP layer, and there are \(config.mtpLayers)" : nil
    },
    LoaderLimit { config in
      config.attentionBias
        ? "llama.cpp does not know the biases of the attention and will not load this" : nil
    },
    LoaderLimit { config in
      guard config.queryRank == nil, !isLite(config) else { return nil }
      return
        "llama.cpp loads a model without q_lora_rank only if it has 26 or 27 layers, or 48 and "
        + "128256 tokens, not \(config.layers)"
    },
    LoaderLimit { config in
      guard config.queryRank != nil, isLite(config), config.indexer == nil else { return nil }
      return "llama.cpp takes a model of \(config.layers) layers for one without q_lora_rank and "
        + "will not load this"
    },
    LoaderLimit { config in
      guard let factor = config.yarn?.tableFactor, abs(factor - 1) > 1e-6 else { return nil }
      return "llama.cpp never scales sines and cosines for deepseek2; the model's YaRN scales them "
        + "by \(factor), by attention_factor or by what mscale and mscale_all_dim come to: logits "
        + "differ"
    },
    LoaderLimit { config in
      // Of these llama.cpp takes mscale for 1.
      guard let yarn = config.yarn, yarn.mscaleAllDimensions ?? 0 != 1,
        config.architecture.ggufName != Architecture.deepSeekV3.ggufName
      else { return nil }
      return "llama.cpp takes mscale for 1 for \(config.architecture.ggufName), and the model's "
        + "mscale_all_dim is \(yarn.mscaleAllDimensions ?? 0): sines and cosines are scaled there, "
        + "and logits differ"
    },
    llamaBetas(of: "deepseek2"),
    LoaderLimit { config in
      config.yarn?.truncate == false
        ? "llama.cpp rounds YaRN's range of dimensions, the model does not: logits differ" : nil
    },
    LoaderLimit { config in
      guard config.selection == .groupsByBest, config.chosenGroups < config.expertGroups,
        config.expertGroups < config.routedExperts
      else { return nil }
      return
        "llama.cpp ranks groups of experts by the sum of their two best, the model by the best "
        + "one alone: tokens go to other experts there, and logits differ"
    },
    LoaderLimit { config in
      config.rmsNormEpsilon == 1e-6
        ? nil
        : "llama.cpp computes q_a_layernorm and kv_a_layernorm with the epsilon of the other norms, "
          + "\(config.rmsNormEpsilon), and the model has 1e-06 there: small latents differ"
    },
    LoaderLimit { config in
      config.architecture.hasDensePredictors && config.mtpLayers > 0
        ? "llama.cpp runs no MTP layer without experts: use --mtp drop" : nil
    },
    LoaderLimit { config in
      guard let indexer = config.indexer,
        indexer.ropeInterleaved != config.architecture.indexing?.isInterleaved
      else { return nil }
      return "llama.cpp does not read indexer_rope_interleave \(indexer.ropeInterleaved) and "
        + "rotates the indexer the other way for \(config.architecture.ggufName): queries see other "
        + "keys there"
    },
    LoaderLimit { config in
      config.yarn != nil && config.architecture.ggufName == Architecture.glmMoeDSA.ggufName
        ? "llama.cpp does not read yarn_log_multiplier for glm-dsa: attention is not as sharp there, "
          + "and logits differ" : nil
    },
    llamaIndexer { $0.indexer?.headSize },
    LoaderLimit { config in
      guard let indexer = config.indexer, config.mtpLayers > 0 else { return nil }
      return
        "llama.cpp's MTP layer sees all keys, the model's the \(indexer.topK) that its indexer "
        + "chooses: guesses differ beyond so many tokens"
    },
  ]

  /// llama.cpp's way with the bounds of YaRN's range, in files of an architecture.
  package static func llamaBetas(of architecture: String) -> LoaderLimit {
    LoaderLimit { config in
      guard let yarn = config.yarn, yarn.betaFast != 32 || yarn.betaSlow != 1 else { return nil }
      return "llama.cpp does not read yarn_beta_fast and yarn_beta_slow for \(architecture) and "
        + "takes 32 and 1, the model has \(yarn.betaFast) and \(yarn.betaSlow): positions are "
        + "rotated otherwise there, and logits differ"
    }
  }

  /// llama.cpp's way with the keys of an indexer.
  ///
  /// - Parameter size: their width; nil where there is no indexer.
  package static func llamaIndexer(
    _ size: @escaping @Sendable (ModelConfig) -> Int?
  ) -> LoaderLimit {
    LoaderLimit { config in
      guard let size = size(config), size % 64 != 0 else { return nil }
      return "llama.cpp turns the indexer's keys by a matrix of 64 × 64 and more, and stops where "
        + "index_head_dim is no multiple of 64, as \(size)"
    }
  }

  /// Sizes by which llama.cpp tells models without `q_lora_rank`.
  private static func isLite(_ config: ModelConfig) -> Bool {
    [26, 27].contains(config.layers) || config.layers == 48 && config.vocabSize == 128_256
  }
}
