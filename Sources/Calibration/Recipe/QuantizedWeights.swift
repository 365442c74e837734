internal import Codecs
internal import Formats
internal import Models
internal import Platform
internal import Reference
internal import Tensors

/// How a matrix of the network stands in a GGUF file.
struct StoredForm: Sendable {
  /// Name there, and its type.
  let tensor: ExactText
  let type: ElementType
  /// What becomes of the matrix on the way.
  let form: WeightForm
  /// Its place in a stack, and how many there are.
  let matrix: (index: Int, count: Int)
}

/// A model's weights as they would be read from a GGUF file in which some tensors have other types:
/// quantized when they are asked for, by the same encoders, with the same importance.
struct QuantizedWeights: WeightSource {
  let base: any WeightSource
  let config: ModelConfig
  let importance: ImportanceMatrix?
  /// By the names of the network; `kv_b_proj` has two halves.
  let forms: [String: [StoredForm]]

  func size(ofMatrix name: String) throws(Fault) -> (rows: Int, columns: Int) {
    try base.size(ofMatrix: name)
  }

  func vector(_ name: String) throws(Fault) -> [Float] { try base.vector(name) }

  func file(of name: String) -> String? { base.file(of: name) }

  func expect(_ names: [String]) { base.expect(names) }

  func matrix(_ name: String, rows: Range<Int>) throws(Fault) -> WeightMatrix {
    guard let forms = forms[name], let first = forms.first else {
      return try base.matrix(name, rows: rows)
    }
    let isHalved = forms.contains { $0.form == .keyHeads || $0.form == .valueHeads }
    guard isHalved else {
      let source = try base.matrix(name, rows: rows)
      let values = QuantizedWeights.values(of: source)
      return WeightMatrix(
        type: first.type, rows: rows.count, columns: source.columns,
        storage: try encode(
          values, columns: source.columns, as: first, matrix: first.matrix.index))
    }
    return try heads(name, rows: rows, forms)
  }

  /// Values (rows, columns) of a matrix.
  private static func values(of matrix: WeightMatrix) -> Activations {
    let result = Activations(unwrittenRows: matrix.rows, columns: matrix.columns)
    matrix.decode(into: result.values, .best)
    return result
  }

  /// values → their blocks.
  private func encode(
    _ values: Activations, columns: Int, as form: StoredForm, matrix: Int
  ) throws(Fault) -> ByteBuffer {
    guard let codec = Codec.codec(for: form.type),
      let size = form.type.byteCount(elements: values.values.count)
    else {
      throw Fault(.malformed, "does not fill blocks of \(form.type.rawValue)", tensor: form.tensor)
    }
    let buffer = ByteBuffer(count: size)
    let source = UnsafeBufferPointer(values.values)
    let known = try importance?.columns(
      of: form.tensor, count: columns, matrices: form.matrix.count)
    guard let known, form.type.isBlock else {
      guard !codec.needsImportance else {
        throw Fault(
          .usage, "\(form.type.rawValue) needs an importance matrix that speaks of the tensor",
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
    let buffer = try encode(values, columns: values.columns, as: form, matrix: matrix)
    let result = WeightMatrix(
      type: form.type, rows: values.rows, columns: values.columns, storage: buffer)
    return QuantizedWeights.values(of: result)
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
