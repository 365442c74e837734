package import Platform

extension Inventory {
  /// Opens one safetensors file that the user named, on its own, without a config or an index beside it.
  ///
  /// - Throws: `.notFound` or `.inputOutput` where it cannot be read, `.malformed` where it breaks
  ///   the format or is cut short.
  package init(safetensorsFile path: String) throws(Fault) {
    let file = try PackedFile.weights(InputFile(path: path))
    switch try SafetensorsHeader.read(file, shard: 0) {
    case .cut(let minimum):
      throw Fault(
        .malformed, "ends inside its header", file: path, expected: "at least \(minimum) bytes",
        found: "\(file.size)")
    case .header(let header):
      try header.requireSize(of: file)
      let shard = Shard(name: Folder.name(of: path), file: file, metadata: header.metadata)
      try self.init(shards: [shard], tensors: header.tensors)
    }
  }
}
