package import Conversion
package import Formats
internal import Inspection
package import Platform

/// `fathom hash` divided among runs: each hashes consecutive tensors with about as many bytes.
package struct HashParts {
  private let inventory: Inventory
  /// The files of the parts.
  package let results: PartResults

  /// Divides the tensors of a model.
  ///
  /// - Parameter model: its path or address.
  package init(_ inventory: Inventory, model: String) {
    self.inventory = inventory
    results = PartResults(of: "hash", inventory, at: model)
  }

  /// Indices of the tensors of a part.
  func tensors(of part: PartChoice) -> Range<Int> {
    part.items(of: inventory.tensors.map(\.byteCount))
  }

  /// Hashes the tensors of a part and writes what was found.
  ///
  /// - Parameter progress: called with the bytes that are done, and all of the part's.
  /// - Returns: tensors and bytes that were hashed.
  /// - Throws: `.inputOutput` where reading or writing fails, `.cannotCreate`, `.interrupted`.
  package func run(
    _ part: PartChoice, to destination: OutputPath, threads: Int,
    progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) -> (tensors: Int, bytes: Int) {
    let own = tensors(of: part)
    var hashes: [JSONValue] = []
    hashes.reserveCapacity(own.count)
    try ContentHashes.forEach(
      own.map { inventory.tensors[$0] }, of: inventory, threads: threads, progress: progress
    ) { hash in
      hashes.append(.string(hash.text))
    }
    for shard in inventory.shards { try shard.file.requireUnchanged() }
    try results.write(hashes, of: part, to: destination)
    return (own.count, own.reduce(0) { $0 + inventory.tensors[$1].byteCount })
  }

  /// What all parts have found, as one run would.
  ///
  /// - Throws: as `PartResults.all(in:)` does, and `.malformed` where a part has not as many hashes as
  ///   tensors.
  package func merged(in folder: String) throws(Fault) -> ContentHashes {
    let all = try results.all(in: folder)
    var tensors: [TensorHash] = []
    for (part, values) in zip(PartChoice.all(of: all.count), all) {
      let own = self.tensors(of: part)
      let hashes = values.compactMap { value -> BLAKE3Value? in
        if case .string(let text) = value { BLAKE3Value(text: text) } else { nil }
      }
      guard hashes.count == own.count, values.count == own.count else {
        throw Fault(
          .malformed, "does not hold a hash for each tensor",
          file: results.path(of: part, in: folder), expected: "\(own.count)",
          found: "\(values.count)")
      }
      for (tensor, hash) in zip(own, hashes) {
        tensors.append(TensorHash(inventory.tensors[tensor], bytes: hash))
      }
    }
    return ContentHashes(tensors)
  }
}
