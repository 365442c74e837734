internal import Formats
internal import Models
public import Platform
internal import Tensors

extension Plan {
  /// What Hugging Face's own writers put into one file.
  private static let usualShardLimit = 5_000_000_000

  /// Most bytes of tensors in one file of a Hugging Face checkpoint.
  public var shardLimit: Int { recipe.shardLimit ?? Plan.usualShardLimit }

  /// Decides everything about a conversion; reads no weight and writes nothing.
  ///
  /// - Parameter resources: bounds the buffers; the bytes of the output do not depend on it.
  /// - Throws: `.malformed` where the source is not what its config implies, `.usage` where the
  ///   recipe cannot be followed.
  public init(
    _ source: SourceModel, recipe: Recipe, resources: Resources = Resources()
  ) throws(Fault) {
    if case .gguf(let gguf) = recipe.target {
      if let model = source.gguf {
        let planner = try GGUFRequantizer(model, recipe: recipe, gguf: gguf)
        try self.init(
          planner.tensors, metadata: planner.metadata, dropped: planner.dropped,
          warnings: planner.warnings, recipe: recipe, splits: planner.splits,
          resources: resources)
      } else {
        let planner = try GGUFPlanner(source, recipe: recipe, gguf: gguf)
        try self.init(
          planner.tensors, metadata: planner.metadata, dropped: planner.dropped,
          warnings: planner.warnings, recipe: recipe, resources: resources)
      }
      return
    }
    let planner = try Planner(source, recipe: recipe)
    let layout = try SafetensorsWriterLayout(
      planner.tensors.map(\.entry), shardLimit: recipe.shardLimit ?? Plan.usualShardLimit)
    let config = ConfigRewriting(
      source: source.checkpoint.config, weights: recipe.weights, fp8: planner.target.fp8,
      dropsMTP: recipe.mtp == .drop
    ).text()
    let widest = planner.tensors.max { $0.indivisibleBytes < $1.indivisibleBytes }
    self.init(
      recipe: recipe, tensors: planner.tensors, layout: layout.output, index: layout.index,
      config: config,
      files: Plan.files(layout, config: config, sideFiles: source.sideFiles),
      dropped: planner.dropped, warnings: planner.warnings,
      buffers: try BufferPlan(
        resources, indivisible: widest.map { ($0.entry.name, $0.indivisibleBytes) }),
      sideFiles: source.sideFiles)
  }

  /// Lays out what a planner for GGUF decided.
  private init(
    _ tensors: [PlannedTensor], metadata: Metadata, dropped: [DroppedTensor],
    warnings: [String], recipe: Recipe, splits: [Int]? = nil, resources: Resources
  ) throws(Fault) {
    let layout = try GGUFWriterLayout.layout(
      tensors.map(\.entry), metadata: metadata, name: recipe.outputName,
      division: splits.map { .counts($0) } ?? .limit(recipe.shardLimit ?? .max))
    let widest = tensors.max { $0.indivisibleBytes < $1.indivisibleBytes }
    self.init(
      recipe: recipe, tensors: tensors, layout: layout, index: nil, config: nil,
      files: layout.files.map {
        PlannedFile(name: $0.name, byteCount: $0.byteCount, kind: .weights)
      },
      dropped: dropped, warnings: warnings,
      buffers: try BufferPlan(
        resources, indivisible: widest.map { ($0.entry.name, $0.indivisibleBytes) }),
      sideFiles: [])
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
