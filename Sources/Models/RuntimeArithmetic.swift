/// What a runtime rounds where the pass in F32 does not, so that what its users will get can be
/// measured.
///
/// Sums stay in F32, in this pass's order: rounding what is multiplied is what tells runtimes apart.
package enum RuntimeArithmetic: String, Sendable, CaseIterable {
  /// llama.cpp on a CPU: each row of activations becomes blocks of 8-bit codes before it meets
  /// quantized weights, 32 values a scale for the older types and 256 for those with superblocks
  /// (`vec_dot_type` of ggml's type traits), F16 or BF16 before it meets those; the cache holds F16.
  case llamaCpp = "llama.cpp"
  /// DeepSeek's inference code (`act_quant` in its `kernel.py`), as vLLM's block-wise products: BF16
  /// activations, which become FP8 with a scale per 128 of a row before they meet FP8 weights.
  case deepSeekFP8 = "deepseek-fp8"
  /// mlx-lm: all activations are 16-bit numbers, of the kind that the checkpoint's plain weights are.
  case mlx

  /// What of DeepSeek-V4's network is not imitated; nil where all that the runtime rounds is.
  package var partOfStreamsNotImitated: String? {
    switch self {
    case .llamaCpp: nil
    case .deepSeekFP8:
      "DeepSeek's code keeps its keys in FP8 and its indexer's in FP4, with scales that are "
        + "powers of two"
    case .mlx: "mlx-lm has no such network"
    }
  }
}
