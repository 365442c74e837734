package import Platform
package import Tensors

/// Names, shapes and types of two checkpoints' weights beside each other, from headers alone.
package struct HeaderDifferences: Sendable {
  /// A tensor that both have.
  package struct Pair: Sendable {
    /// Hugging Face name.
    package let name: ExactText
    /// Dimensions in the first checkpoint, outermost first.
    package let shapeA: Shape
    /// Dimensions in the second one.
    package let shapeB: Shape
    /// How the first checkpoint stores it.
    package let typeA: ElementType
    /// How the second one does.
    package let typeB: ElementType
    /// Bytes that it takes in the first checkpoint, scales apart.
    package let bytesA: Int
    /// Bytes that it takes in the second one.
    package let bytesB: Int
  }

  /// Tensors that both have, in the order of their names.
  package let pairs: [Pair]
  /// Names that the first alone has.
  package let onlyInA: [ExactText]
  /// Names that the second alone has.
  package let onlyInB: [ExactText]

  /// Reads nothing but what was read when the checkpoints were opened.
  ///
  /// - Parameter keep: names to compare.
  /// - Throws: what keeps a tensor from being a weight of its network.
  package init(
    _ left: SourceWeights, _ right: SourceWeights, keep: (String) -> Bool
  ) throws(Fault) {
    for weights in [left, right] {
      for (name, fault) in weights.faults.sorted(by: { $0.key < $1.key }) where keep(name.text) {
        throw fault
      }
    }
    let ours = left.all.filter { keep($0.name.text) }
    onlyInA = ours.map(\.name).filter { right[$0] == nil }.sorted()
    onlyInB = right.all.map(\.name).filter { keep($0.text) && left[$0] == nil }.sorted()
    pairs = ours.compactMap { one in
      right[one.name].map { other in
        Pair(
          name: one.name, shapeA: one.shape, shapeB: other.shape, typeA: one.type,
          typeB: other.type, bytesA: one.byteCount, bytesB: other.byteCount)
      }
    }.sorted { $0.name < $1.name }
  }
}
