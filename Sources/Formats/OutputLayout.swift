package import Platform
package import Tensors

/// Where every tensor of an output goes, to the byte, before one is written; each format has its
/// own way to lay them out.
package struct OutputLayout: Sendable {
  /// A tensor to be placed.
  package struct Entry: Sendable, Hashable {
    /// Its name.
    package private(set) var name: ExactText
    /// Storage of its elements.
    package let type: ElementType
    /// Its dimensions, outermost first.
    package let shape: Shape
    /// Bytes that it takes.
    package let byteCount: Int
    /// What the file says that its elements are: `type`, or a wider one that holds several codes.
    package let storedType: ElementType
    /// The dimensions in elements of `storedType`.
    package let storedShape: Shape

    /// Returns nil where the elements do not fill whole bytes or blocks, or overflow.
    package init?(name: ExactText, type: ElementType, shape: Shape) {
      guard let byteCount = type.byteCount(elements: shape.elementCount),
        (shape.dimensions.last ?? 1) % type.blockElements == 0
      else { return nil }
      self.name = name
      self.type = type
      self.shape = shape
      self.byteCount = byteCount
      (storedType, storedShape) = (type, shape)
    }

    /// The same under another name.
    package func renamed(_ name: ExactText) -> Entry {
      var entry = self
      entry.name = name
      return entry
    }

    /// Codes in rows of wider elements: [out, in] of U4 in U32 is [out, in / 8].
    ///
    /// Returns nil where a row of codes does not fill whole elements of the container.
    package init?(name: ExactText, type: ElementType, shape: Shape, in container: ElementType) {
      guard let plain = Entry(name: name, type: type, shape: shape),
        let columns = shape.dimensions.last, columns * type.bits % container.bits == 0,
        let stored = Shape(shape.dimensions.dropLast() + [columns * type.bits / container.bits])
      else { return nil }
      self.name = name
      self.type = type
      self.shape = shape
      byteCount = plain.byteCount
      (storedType, storedShape) = (container, stored)
    }
  }

  /// A file: the bytes of its header, then its tensors one after the other, with zeros between
  /// them where the format aligns them.
  package struct File: Sendable {
    /// File name.
    package let name: ExactText
    /// Everything before the first tensor, padding apart.
    package let header: [UInt8]
    /// Indices into `entries`, in the order of their bytes.
    package let tensors: [Int]
    /// First byte of each tensor, counted from the start of the file.
    package let offsets: [Int]
    /// Size of the file.
    package let byteCount: Int
  }

  /// The tensors in the order in which they were given.
  package let entries: [Entry]
  /// The files in the order in which they are written.
  package let files: [File]
  /// Bytes of all tensors.
  package let totalSize: Int

  /// Throws where a file of this layout, or all of them together, could not be read again.
  ///
  /// - Throws: `.malformed` with the file's name.
  package func requireReadable() throws(Fault) {
    let budget = ModelBudget()
    for file in files {
      try budget.tensors.take(file.tensors.count, for: file.name.text)
      try budget.files.take(1, for: file.name.text)
      if file.header.starts(with: GGUFHeader.magic) {
        try GGUFHeader.requireReadable(file)
      } else {
        try budget.headerBytes.take(file.header.count, for: file.name.text)
        try SafetensorsHeader.requireReadable(file.header, file: file.name.text)
      }
    }
  }

  /// Adds the sizes of all tensors up.
  ///
  /// - Returns: nil where they overflow; the tensor at which they do is `overflow`.
  static func totalSize(of entries: [Entry]) -> (bytes: Int, overflow: Entry?) {
    var total = 0
    for entry in entries {
      let (sum, overflow) = total.addingReportingOverflow(entry.byteCount)
      if overflow { return (total, entry) }
      total = sum
    }
    return (total, nil)
  }
}
