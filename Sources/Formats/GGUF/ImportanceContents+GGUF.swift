internal import Platform
internal import Tensors

extension ImportanceContents {
  private static let sums: ExactText = ".in_sum2"
  private static let counts: ExactText = ".counts"

  /// Reads the newer format: for each tensor `NAME.in_sum2`, the sums of squares of its columns'
  /// inputs, and `NAME.counts`, of how many tokens: one number, or one for each expert.
  mutating func readGGUF(_ file: InputFile) throws(Fault) {
    let header = try GGUFHeader(file, shard: 0)
    try header.requireSize(of: file)
    try readMetadata(header.metadata, file)
    var sums: [ExactText: StoredTensor] = [:]
    var counts: [ExactText: StoredTensor] = [:]
    for tensor in header.tensors {
      if let name = tensor.name.without(suffix: ImportanceContents.sums), !name.isEmpty {
        sums[name] = tensor
      } else if let name = tensor.name.without(suffix: ImportanceContents.counts),
        !name.isEmpty
      {
        counts[name] = tensor
      }
    }
    for name in Set(sums.keys).symmetricDifference(counts.keys).sorted().prefix(1) {
      throw Fault(
        .malformed, "has sums without counts, or counts without sums", file: file.path,
        tensor: name)
    }
    let budget = Budget("matrices", limit: ImportanceMatrix.totalMatrixLimit)
    for (name, tensor) in sums {
      guard let count = counts[name] else { continue }
      try budget.take(count.shape.elementCount, for: file.path)
      entries[name] = StoredImportance(
        offset: tensor.offset, count: tensor.shape.elementCount,
        divisors: try divisors(tensor, count, file))
    }
  }

  private mutating func readMetadata(
    _ metadata: Metadata, _ file: InputFile
  ) throws(Fault) {
    for key in ["imatrix.datasets", "imatrix.chunk_count", "imatrix.chunk_size"]
    where metadata[key] == nil {
      throw Fault(.malformed, "is no importance matrix", file: file.path, expected: key)
    }
    guard let names = metadata["imatrix.datasets"]?.array?.strings,
      case .uint32(let chunks)? = metadata["imatrix.chunk_count"],
      case .uint32(let size)? = metadata["imatrix.chunk_size"], let chunks = Int32(exactly: chunks)
    else {
      throw Fault(
        .malformed, "has impossible metadata of an importance matrix", file: file.path,
        expected: "imatrix.datasets as strings, imatrix.chunk_count and .chunk_size as uint32")
    }
    datasets = names
    chunkCount = Int(chunks)
    chunkSize = Int(size)
  }

  private func divisors(
    _ sums: StoredTensor, _ counts: StoredTensor, _ file: InputFile
  ) throws(Fault) -> [Float] {
    for tensor in [sums, counts] where tensor.type != .f32 {
      throw Fault(
        .malformed, "is of another type", file: file.path, tensor: tensor.name,
        offset: UInt64(tensor.offset), expected: "F32", found: tensor.type.rawValue)
    }
    let (values, parts) = (sums.shape.elementCount, counts.shape.elementCount)
    guard parts > 0, parts <= ImportanceMatrix.matrixLimit, values > 0, values % parts == 0 else {
      throw Fault(
        .malformed, "has as many sums as do not fit its counts", file: file.path,
        tensor: sums.name, offset: UInt64(sums.offset), expected: "a multiple of \(parts)",
        found: "\(values)")
    }
    var divisors: [Float] = []
    divisors.reserveCapacity(parts)
    let numbers = try StoredImportance.numbers(in: file, at: counts.offset, count: parts)
    for (index, count) in numbers.enumerated() {
      guard let whole = Int64(exactly: count.rounded(.toNearestOrAwayFromZero)) else {
        throw Fault(
          .malformed, "is no number of tokens", file: file.path, tensor: counts.name,
          offset: UInt64(counts.offset + index * 4), found: "\(count)")
      }
      divisors.append(whole > 0 ? Float(whole) : 0)
    }
    return divisors
  }
}
