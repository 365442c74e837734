public import Platform

extension OutputPath {
  /// Throws `.cannotCreate` where a folder that is to be replaced is neither a checkpoint nor empty:
  /// a wrong path must not cost anybody their files.
  public func requireReplaceable() throws(Fault) {
    guard replaced == .folder else { return }
    let names = try Folder.names(in: path)
    let isCheckpoint =
      names.contains("config.json") && names.contains { $0.hasSuffix(".safetensors") }
    guard names.isEmpty || isCheckpoint else {
      throw Fault(
        .cannotCreate, "holds no checkpoint and is not replaced", file: path,
        expected: "config.json and safetensors files, or an empty folder")
    }
  }
}
