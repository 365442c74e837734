internal import Codecs
internal import Models
package import Platform
package import Reference
internal import Tensors
package import Weights

/// Refuses numbers on the way through a network that are not finite: nothing after them means
/// anything. The fault names where they came up, and the tensor that they come from.
package struct FinitenessCheck: Sendable {
  private let weights: SourceWeights

  /// Takes the weights that a fault is looked for in.
  package init(_ weights: SourceWeights) { self.weights = weights }

  /// Looks at hidden states (tokens, hidden) after a layer.
  ///
  /// - Throws: `.malformed` where they are not finite.
  package func require(_ hidden: Activations, ofLayer layer: Int) throws(Fault) {
    try require(UnsafeBufferPointer(hidden.values), "layer \(layer)") {
      ModelConfig.layer(of: ExactText($0)) == layer
    }
  }

  /// Looks at hidden states after a step that uses these tensors.
  ///
  /// - Throws: as for a layer.
  package func require(_ hidden: Activations, _ place: String, _ names: [String]) throws(Fault) {
    try require(UnsafeBufferPointer(hidden.values), place, names.contains)
  }

  /// Looks at logits.
  ///
  /// - Throws: as for a layer.
  package func require(logits: UnsafeBufferPointer<Float>) throws(Fault) {
    try require(logits, "the head") {
      ["lm_head.weight", "model.embed_tokens.weight"].contains($0)
    }
  }

  private func require(
    _ values: UnsafeBufferPointer<Float>, _ place: String, _ isUsed: (String) -> Bool
  ) throws(Fault) {
    guard !VectorMath.isFinite(values) else { return }
    for weight in weights.all where isUsed(weight.name.text) {
      guard let (element, value) = try firstNonFinite(weight) else { continue }
      throw Fault(
        .malformed, "holds a number that is not finite, and so does what \(place) gives",
        file: weights.path(of: weight.assembly.first.tensor), tensor: weight.name,
        expected: "finite numbers", found: "\(value) as element \(element)")
    }
    throw Fault(
      .malformed, "what \(place) gives is not finite although its weights are: a sum overflows",
      expected: "finite numbers")
  }

  /// The first element of a weight that is no number, in the order of its rows.
  private func firstNonFinite(
    _ weight: SourceWeight
  ) throws(Fault) -> (element: Int, value: Float)? {
    let columns = max(1, weight.assembly.columns)
    let step = max(1, (1 << 18) / columns)
    for first in stride(from: 0, to: weight.assembly.rows, by: step) {
      try Interruption.check()
      let rows = first..<min(weight.assembly.rows, first + step)
      let buffer = try weights.values(weight, rows: rows)
      let found = withExtendedLifetime(buffer) { () -> (Int, Float)? in
        let values = buffer.bytes.bindMemory(to: Float.self)
        return values.firstIndex { !$0.isFinite }.map { (first * columns + $0, values[$0]) }
      }
      if let found { return found }
    }
    return nil
  }
}
