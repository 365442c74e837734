package import Platform

extension InputPlaces {
  /// Adds what a MODEL argument names: a folder with all of its files, or a file with those that are
  /// read with it. What is not there is left to whoever opens it.
  package mutating func add(model argument: String) {
    let path = (try? ModelPlace(argument))?.path ?? argument
    if ExactText(path) != ExactText(argument) { add(folder: argument) }
    guard let kind = try? Folder.kind(of: path), kind != .folder else { return add(folder: path) }
    add(file: path)
    let (folder, name) = (Folder.parent(of: path), Folder.name(of: path))
    let names = (try? Folder.names(in: folder)) ?? []
    if ModelFileName.part(RawName(name)) == .weights {
      // What lies beside one file of weights is read with it: config, tokenizer, further shards.
      for other in names {
        let part = ModelFileName.part(RawName(other))
        if part != nil, part != .gguf { add(file: Folder.join(folder, other)) }
      }
      return
    }
    if let split = GGUFSplitName(name) {
      for other in names {
        guard let found = GGUFSplitName(other), found.count == split.count,
          found.stem == split.stem
        else { continue }
        add(file: Folder.join(folder, other))
      }
    }
    add(file: Folder.join(folder, ManifestName.beside(name)))
  }
}

extension OutputPath {
  /// Throws `.cannotCreate` where a file that is no model's would be read as one: in a folder that
  /// holds a model, under a name that models' files have.
  package func requireNoPartOfModel() throws(Fault) {
    let folder = Folder.parent(of: path)
    let parts: Set<ModelFileName.Part> = [.weights, .config, .companion]
    guard let part = ModelFileName.part(RawName(Folder.name(of: path))), parts.contains(part)
    else { return }
    let names = try Folder.names(in: folder)
    guard names.contains(where: Self.isOfModel) else { return }
    throw Fault(
      .cannotCreate, "would become part of the model in its folder", file: path,
      expected: "another folder, or a name that no file of a model has")
  }

  /// Whether a name alone says that the folder holds a model.
  private static func isOfModel(_ name: ExactText) -> Bool {
    let raw = RawName(name)
    return raw.equals("config.json") || raw.equals("model.safetensors")
      || raw.ends(with: ".safetensors.index.json")
      || ShardNames.Numbered(name) != nil || NativeShardName(name) != nil
  }
}
