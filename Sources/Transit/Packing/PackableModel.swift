internal import Compression
internal import Dialects
internal import Formats
package import Platform
internal import Tensors

/// The files of a model, as `pack` sees them: those with weights, and those beside them.
package struct PackableModel: Sendable {
  /// A file with weights, and the stretches that it is cut into.
  struct Weights: Sendable {
    let name: ExactText
    let file: InputFile
    /// Names of the entries that the stretches become.
    let names: [ExactText]
    let parts: [PackedIndex.Part]
  }

  let weights: [Weights]
  let others: [SideFile]
  /// Whether the output is a folder; else it is one file.
  let isFolder: Bool
  /// Where the model lies.
  let place: String
  /// What stays behind, a line each.
  package let skipped: [String]

  /// Opens a model and checks that it is whole.
  ///
  /// - Throws: as opening a checkpoint or GGUF file does; `.usage` where it is packed already.
  package init(path: String, threads: Int) throws(Fault) {
    let inventory: Inventory
    let model = try ModelPlace(path)
    try model.requireWeights()
    let isGGUF = model.kind == .gguf
    if isGGUF {
      let files = try GGUFFiles(path: model.path)
      (inventory, place) = (files.inventory, files.folder)
    } else {
      let survey = try CheckpointSurvey(path: model.path, threads: threads)
      try survey.requireConfig()
      let checkpoint = try Checkpoint(survey)
      (inventory, place) = (checkpoint.inventory, checkpoint.folder)
    }
    // A folder of one GGUF file is packed as that file.
    let kind = try Folder.kind(of: model.path)
    isFolder = kind == .folder || inventory.shards.count > 1
    var weights: [Weights] = []
    let tensors = Dictionary(grouping: inventory.tensors, by: \.shard)
    for (number, shard) in inventory.shards.enumerated() {
      guard !shard.file.showsAnother else {
        throw Fault(.usage, "is packed already", file: shard.file.path)
      }
      weights.append(
        try Weights(shard, tensors[number] ?? [], isGGUF: isGGUF))
    }
    self.weights = weights
    guard isFolder, !isGGUF else {
      (others, skipped) = ([], [])
      return
    }
    let names = Set(weights.map(\.name))
    let folder = try InputFolder(path: place)
    // What is packed is to come back whole.
    if let name = try folder.listing().unreadable.first {
      throw Folder.unreadableFault(name, in: place)
    }
    (others, skipped) = try SideFile.list(in: folder) { names.contains($0) }
  }

  /// Bytes of all files.
  package var byteCount: Int {
    weights.reduce(0) { $0 + $1.file.size } + others.reduce(0) { $0 + $1.byteCount }
  }
}

extension PackableModel.Weights {
  /// Cuts a file at the starts of its tensors.
  fileprivate init(_ shard: Shard, _ tensors: [StoredTensor], isGGUF: Bool) throws(Fault) {
    let tensors = tensors.sorted { ($0.offset, $0.byteCount) < ($1.offset, $1.byteCount) }
    let size = shard.file.size
    var names = [PackedFile.headName]
    var parts = [PackedIndex.Part(byteCount: tensors.first?.offset ?? size, planes: .bytes)]
    // DeepSeek's shards all use the same names, which an inventory tells apart by the file's.
    let prefix = NativeShardName(shard.name).map { "\($0.stem)/" as ExactText }
    for (number, tensor) in tensors.enumerated() {
      let end = number + 1 < tensors.count ? tensors[number + 1].offset : size
      names.append(prefix.flatMap { tensor.name.without(prefix: $0) } ?? tensor.name)
      parts.append(
        PackedIndex.Part(byteCount: end - tensor.offset, planes: NumberPlanes(tensor.type)))
    }
    for name in names.dropFirst() where [PackedFile.headName, PackedFile.indexName].contains(name) {
      throw Fault(
        .usage, "has a name that packed files use themselves", file: shard.file.path, tensor: name)
    }
    self.init(name: shard.name, file: shard.file, names: names, parts: parts)
    try PackedFile.requireReadable(names: names, parts, original: shard.file)
  }
}

extension NumberPlanes {
  /// How numbers of a type are cut: exponents apart from mantissas where both have many bits. Codes
  /// of 8 bits and blocks of codes are packed as they are.
  fileprivate init(_ type: ElementType) {
    switch type {
    case .bf16, .f16: self = .words16
    case .f32: self = .words32
    default: self = .bytes
    }
  }
}
