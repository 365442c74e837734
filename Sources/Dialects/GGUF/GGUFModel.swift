package import Formats
package import Models
internal import Naming
package import Platform
internal import Tensors
package import Weights

/// A GGUF file of this family.
package struct GGUFModel: Sendable {
  /// The files as they are.
  package let files: GGUFFiles
  /// The typed config that the metadata amounts to.
  package let config: ModelConfig
  /// What the metadata does not say and what is assumed instead, a line each.
  package let notes: [String]
  /// Keys of the metadata that are passed over.
  package let unknowns: Unknowns
  /// The files as a checkpoint, with the config in Hugging Face's keys.
  package let checkpoint: Checkpoint

  /// Opens a file; any split of a set opens the set.
  ///
  /// - Throws: what `GGUFFiles` throws; `.malformed` for metadata that is not of this family.
  package init(path: String) throws(Fault) {
    try self.init(GGUFFiles(path: path), path: path)
  }

  /// Takes open files.
  ///
  /// - Parameter path: the file, for messages.
  /// - Throws: `.malformed` for metadata that is not of this family.
  package init(_ files: GGUFFiles, path: String) throws(Fault) {
    self.files = files
    let names = Set(files.inventory.tensors.map(\.name))
    let read = try GGUFConfig(files.metadata, names: names, file: path)
    notes = read.notes
    var unknowns = Unknowns()
    unknowns.add(keys: read.unknown)
    self.unknowns = unknowns
    guard case .object(var json) = read.json else { preconditionFailure("a config is an object") }
    if let name = GGUFModel.dataTypeName(of: files.inventory) {
      json["torch_dtype"] = .string(name)
    }
    var config = try ModelConfig(json: .object(json), file: path)
    if let name = files.metadata["general.architecture"]?.text {
      config.architecture = config.architecture.running(as: name)
    }
    self.config = config
    checkpoint = Checkpoint(
      folder: files.folder, config: .object(json), inventory: files.inventory)
  }

  /// What the weights are stored in where they are plain numbers: the table of embeddings tells.
  private static func dataTypeName(of inventory: Inventory) -> String? {
    let type = inventory["token_embd.weight"]?.type
    return WeightStorage.all.first { $0.type == type }?.dataTypeName
  }
}
