package import Platform

/// The beginning of a shard, which says what its tensors were when the shard itself is gone.
package enum ShardStandIn {
  /// Reads everything before the data of a shard.
  ///
  /// - Throws: `.inputOutput` where it cannot be read.
  package static func beginning(of shard: Shard) throws(Fault) -> [UInt8] {
    var length = 0
    for (index, byte) in try shard.file.read(at: 0, count: 8).enumerated() {
      length |= Int(byte) << (8 * index)
    }
    // The header was read before: a length beyond the file is that of another file.
    guard (0...SafetensorsHeader.lengthLimit).contains(length) else {
      throw Fault(.malformed, "changed while it was read", file: shard.file.path)
    }
    return try shard.file.read(at: 0, count: 8 + length)
  }

  /// Opens what was kept of a shard.
  ///
  /// - Parameters:
  ///   - folder: where such beginnings are.
  ///   - name: the shard's name, which its beginning has too.
  ///   - path: the shard that is gone.
  ///   - shard: the index that its tensors will carry.
  ///   - budget: what the model's files share.
  /// - Returns: nil where nothing was kept of it.
  static func open(
    in folder: InputFolder, name: ExactText, for path: String, shard: Int,
    within budget: ModelBudget
  ) throws(Fault) -> (file: InputFile, header: SafetensorsHeader)? {
    guard let kept = try folder.find(name),
      case .header(let header) = try SafetensorsHeader.read(kept, shard: shard, within: budget)
    else { return nil }
    try budget.tensors.take(header.tensors.count, for: path)
    return (try InputFile(standIn: kept, for: path, size: header.expectedSize), header)
  }
}
