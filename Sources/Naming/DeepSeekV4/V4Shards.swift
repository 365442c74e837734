internal import Models
package import Platform
internal import Tensors

/// DeepSeek's own shards of DeepSeek-V4, `model{i}-mp{n}.safetensors`: names are the published ones,
/// those of the layers that predict among them.
///
/// Source: the network's `inference/convert.py` and `ModelArgs` of its `inference/model.py`.
package enum V4Shards {
  /// What shards have parts of, by the name of the module, or of the tensor where it is none's; scales
  /// go with their weights.
  private static let divisions: [ExactText: NativeNames.Division] = [
    "embed": .rows, "head": .rows, "wq_b": .rows, "wo_a": .rows, "wo_b": .columns,
    "attn_sink": .rows, "weights_proj": .rows,
  ]

  /// What a tensor of a published name is in the shards.
  package static func translation(of published: ExactText) -> NativeNames.Translation {
    let parts = published.split(separator: ".")
    if let place = parts.firstIndex(of: "experts"), place + 1 < parts.count,
      let expert = Int(parts[place + 1].text)
    {
      return NativeNames.Translation(name: published, division: .expert, expert: expert)
    }
    let division = parts.suffix(2).reversed().lazy.compactMap { divisions[$0] }.first
    return NativeNames.Translation(
      name: published, division: division ?? .replicated, expert: nil)
  }

  /// The network's config in the keys of `ModelArgs`, in their order. What a run decides, the room for
  /// tokens and sequences, is left out.
  static func config(_ config: ModelConfig) -> JSONObject {
    guard let v4 = config.v4 else { return JSONObject() }
    let ratios = (0..<max(v4.kinds.count, config.storedLayers)).map {
      JSONValue.integer(v4.ratio(ofLayer: $0) ?? 0)
    }
    return [
      "dtype": .string(config.fp8 == nil ? "bf16" : "fp8"),
      "scale_fmt": config.fp8?.powerOfTwoScales == true ? .string("ue8m0") : .null,
      "expert_dtype": v4.hasFP4Experts ? .string("fp4") : .null,
      "vocab_size": .integer(config.vocabSize), "dim": .integer(config.hiddenSize),
      "moe_inter_dim": .integer(config.moeIntermediateSize), "n_layers": .integer(config.layers),
      "n_hash_layers": .integer(config.hashLayers ?? 0),
      "n_mtp_layers": .integer(config.mtpLayers), "n_heads": .integer(config.heads),
      "n_routed_experts": .integer(config.routedExperts),
      "n_shared_experts": .integer(config.sharedExperts),
      "n_activated_experts": .integer(config.expertsPerToken),
      "score_func": .string(config.scoring.rawValue),
      "route_scale": .number(shortest(config.routedScalingFactor)),
      "swiglu_limit": .number(shortest(v4.activationLimit)),
      "q_lora_rank": .integer(config.queryRank ?? 0), "head_dim": .integer(config.keyValueRank),
      "rope_head_dim": .integer(config.ropeHeadSize),
      "norm_eps": .number(shortest(config.rmsNormEpsilon)),
      "o_groups": .integer(v4.outputGroups), "o_lora_rank": .integer(v4.outputRank),
      "window_size": .integer(v4.window), "compress_ratios": .array(ratios),
      "compress_rope_theta": .number(v4.compressTheta),
      // Without YaRN it is 0.
      "original_seq_len": .integer(config.yarn?.originalContextLength ?? 0),
      "rope_theta": .number(config.ropeTheta), "rope_factor": .number(config.yarn?.factor ?? 1),
      "beta_fast": .number(config.yarn?.betaFast ?? 32),
      "beta_slow": .number(config.yarn?.betaSlow ?? 1),
      "index_n_heads": .integer(v4.indexHeads), "index_head_dim": .integer(v4.indexHeadSize),
      "index_topk": .integer(v4.indexTopK), "hc_mult": .integer(v4.streams),
      "hc_sinkhorn_iters": .integer(v4.sinkhornSteps),
      "hc_eps": .number(shortest(v4.streamEpsilon)),
    ]
  }

  /// A number as people wrote it.
  private static func shortest(_ value: Float) -> Double { Double("\(value)") ?? Double(value) }

  /// Whether a `config.json` beside shards is of this network, in its code's keys or Hugging Face's:
  /// no other has ratios of compression.
  package static func isConfig(_ document: JSONValue) -> Bool {
    document["compress_ratios"] != nil || document["hc_mult"] != nil
  }
}

extension LoaderLimit {
  /// What has no key in DeepSeek-V4's own config.
  static let nativeKeysOfV4: [LoaderLimit] = [
    LoaderLimit { config in
      guard let factor = config.yarn?.tableFactor, abs(factor - 1) > 1e-9 else { return nil }
      return "DeepSeek's config has no key for the factor on sines and cosines, here \(factor): "
        + "its code computes with 1"
    },
    LoaderLimit { config in
      guard config.contextLength != V4Shards.length(of: config.yarn) else { return nil }
      return
        "DeepSeek's config has no key for max_position_embeddings, here \(config.contextLength)"
    },
  ]
}
