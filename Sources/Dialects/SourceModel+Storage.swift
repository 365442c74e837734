internal import Formats
internal import Models
internal import Tensors
internal import Weights

extension SourceModel {
  /// What is odd about how the weights are stored and no reason to stop, a line each, for whoever
  /// makes something else of them.
  package var storageNotes: [String] {
    guard gguf == nil else { return [] }
    var notes = [straysNote].compactMap { $0 }
    let isFP8 = weights.all.contains { $0.type == .f8E4M3 }
    if format == .safetensors, config.fp8 != nil, !isFP8 {
      notes.append(
        "config.json says that weights are in FP8, and none is: they are taken as they are stored; "
          + "--quant bf16 leaves that out of the output's config")
    }
    let rounded = config.expectedTensors().filter { tensor in
      guard tensor.storage == .float32, let weight = weights[tensor.name] else { return false }
      return [.bf16, .f16].contains(weight.type)
    }
    if let first = rounded.first {
      notes.append(
        "\(rounded.count) correction biases are stored in \(weights[first.name]?.type.rawValue ?? ""): "
          + "what was rounded stays so, and may send tokens to other experts than the source did")
    }
    return notes
  }
}
