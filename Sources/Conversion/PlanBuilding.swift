internal import Formats
internal import Models
public import Platform

extension Plan {
  /// Decides everything about a conversion; reads no weight and writes nothing.
  ///
  /// - Parameter resources: bounds the buffers; the bytes of the output do not depend on it.
  /// - Throws: `.malformed` where the source is not what its config implies, `.usage` where the
  ///   recipe cannot be followed.
  public init(
    _ source: SourceModel, recipe: Recipe, resources: Resources = Resources()
  ) throws(Fault) {
    let planner = try Planner(source, recipe: recipe)
    let layout = try SafetensorsWriterLayout(
      planner.tensors.map(\.entry), shardLimit: recipe.shardLimit)
    let config = ConfigRewriting(
      source: source.checkpoint.config, weights: recipe.weights, fp8: planner.target.fp8,
      dropsMTP: recipe.mtp == .drop
    ).text()
    let widest = planner.tensors.max { $0.indivisibleBytes < $1.indivisibleBytes }
    self.init(
      recipe: recipe, tensors: planner.tensors, layout: layout, config: config,
      files: Plan.files(layout, config: config, sideFiles: source.sideFiles),
      dropped: planner.dropped, warnings: planner.warnings,
      buffers: try BufferPlan(
        resources, indivisible: widest.map { ($0.entry.name, $0.indivisibleBytes) }),
      sideFiles: source.sideFiles)
  }

  private static func files(
    _ layout: SafetensorsWriterLayout, config: [UInt8], sideFiles: [SideFile]
  ) -> [PlannedFile] {
    var files = layout.files.map {
      PlannedFile(name: $0.name, byteCount: $0.byteCount, kind: .weights)
    }
    if let index = layout.index {
      files.append(
        PlannedFile(
          name: SafetensorsIndex.fileName, byteCount: index.count, kind: .index))
    }
    files.append(PlannedFile(name: "config.json", byteCount: config.count, kind: .config))
    return files
      + sideFiles.map { PlannedFile(name: $0.name, byteCount: $0.byteCount, kind: .side) }
  }
}
