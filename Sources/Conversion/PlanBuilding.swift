public import Dialects
internal import Formats
internal import Models
public import Platform
internal import Tensors
internal import Weights

extension Plan {
  /// Decides everything about a conversion; reads no weight and writes nothing.
  ///
  /// - Parameter resources: bounds the buffers; the bytes of the output do not depend on it.
  /// - Throws: `.malformed` where the source is not what its config implies, `.usage` where the
  ///   recipe cannot be followed.
  public init(
    _ source: SourceModel, recipe: Recipe, resources: Resources = Resources()
  ) throws(Fault) {
    self.recipe = recipe
    let unknowns = source.unknowns()
    if !recipe.ignoresUnknown, !recipe.copies(source) {
      try unknowns.requireNone(for: "the output", file: source.checkpoint.folder)
    }
    var output = try recipe.target.output(of: source, recipe)
    try output.layout.requireReadable()
    if let growth = output.growth(over: source.checkpoint.inventory) {
      output.warnings.append(growth)
    }
    if !recipe.copies(source) {
      output.warnings += unknowns.lines.map { "not known, and ignored as asked for: \($0)" }
    }
    output.warnings += unknowns.remarks
    self.output = output
    manifest =
      recipe.writesManifest
      ? try PlannedManifest(of: output, files: output.files, recipe: recipe, source: source) : nil
    let widest = output.tensors.max { $0.indivisibleBytes < $1.indivisibleBytes }
    buffers = try BufferPlan(
      resources, indivisible: widest.map { ($0.entry.name, $0.indivisibleBytes) },
      kept: KeptParts.mostBytes(output))
  }
}

extension Recipe {
  /// Whether all of a source stays what it is, in its own format: whatever network that is, it stays
  /// that one.
  fileprivate func copies(_ source: SourceModel) -> Bool {
    switch target {
    case .huggingFace: source.format == .safetensors && weights == nil && mtp == .keep
    case .gguf(let gguf): source.format == .gguf && gguf.fileType == nil && mtp == .keep
    case .deepSeek, .mlx, .compressedTensors: false
    }
  }
}

extension PlannedOutput {
  /// A line where weights lose by being quantized anew and yet take more room than before.
  fileprivate func growth(over inventory: Inventory) -> String? {
    guard tensors.contains(where: { $0.treatment == "requantized" }) else { return nil }
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
    return "the model grows from \(before) to \(layout.totalSize) bytes of tensors, although codes "
      + "are quantized anew: nothing is gained"
  }
}
