internal import Dialects
internal import Formats
internal import Platform
internal import Weights

/// The manifest that a plan writes.
struct PlannedManifest: Sendable {
  /// What it says of the source.
  struct Source: Sendable {
    /// The last name of its folder or file: paths are nobody's business.
    let name: ExactText
    let format: ModelFormat
    /// Which of its tensors the output is made from; the others are not hashed.
    let isUsed: [Bool]
    /// The manifest that lies with it; nil where there is none.
    let manifest: InputFile?

    fileprivate init(_ source: SourceModel, _ output: PlannedOutput) throws(Fault) {
      let inventory = source.checkpoint.inventory
      name = ExactText(source.name)
      format = source.format
      var isUsed = [Bool](repeating: false, count: inventory.tensors.count)
      for tensor in output.tensors { tensor.assembly.forEachStored { isUsed[$0.index] = true } }
      self.isUsed = isUsed
      let place = try ManifestName.place(forModel: source.path)
      manifest = try place.folder.find(place.name)
    }
  }

  /// Its file name.
  let name: ExactText
  /// Its exact size.
  let byteCount: Int
  /// What it says of the source.
  let source: Source

  /// Plans the manifest of an output.
  ///
  /// - Throws: `.inputOutput` where the source's folder cannot be looked at, `.usage` where the
  ///   manifest would be larger than one that is read.
  init(
    of output: PlannedOutput, files: [PlannedFile], recipe: Recipe, source: SourceModel,
    threads: Int
  ) throws(Fault) {
    name = recipe.manifestName
    self.source = try Source(source, output)
    byteCount = ManifestText(
      recipe: recipe, output: output, files: files, inventory: source.checkpoint.inventory,
      source: self.source
    ).byteCount(threads: threads)
    guard byteCount <= ManifestName.sizeLimit else {
      throw Fault(
        .usage, "has too many tensors, or names that are too long, for a manifest that can be read",
        file: source.path,
        expected: "at most \(ManifestName.sizeLimit) bytes of it, or --no-manifest",
        found: "\(byteCount)")
    }
  }
}
