internal import Conversion
internal import Dialects
internal import Models
internal import Passes
internal import Reports
internal import Tensors
internal import Weights

/// What rounding alone may account for: how the candidate stores what the reference stores.
enum StorageNote {
  /// Largest relative error of one rounding to nearest, as text; nil for types that hold every
  /// product of an FP8 value and an F32 scale, or that no weights are stored in.
  private static let roundings: [ElementType: String] = [
    .bf16: "2⁻⁹", .f16: "2⁻¹²", .f8E4M3: "2⁻⁴",
  ]

  /// One note per pair of types, those with the most tensors first; a single one where nothing
  /// differs.
  static func lines(reference: ModelFiles, candidate: ModelFiles) -> [String] {
    var pairs: [String: (from: ElementType, to: ElementType, isSame: Bool, tensors: Int)] = [:]
    for tensor in reference.config.expectedTensors() where tensor.storage != .scale {
      guard let weight = reference.weights[tensor.name],
        let to = candidate.weights[tensor.name]?.type, weight.type != to
      else { continue }
      let isSame = tensor.storage == .indices || weight.assembly.packing(into: to) != nil
      pairs[
        "\(weight.type.rawValue) \(to.rawValue) \(isSame)", default: (weight.type, to, isSame, 0)
      ].tensors += 1
    }
    if pairs.isEmpty { return ["both store every weight in the same type"] }
    return pairs.values.sorted {
      ($1.tensors, $0.from.rawValue, $0.to.rawValue) < (
        $0.tensors, $1.from.rawValue, $1.to.rawValue
      )
    }.map { pair in
      var effect = "nothing is rounded"
      if pair.to != .f32, !pair.isSame {
        effect = "rounded to nearest"
        if let bound = roundings[pair.to] {
          effect += ", each weight within \(bound) of itself (subnormals apart)"
        }
      }
      return "\(Quantity.plural(pair.tensors, "tensor")) of \(pair.from.rawValue) "
        + (pair.from == .f8E4M3 ? "with scales " : "") + "stored in \(pair.to.rawValue): \(effect)"
    }
  }
}
