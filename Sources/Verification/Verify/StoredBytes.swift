internal import Formats
internal import Models
internal import Platform
internal import Tensors
internal import Weights

/// Bytes that each weight of a model takes in its files, scales included.
///
/// What a stored tensor holds of several weights, as a stack of experts does, is divided among them
/// by their elements.
struct StoredBytes {
  private var shares: [ExactText: Double] = [:]

  init(_ weights: SourceWeights) {
    var elements = [Int](repeating: 0, count: weights.inventory.tensors.count)
    for weight in weights.all {
      weight.assembly.forEachStored { elements[$0.index] += weight.shape.elementCount }
    }
    for weight in weights.all {
      var bytes = 0.0
      weight.assembly.forEachStored {
        let share = Double(weight.shape.elementCount) / Double(max(1, elements[$0.index]))
        bytes += share * Double($0.byteCount)
      }
      shares[weight.name] = bytes
    }
  }

  /// Of some weights, by their Hugging Face names; of one that is not there nothing.
  func count(of names: some Sequence<String>) -> Int {
    Int(names.reduce(0) { $0 + (shares[ExactText($1)] ?? 0) }.rounded())
  }

  /// By layer, MTP layers included, under their stored indices.
  func layers(of config: ModelConfig) -> [Int: Int] {
    var names: [Int: [String]] = [:]
    for tensor in config.expectedTensors() where tensor.storage != .scale {
      if let layer = tensor.layer { names[layer, default: []].append(tensor.name.text) }
    }
    return names.mapValues { count(of: $0) }
  }
}
