internal import Tensors

/// How a file stores the elements of a tensor.
///
/// A name that a file gives its type, and what follows from it: which of the two formats has it and
/// how many bytes elements take. Types that stand in GGUF files of other programs and times have
/// names and no sizes.
public struct ElementType: Hashable, Sendable {
  /// The type as the modules inside know it.
  let inner: Tensors.ElementType

  init(_ inner: Tensors.ElementType) { self.inner = inner }

  /// The type of that name, as safetensors headers and llama.cpp write it: `BF16`, `F8_E4M3`, `Q4_K`;
  /// nil where there is none.
  public init?(named name: String) {
    guard let type = ElementType.all.first(where: { $0.inner.rawValue == name }) else { return nil }
    self = type
  }

  /// Every type that files may be written with.
  public static let all = Tensors.ElementType.allCases
    .filter { !$0.isForeign && !$0.isPackedCode }.map { ElementType($0) }

  /// The name: `BF16`, `Q4_K`.
  public var name: String { inner.rawValue }

  /// Whether safetensors files may have it.
  public var isInSafetensors: Bool { Tensors.ElementType(safetensorsName: name) != nil }

  /// The number that GGUF files use for it; nil where they have none.
  public var ggmlNumber: UInt32? { inner.ggmlID }

  /// Elements that are stored together, of which a row is a whole number: 1 for types whose elements
  /// stand alone.
  public var blockElements: Int { inner.blockElements }

  /// Bytes that so many elements take; nil where they do not fill whole bytes or blocks, or overflow,
  /// and for types that have a name alone.
  public func byteCount(elements: Int) -> Int? { inner.byteCount(elements: elements) }
}

extension ElementType: CustomStringConvertible {
  /// The name.
  public var description: String { name }
}
