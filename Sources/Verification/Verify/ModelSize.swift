internal import Formats
internal import Models
package import Passes
internal import Tensors
internal import Weights

/// How much room a model's weights take.
package struct ModelSize: Sendable, Hashable {
  /// Bytes of all tensors, as they are stored.
  package let bytes: Int
  /// Weights that they stand for.
  package let parameters: Int

  /// Stored bits for each weight, scales and what else is stored beside them included.
  package var bitsPerWeight: Double { 8 * Double(bytes) / Double(max(1, parameters)) }

  /// Says how large a model is.
  package init(bytes: Int, parameters: Int) { (self.bytes, self.parameters) = (bytes, parameters) }

  /// Adds a model's tensors up.
  ///
  /// - Parameter countsMTP: whether weights of layers that predict further tokens are counted.
  package init(_ files: ModelFiles, countsMTP: Bool = true) {
    bytes = files.inventory.tensors.reduce(0) { $0 + $1.byteCount }
    parameters = files.weights.all.reduce(0) { sum, weight in
      let isMTP = (ModelConfig.layer(of: weight.name) ?? -1) >= files.config.layers
      return isMTP && !countsMTP ? sum : sum + weight.shape.elementCount
    }
  }
}
