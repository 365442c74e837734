public import Formats
public import Models
public import Platform
internal import Tensors

/// A GGUF file of this family, with its tensors under Hugging Face's names as well.
public struct GGUFModel: Sendable {
  /// The files as they are.
  public let files: GGUFFiles
  /// The typed config that the metadata amounts to.
  public let config: DeepSeekV3Config
  /// What the metadata does not say and what is assumed instead, a line each.
  public let notes: [String]
  /// The same weights as a checkpoint: each expert a slice of its stack; of `kv_b_proj` the two
  /// halves, under the names in `HalfNames`, where the file has it split.
  public let checkpoint: Checkpoint

  /// Opens a file; any split of a set opens the set.
  ///
  /// - Throws: what `GGUFFiles` throws; `.malformed` for metadata that is not of this family.
  public init(path: String) throws(Fault) {
    files = try GGUFFiles(path: path)
    let names = Set(files.inventory.tensors.map(\.name))
    let read = try DeepSeek2Config(files.metadata, names: names, file: path)
    notes = read.notes
    guard case .object(var json) = read.json else { preconditionFailure("a config is an object") }
    if let name = GGUFModel.dataTypeName(of: files.inventory) {
      json["torch_dtype"] = .string(name)
    }
    config = try DeepSeekV3Config(json: .object(json), file: path)
    checkpoint = Checkpoint(
      folder: files.folder, config: .object(json),
      inventory: try GGUFModel.translated(files.inventory, experts: config.routedExperts))
  }

  /// Whether a path names a GGUF file, by its contents; a file of that name that is none is for
  /// opening to refuse.
  public static func isGGUF(_ path: String) throws(Fault) -> Bool {
    guard try Folder.kind(of: path) == .file else { return false }
    if path.hasSuffix(".gguf") { return true }
    return try GGUFHeader.isGGUF(InputFile(path: path))
  }

  /// What the weights are stored in where they are plain numbers: the table of embeddings tells.
  private static func dataTypeName(of inventory: Inventory) -> String? {
    let type = inventory["token_embd.weight"]?.type
    return WeightStorage.all.first { $0.type == type }?.dataTypeName
  }

  /// The inventory under Hugging Face's names; names that the architecture does not have stay.
  private static func translated(
    _ inventory: Inventory, experts: Int
  ) throws(Fault) -> Inventory {
    var tensors: [StoredTensor] = []
    for tensor in inventory.tensors {
      guard let (name, form) = DeepSeek2Names.origin(of: tensor.name) else {
        tensors.append(tensor)
        continue
      }
      switch form {
      case .whole: tensors.append(tensor.renamed(name))
      case .keyHeads: tensors.append(tensor.renamed(HalfNames.keys(of: name)))
      case .valueHeads: tensors.append(tensor.renamed(HalfNames.values(of: name)))
      case .experts:
        guard let slices = tensor.slices(experts) else {
          throw Fault(
            .malformed, "does not hold as many matrices as there are experts",
            file: inventory.shards[tensor.shard].file.path, tensor: tensor.name,
            expected: "\(experts)", found: "\(tensor.shape)")
        }
        for (expert, slice) in slices.enumerated() {
          tensors.append(slice.renamed(DeepSeek2Names.name(name, expert: expert)))
        }
      }
    }
    return try Inventory(shards: inventory.shards, tensors: tensors)
  }
}

/// Names of the halves of `kv_b_proj`, which Hugging Face checkpoints do not have.
public enum HalfNames {
  private static let joint = "kv_b_proj"

  /// The name of the transposed keys: (heads, latent, nope).
  public static func keys(of joint: String) -> String { replaced(joint, "k_b_proj") }
  /// The name of the values: (heads, value, latent).
  public static func values(of joint: String) -> String { replaced(joint, "v_b_proj") }
  /// The name of the joint matrix that a half belongs to; nil for other names.
  public static func joint(of half: String) -> String? {
    for part in ["k_b_proj", "v_b_proj"] where half.hasSuffix(".\(part).weight") {
      return String(half.dropLast("\(part).weight".count)) + "\(joint).weight"
    }
    return nil
  }

  private static func replaced(_ name: String, _ part: String) -> String {
    String(name.dropLast("\(joint).weight".count)) + "\(part).weight"
  }
}

extension StoredTensor {
  /// The same place under another name.
  fileprivate func renamed(_ name: String) -> StoredTensor {
    StoredTensor(
      name: name, type: type, shape: shape, shard: shard, offset: offset, byteCount: byteCount)
  }

  /// The tensors that one of (count, …) stacks; nil where it is none of such.
  fileprivate func slices(_ count: Int) -> [StoredTensor]? {
    guard shape.dimensions.count == 3, shape.dimensions[0] == count, count > 0,
      let inner = Shape(Array(shape.dimensions.dropFirst())), byteCount % count == 0
    else { return nil }
    let size = byteCount / count
    return (0..<count).map { index in
      StoredTensor(
        name: name, type: type, shape: inner, shard: shard, offset: offset + index * size,
        byteCount: size)
    }
  }
}
