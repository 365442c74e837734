/// What a tensor is called and how it is stored: what a writer needs to know of it.
public struct TensorInfo: Sendable {
  /// Its name in the file.
  public let name: String
  /// Storage of its elements.
  public let type: ElementType
  /// Its dimensions, outermost first: the last one counts neighbours in memory. GGUF files have them
  /// the other way round.
  public let shape: [Int]

  /// Describes a tensor.
  public init(_ name: String, _ type: ElementType, _ shape: [Int]) {
    self.name = name
    self.type = type
    self.shape = shape
  }
}

extension TensorInfo: CustomStringConvertible {
  /// One line: `lm_head.weight BF16 [32, 64]`.
  public var description: String { "\(name) \(type) \(shape)" }
}
