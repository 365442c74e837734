internal import Codecs
internal import Formats
internal import Platform
internal import Tensors
internal import Weights

/// No finite number becomes infinite: torch lets it happen, but a model that has it is not the model
/// that was asked for.
extension AssemblyProducer {
  /// Whether a finite number may lie beyond the range of the type.
  private var mayOverflow: Bool {
    change != nil
      || !assembly.allLeaves { $1 == nil && AssemblyProducer.fits($0.type, in: type) }
  }

  private static func fits(_ source: ElementType, in target: ElementType) -> Bool {
    switch source {
    case target, .f8E4M3, .f8E5M2: true
    case .f16: target == .bf16 || target == .f32
    case .bf16: target == .f32
    default: false
    }
  }

  /// Throws where an element is infinite and what it was made from is not; what is stored as infinite
  /// or NaN stays so, and is told to `sawNotFinite`. Uses the memory for values.
  ///
  /// - Parameter bytes: what rows and columns of the assembly have become.
  func checkRange(
    _ bytes: UnsafeRawBufferPointer, rows: Range<Int>, columns: Range<Int>
  ) throws(Fault) {
    let codec = AssemblyReader.codec(type)
    guard SourceWeights.plainTypes.contains(type), sawNotFinite != nil || mayOverflow,
      codec.firstNotFinite(bytes) != nil
    else { return }
    sawNotFinite?()
    guard mayOverflow else { return }
    let isPlain = assembly.allLeaves { $1 == nil && $0.isWhole }
    // Half of the memory for what is stored, half for what has become of it.
    let most = values.count / 2
    let rowsAtOnce = max(1, most / columns.count)
    var done = 0
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: rowsAtOnce) {
      let group = first..<min(rows.upperBound, first + rowsAtOnce)
      for start in stride(from: columns.lowerBound, to: columns.upperBound, by: most) {
        let piece = start..<min(columns.upperBound, start + most)
        let size = group.count * piece.count
        let stored = UnsafeMutableBufferPointer(rebasing: values[..<size])
        let made = UnsafeMutableBufferPointer(rebasing: values[most..<most + size])
        let (from, to) = (type.byteOffset(of: done), type.byteOffset(of: done + size))
        codec.decode(UnsafeRawBufferPointer(rebasing: bytes[from..<to]), into: made)
        try reader.decode(
          assembly, rows: group, columns: piece,
          into: MutableFloatMatrix(stored.baseAddress!, rows: group.count, columns: piece.count))
        for index in 0..<size where made[index].isInfinite {
          if isPlain, stored[index].isInfinite { continue }
          throw overflow(
            row: first + index / piece.count, column: piece.lowerBound + index % piece.count)
        }
        done += size
      }
    }
  }

  private func overflow(row: Int, column: Int) -> Fault {
    Fault(
      .malformed, "row \(row), column \(column) overflows as \(type.rawValue)",
      file: reader.inventory.shards[assembly.shard(ofRow: row)].file.path, tensor: name,
      offset: place(row: row, column: column), expected: "finite weights")
  }

  /// Where an element is stored; nil where it is not one of a stored row, or has no bytes of its own.
  private func place(row: Int, column: Int) -> UInt64? {
    guard assembly.keepsRows, assembly.allLeaves({ tensor, _ in tensor.isWhole }) else {
      return nil
    }
    var place: UInt64?
    AssemblyReader.forEachPiece(
      of: assembly, rows: row..<row + 1, columns: column..<column + 1
    ) { piece in
      guard let tensor = piece.weight.single?.tensor else { return }
      let element = piece.rows.lowerBound * piece.weight.columns + piece.columns.lowerBound
      place = UInt64(tensor.place(ofByte: tensor.type.byteOffset(of: element)))
    }
    return place
  }
}

extension StoredTensor {
  /// Whether each element has bytes of its own.
  fileprivate var isWhole: Bool { !type.isBlock && type.bits >= 8 }
}
