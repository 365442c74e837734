package import Platform

/// The numbers by which llama.cpp multiplies what comes of a matrix, in tensors beside its own.
///
/// Its loader takes such tensors for any architecture; whether a number counts is the graph's choice.
/// Source: llama.cpp of llama-cpp-python 0.3.36, `load_tensors`, and the graphs of `deepseek32` and
/// `glm-dsa`, which hand these numbers on; that of `deepseek2` has them for `attn_output` alone.
extension ModelConfig {
  /// llama.cpp's architectures that multiply by them.
  private static let multiplyingArchitectures: Set<String> = ["deepseek32", "glm-dsa"]
  /// Their matrices, and stacks with a number for each expert.
  private static let multipliedTensors: Set<ExactText> = [
    "attn_output", "ffn_gate", "ffn_up", "ffn_down", "ffn_gate_shexp", "ffn_up_shexp",
    "ffn_down_shexp", "ffn_gate_exps", "ffn_up_exps", "ffn_down_exps",
  ]
  private static let ending: ExactText = ".weight"
  /// What activations are scaled by before they become FP4: weights do not depend on it.
  private static let inputEnding: ExactText = ".input_scale"

  /// The tensor with the numbers of a matrix, or of each expert of a stack; nil for a matrix that
  /// llama.cpp multiplies by none.
  package func scaleName(ofGGUF name: ExactText) -> ExactText? {
    multipliedStem(of: name, ending: ModelConfig.ending).map { $0 + ".scale" }
  }

  /// The matrix whose numbers, or those of its activations, a tensor of such a name holds; nil for other
  /// names.
  package func matrixName(ofGGUFScale name: ExactText) -> ExactText? {
    [".scale", ModelConfig.inputEnding].lazy.compactMap { multipliedStem(of: name, ending: $0) }
      .first.map { $0 + ModelConfig.ending }
  }

  /// Whether a name is that of numbers about activations.
  package static func isInputScale(ofGGUF name: ExactText) -> Bool {
    name.hasSuffix(inputEnding)
  }

  private func multipliedStem(of name: ExactText, ending: ExactText) -> ExactText? {
    guard ModelConfig.multiplyingArchitectures.contains(architecture.ggufName),
      let stem = name.without(suffix: ending), let last = stem.split(separator: ".").last,
      ModelConfig.multipliedTensors.contains(last)
    else { return nil }
    return stem
  }
}
