internal import Codecs
internal import Formats
internal import Mixes
internal import Models
internal import Platform
internal import Reference
internal import Tensors

/// How a matrix of the network stands in a file.
struct StoredForm: Sendable {
  /// Name there, and how its numbers are stored.
  let tensor: ExactText
  let encoding: StoredEncoding
  /// What becomes of the matrix on the way.
  let form: WeightForm
  /// Its place in a stack, and how many there are.
  let matrix: (index: Int, count: Int)
}

/// A model's weights as they would be read from files in which some tensors have other types:
/// quantized when they are asked for, by the same encoders, with the same importance.
struct QuantizedWeights: WeightSource {
  let base: any WeightSource
  let config: ModelConfig
  let importance: ImportanceMatrix?
  /// By the names of the network; `kv_b_proj` has two halves.
  let forms: [String: [StoredForm]]
  /// What was found of weights whose scales share a global one.
  let globalScales: GlobalScales

  func size(ofMatrix name: String) throws(Fault) -> (rows: Int, columns: Int) {
    try base.size(ofMatrix: name)
  }

  func vector(_ name: String) throws(Fault) -> [Float] {
    guard forms[name] != nil else { return try base.vector(name) }
    // A matrix that is asked for whole, as that of the places in a compressed key is.
    let rows = try base.size(ofMatrix: name).rows
    let values = QuantizedWeights.values(of: try matrix(name, rows: 0..<rows))
    return withExtendedLifetime(values) { Array(values.values) }
  }

  func file(of name: String) -> String? { base.file(of: name) }

  func expect(_ names: [String]) { base.expect(names) }

  func matrix(_ name: String, rows: Range<Int>) throws(Fault) -> WeightMatrix {
    guard let forms = forms[name], let first = forms.first else {
      return try base.matrix(name, rows: rows)
    }
    let isHalved = forms.contains { $0.form == .keyHeads || $0.form == .valueHeads }
    guard isHalved else {
      if case .blocks(let block, _, _) = first.encoding {
        return try inBlocks(of: block, name, rows: rows, first)
      }
      let source = try base.matrix(name, rows: rows)
      return try encoded(
        QuantizedWeights.values(of: source), as: first, matrix: first.matrix.index)
    }
    return try heads(name, rows: rows, forms)
  }

  /// Values (rows, columns) of a matrix.
  static func values(of matrix: WeightMatrix) -> Activations {
    let result = Activations(unwrittenRows: matrix.rows, columns: matrix.columns)
    matrix.decode(into: result.values, .best)
    return result
  }

  /// values (rows, columns) → the same as they are stored.
  func encoded(
    _ values: Activations, as form: StoredForm, matrix: Int
  ) throws(Fault) -> WeightMatrix {
    switch form.encoding {
    case .codec(let type):
      WeightMatrix(
        type: type, rows: values.rows, columns: values.columns,
        storage: try encode(values, columns: values.columns, as: type, form, matrix: matrix))
    case .groups(let scheme, let type, let joined):
      try grouped(values, scheme, of: type, joined: joined, form.tensor)
    case .blocks(let block, let format, let type):
      try blocked(values, block, format, of: type, form.tensor)
    case .kept: preconditionFailure("what is kept is not encoded")
    }
  }

  /// values → their blocks.
  private func encode(
    _ values: Activations, columns: Int, as type: ElementType, _ form: StoredForm, matrix: Int
  ) throws(Fault) -> ByteBuffer {
    guard let codec = Codec.codec(for: type),
      let size = type.byteCount(elements: values.values.count)
    else {
      throw Fault(.malformed, "does not fill blocks of \(type.rawValue)", tensor: form.tensor)
    }
    let buffer = ByteBuffer(count: size)
    let source = UnsafeBufferPointer(values.values)
    let known = try importance?.columns(
      ofStored: form.tensor, count: columns, matrices: form.matrix.count)
    guard let known, type.isBlock else {
      guard !codec.needsImportance else {
        throw Fault(
          .usage, "\(type.rawValue) needs an importance matrix that speaks of the tensor",
          tensor: form.tensor)
      }
      codec.encode(source, into: buffer.bytes)
      return buffer
    }
    let weights = try known.weights(ofMatrix: matrix)
    weights.withUnsafeBufferPointer { weights in
      codec.encode(source, columns: columns, importance: weights, into: buffer.bytes)
    }
    return buffer
  }

  /// The same in F32 again.
  private func rounded(
    _ values: Activations, as form: StoredForm, matrix: Int
  ) throws(Fault) -> Activations {
    QuantizedWeights.values(of: try encoded(values, as: form, matrix: matrix))
  }

  /// Rows of `kv_b_proj`, whose heads' halves are tensors of their own, the keys' transposed.
  private func heads(
    _ name: String, rows: Range<Int>, _ forms: [StoredForm]
  ) throws(Fault) -> WeightMatrix {
    let (nope, value, rank) = (config.nopeHeadSize, config.valueHeadSize, config.keyValueRank)
    let height = nope + value
    let heads = rows.lowerBound / height..<(rows.upperBound + height - 1) / height
    let result = ByteBuffer(count: rows.count * rank * MemoryLayout<Float>.stride)
    let target = result.bytes.assumingMemoryBound(to: Float.self)
    for head in heads {
      let own = head * height..<(head + 1) * height
      let values = QuantizedWeights.values(of: try base.matrix(name, rows: own))
      for form in forms {
        let isKey = form.form == .keyHeads
        let part = Activations(
          unwrittenRows: isKey ? rank : value, columns: isKey ? nope : rank)
        for row in 0..<part.rows {
          for column in 0..<part.columns {
            part[row][column] = isKey ? values[column][row] : values[nope + row][column]
          }
        }
        let stored = try rounded(part, as: form, matrix: head)
        for row in 0..<part.rows {
          for column in 0..<part.columns {
            if isKey {
              values[column][row] = stored[row][column]
            } else {
              values[nope + row][column] = stored[row][column]
            }
          }
        }
      }
      for row in own.clamped(to: rows) {
        let line = values[row - own.lowerBound]
        for column in 0..<rank { target[(row - rows.lowerBound) * rank + column] = line[column] }
      }
    }
    return WeightMatrix(type: .f32, rows: rows.count, columns: rank, storage: result)
  }
}
