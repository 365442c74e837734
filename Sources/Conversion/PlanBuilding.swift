package import Dialects
internal import Formats
internal import Models
package import Platform
internal import Tensors
internal import Tiles
internal import Weights

extension Plan {
  /// Decides everything about a conversion; reads no weight and writes nothing.
  ///
  /// - Parameter resources: bounds the buffers; the bytes of the output do not depend on it.
  /// - Throws: `.malformed` where the source is not what its config implies, `.usage` where the
  ///   recipe cannot be followed.
  package init(
    _ source: SourceModel, recipe: Recipe, resources: Resources = Resources()
  ) throws(Fault) {
    self.recipe = recipe
    let unknowns = source.unknowns()
    let target = recipe.target.own
    let isCopy = target.copies(source, recipe)
    if !recipe.ignoresUnknown, !isCopy {
      try unknowns.requireNone(for: "the output", file: source.checkpoint.folder)
    }
    var output = try target.output(of: source, recipe)
    output.leaveOutStorageFile(unless: target.keepsStorage(recipe))
    try output.layout.requireReadable()
    if let growth = output.growth(over: source.checkpoint.inventory) {
      output.warnings.append(growth)
    }
    if !isCopy {
      output.warnings += unknowns.lines.map { "not known, and ignored as asked for: \($0)" }
    }
    let written = Set(output.tensors.map(\.entry.name))
    output.warnings += unknowns.remarks(keeping: written.contains)
    for note in source.notes where !output.warnings.contains(note) { output.warnings.append(note) }
    output.warnings += [recipe.unfittingName, output.absence(of: recipe)].compactMap { $0 }
    self.output = output
    manifest =
      recipe.writesManifest
      ? try PlannedManifest(
        of: output, files: output.files, recipe: recipe, source: source,
        threads: resources.threads) : nil
    let widest = output.tensors.max { $0.indivisibleBytes < $1.indivisibleBytes }
    buffers = try BufferPlan(
      most: (resources.threads, resources.memory),
      indivisible: widest.map { ($0.entry.name, $0.indivisibleBytes) },
      kept: KeptParts.mostBytes(output))
    Console.step(
      "planned \(output.tensors.count) tensors, \(ByteSize.shown(byteCount)) in all; buffers "
        + "\(ByteSize.shown(buffers.byteCount)), threads \(buffers.threads)")
  }
}

extension Recipe {
  /// A line where the output's name is not one that programs look for.
  fileprivate var unfittingName: String? {
    guard !target.own.isFolder, !outputName.hasSuffix(".gguf") else { return nil }
    return
      "the output's name does not end in .gguf: programs that go by names will not take it for "
      + "a GGUF file"
  }
}

extension PlannedOutput {
  /// Leaves out files that tell how the source's weights are stored, by which loaders would take the
  /// output's for codes.
  fileprivate mutating func leaveOutStorageFile(unless isKept: Bool) {
    guard !isKept else { return }
    for (name, _) in CheckpointSurvey.storageFiles
    where sideFiles.contains(where: { $0.name == name }) {
      sideFiles.removeAll { $0.name == name }
      warnings.append("\(name) is not copied: it tells how the source's weights are stored")
    }
  }

  /// A line where no tensor could be stored in the type that was asked for.
  fileprivate func absence(of recipe: Recipe) -> String? {
    guard let asked = recipe.target.own.missingType(in: tensors, recipe) else { return nil }
    return "no tensor could be stored in \(asked): no row is a whole number of its blocks, or "
      + "none may be quantized; --dry-run shows the types"
  }

  /// A line where weights lose by being quantized anew and yet take more room than before.
  fileprivate func growth(over inventory: Inventory) -> String? {
    guard tensors.contains(where: { $0.treatment == .requantized }) else { return nil }
    var isUsed = [Bool](repeating: false, count: inventory.tensors.count)
    var before = 0
    for tensor in tensors {
      tensor.assembly.forEachStored { stored in
        // A stack is one tensor and serves many.
        guard !isUsed[stored.index] else { return }
        isUsed[stored.index] = true
        before += inventory.tensors[stored.index].byteCount
      }
    }
    guard layout.totalSize > before else { return nil }
    return
      "the model grows from \(ByteSize.shown(before)) to \(ByteSize.shown(layout.totalSize)) of "
      + "tensors, although codes are quantized anew: nothing is gained"
  }
}
