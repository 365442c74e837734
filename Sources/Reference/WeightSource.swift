package import Codecs
package import Platform
package import Tensors

/// Weights by their Hugging Face names, however they are stored: all that the forward pass knows
/// of a checkpoint. Calls come from several threads at once.
package protocol WeightSource: Sendable {
  /// Size of a matrix as (output features, input features).
  ///
  /// - Throws: `.malformed` where there is no such tensor or it is no matrix.
  func size(ofMatrix name: String) throws(Fault) -> (rows: Int, columns: Int)

  /// Some rows of a matrix, in the type that they are stored in: (rows.count, columns).
  ///
  /// Scales of a block-quantized weight come with them, cut to the same rows.
  ///
  /// - Throws: `.malformed` for what cannot be a weight, `.inputOutput` where reading fails.
  func matrix(_ name: String, rows: Range<Int>) throws(Fault) -> WeightMatrix

  /// All values of a vector, in F32.
  ///
  /// - Throws: as `matrix` does.
  func vector(_ name: String) throws(Fault) -> [Float]

  /// The file that holds a weight, for messages; nil where that is not known.
  func file(of name: String) -> String?

  /// The types in which the parts of a weight are stored, in the order of its rows; none where that is
  /// not known.
  func storedTypes(of name: String) -> [ElementType]

  /// Says which matrices will be asked for next, in their order, so that a source that reads slowly
  /// can read ahead. What was said before no longer counts.
  func expect(_ names: [String])
}

extension WeightSource {
  /// A source need not have files.
  package func file(of name: String) -> String? { nil }

  /// A source need not know how weights are stored.
  package func storedTypes(of name: String) -> [ElementType] { [] }

  /// A source need not read ahead.
  package func expect(_ names: [String]) {}

  /// Decodes single rows: `values` (columns) of each index → rows of `target` (indices.count,
  /// columns).
  ///
  /// Only those rows are read, so the embedding table is never loaded whole.
  func gather(
    _ name: String, indices: [Int], into target: MutableFloatMatrix, level: KernelLevel
  ) throws(Fault) {
    precondition(target.rows == indices.count)
    let table = try size(ofMatrix: name)
    guard table.columns == target.columns else {
      throw wrongSize(name, expected: [table.rows, target.columns], found: table)
    }
    for (row, index) in indices.enumerated() {
      try matrix(name, rows: index..<index + 1).decode(
        into: UnsafeMutableBufferPointer(
          start: target.base + row * target.stride, count: target.columns), level)
    }
  }

  /// A vector that must have `count` values.
  func vector(_ name: String, count: Int) throws(Fault) -> [Float] {
    let values = try vector(name)
    guard values.count == count else {
      throw Fault(
        .malformed, "has the wrong shape", file: file(of: name), tensor: ExactText(name),
        expected: "[\(count)]",
        found: "[\(values.count)]")
    }
    return values
  }

  /// Throws unless the matrix is (rows, columns).
  func require(_ name: String, rows: Int, columns: Int) throws(Fault) {
    let found = try size(ofMatrix: name)
    guard found == (rows, columns) else {
      throw wrongSize(name, expected: [rows, columns], found: found)
    }
  }

  private func wrongSize(
    _ name: String, expected: [Int], found: (rows: Int, columns: Int)
  ) -> Fault {
    Fault(
      .malformed, "has the wrong shape", file: file(of: name), tensor: ExactText(name),
      expected: "\(expected)",
      found: "[\(found.rows), \(found.columns)]")
  }
}

extension WeightMatrix {
  /// All values, (rows, columns), scaled where there are scales.
  package func decode(
    into values: UnsafeMutableBufferPointer<Float>, _ level: KernelLevel
  ) {
    if let scales {
      scales.decode(
        bytes, type: type, tile: MatrixTile(rows: 0..<rows, width: columns), into: values,
        level: level)
    } else if let codec = Codec.codec(for: type) {
      codec.decode(bytes, into: values, level: level)
    } else {
      preconditionFailure("\(type.rawValue) has no codec")
    }
  }
}
