internal import Tensors

/// GGML counts dimensions from the innermost one, everything else here from the outermost: this is
/// the one place where they are turned around.
enum GGUFShape {
  /// Most dimensions that GGML knows.
  static let rankLimit = 4

  /// Dimensions, outermost first, of a tensor that a file describes as `{ne[0], ne[1], …}`; nil
  /// where their product overflows.
  static func shape(ofExtents extents: [Int]) -> Shape? { Shape(extents.reversed()) }

  /// What a file says of a tensor of that shape.
  static func extents(of shape: Shape) -> [Int] { shape.dimensions.reversed() }
}
