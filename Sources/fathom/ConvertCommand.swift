internal import ArgumentParser
internal import Conversion
internal import Dialects
internal import Formats
internal import Inspection
internal import Mixes
package import Models
internal import Pages
package import Platform
package import Reports
internal import Tensors
internal import Verification
package import Weights

struct ConvertCommand: ParsableCommand, ModelReading {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Convert a checkpoint to another type or sharding.",
    usage: """
      fathom convert <model> <output> --to <format>
        [--quant <type>] [<options>]
      """,
    discussion: """
      Without --quant every tensor keeps its type: a plain copy, or a new sharding. The output \
      appears under its name when it is complete and flushed to disk, or not at all.

        fathom convert DeepSeek-V3 v3.gguf --to gguf --quant q4_k_m
        fathom convert DeepSeek-V3 V3-f32 --to hf --quant f32 --dry-run
      """)

  @Argument(help: ModelArgument.help)
  var model: String

  @Argument(help: "The folder to write, or the file for --to gguf.")
  var output: String

  @OptionGroup(title: "What to write")
  var wanted: TargetOptions

  @Option(help: "Multi-token-prediction layers: keep, drop, or only them.")
  var mtp = Recipe.MTP.keep

  @Option(
    help: ArgumentHelp(
      "Most bytes of tensors in one file: 5GB for hf, 5GiB for mlx, no bound for gguf.",
      valueName: "size"))
  var maxShardSize: ByteSize?

  @Option(
    help: ArgumentHelp("Model-parallel shards for --to deepseek; 1 by default.", valueName: "n"))
  var mp: Int?

  @Option(help: ArgumentHelp("Rows and columns of an FP8 block: 128x128.", valueName: "RxC"))
  var blockSize: BlockSize?

  @Option(help: "Scales of FP8 blocks: f32, or powers of two (ue8m0).")
  var scaleFormat: Recipe.ScaleFormat?

  @OptionGroup(title: "GGUF")
  var gguf: GGUFOptions

  @OptionGroup(title: "MLX")
  var mlx: MLXOptions

  @OptionGroup
  var work: WorkOptions

  @Option(help: "Most memory for buffers.")
  var memory = ByteSize(bytes: Resources.defaultMemory)

  @Flag(
    help: """
      Show what would be written, tensors that are alike in one row, and write nothing; the JSON \
      document has every tensor.
      """)
  var dryRun = false

  @Flag(help: "With --dry-run: a row for every tensor, and every file.")
  var all = false

  @Flag(
    inversion: .prefixedNo,
    help: """
      Write fathom-manifest.json with the output (NAME.fathom-manifest.json beside a .gguf file): \
      content hashes of all tensors before and after, and why each has its type.
      """)
  var manifest = true

  @Flag(
    help: """
      Write into the files of weights too what they were made from and how: safetensors' metadata, \
      or keys fathom.* of a GGUF file. The source is read once more before, for its hashes. Without \
      this the files are the peers' to the byte.
      """)
  var embedProvenance = false

  @Flag(
    help: """
      Refuse a recipe that is not heeded: rules, patterns and entries of an importance matrix that \
      match no tensor. Without this they are warnings.
      """)
  var strict = false

  @OptionGroup(title: "Interruptions")
  var interruptions: InterruptionOptions

  @OptionGroup(title: "Many machines")
  var division: ConvertPartOptions

  @OptionGroup
  var printed: FormatOption

  @OptionGroup
  var unknown: UnknownOptions

  @OptionGroup
  var links: LinkOptions

  var models: [String] { [model] }

  private var to: Dialect.Target { wanted.to }
  private var quant: String? { wanted.quant }
  private var recipe: String? { wanted.recipe }

  func validate() throws {
    do {
      _ = try target()
    } catch let fault as Fault {
      throw ValidationError(fault.description)
    }
    let isFP8 = weights?.type == .f8E4M3
    let isBlocked = to == .compressedTensors && quant?.lowercased().hasPrefix("fp8-block") == true
    if scaleFormat != nil && !isFP8 || blockSize != nil && !isFP8 && !isBlocked {
      throw ValidationError("--block-size and --scale-format go with --quant fp8")
    }
    if all, !dryRun { throw ValidationError("--all goes with --dry-run") }
    let name = output.lowercased()
    if to != .gguf, let ending = [".gguf", ".safetensors"].first(where: name.hasSuffix) {
      throw ValidationError(
        "--to \(to.rawValue) writes a folder, and \(ending) is the ending of a file")
    }
    let parts = division.parts
    try parts.refuse(interruptions.freeSource, "--free-source", "deletes what other parts need")
    try parts.refuse(
      embedProvenance, "--embed-provenance",
      "reads all of the source before the first byte is written, and so would each part")
    if parts.finish, dryRun {
      throw ValidationError("--finish and --dry-run do not go together: it is for --part")
    }
    if embedProvenance, interruptions.freeSource {
      throw ValidationError(
        "--embed-provenance reads the source again with --resume, --free-source deletes it")
    }
  }

  func run() throws {
    // Before anything is read: a name that is taken is the commonest mistake.
    let inputs = InputPlaces(
      models: [model], files: [self.recipe, gguf.imatrix] + division.folders.map { $0 })
    let parts = division.parts
    let part = try parts.choice()
    let destination =
      dryRun
      ? nil
      : try interruptions.destination(
        output, sparing: inputs, orFinished: part != nil || parts.finish)
    var recipe = Recipe(
      target: try completed(target()), outputName: Folder.name(of: output), weights: weights,
      mtp: mtp,
      shardLimit: maxShardSize?.bytes, blockSize: blockSize, scaleFormat: scaleFormat)
    recipe.writesManifest = manifest
    recipe.embedsProvenance = embedProvenance
    recipe.ignoresUnknown = unknown.ignoreUnknown
    let source = try interruptions.source(model, threads: work.threads, for: destination)
    let resources = Resources(threads: work.threads, memory: memory.bytes)
    var plan = try Plan(source, recipe: recipe, resources: resources)
    if strict, let line = plan.unheeded.first {
      throw Fault(.usage, "--strict: \(line)")
    }
    let share = part.map { Share($0.number, of: $0.count, plan) }
    let report = share.map { ShareReport($0, of: plan, origin: part?.origin) }
    guard let destination else { return try show(plan, report) }
    if embedProvenance {
      // What cannot be planned or has no room is refused before all of the source is read; what an
      // earlier run left may make room, or save some.
      if !interruptions.resume, try Folder.kind(of: destination.workPath) == nil {
        try destination.requireSpace(plan.byteCount, files: plan.files.count)
      }
      recipe.sourceHashes = try ProgressLine.during(work.progress) { report throws(Fault) in
        try ContentHashes(source.checkpoint.inventory, threads: work.threads, progress: report)
      }
      plan = try Plan(source, recipe: recipe, resources: resources)
    }
    for warning in plan.warnings { Console.message("fathom: warning: \(warning)") }
    let way: InterruptionOptions.Way =
      share.map { .part($0) } ?? (parts.finish ? .finish(division) : .everything)
    let result = try interruptions.run(plan, from: source, to: destination, way, work.progress)
    if printed.format == .json {
      return try Console.write(result.json(of: plan, part: report).printed() + "\n")
    }
    if report == nil, result.bytesCompared == nil {
      try Console.write(PlanReport(plan, source: model, output: output).summary)
    }
    try Console.write(result.text(of: plan, part: report))
  }

  /// Storage of a checkpoint's weights, where it is that of safetensors files.
  private var weights: WeightStorage? {
    to == .hf || to == .deepseek ? quant.flatMap(WeightStorage.named) : nil
  }

  /// The format with its own options, all names looked up.
  private func target() throws -> Recipe.Target {
    if mp != nil, to != .deepseek { throw ValidationError("--mp goes with --to deepseek") }
    if to == .hf || to == .deepseek, let quant, weights == nil {
      throw unknown(quant, WeightStorage.all.map(\.name))
    }
    if to != .gguf { try gguf.requireUnused() }
    if recipe != nil, ![.gguf, .mlx, .compressedTensors].contains(to) {
      throw ValidationError("--recipe goes with --to gguf, mlx and compressed-tensors")
    }
    if to != .mlx { try mlx.requireUnused() }
    switch to {
    case .hf: return .huggingFace
    case .deepseek: return .deepSeek(shards: try shards())
    case .mlx:
      let names = MLXStorage.all.map(\.name)
      if let quant, Suggestion.nearest(to: quant, in: names) != nil { throw unknown(quant, names) }
      return .mlx(try mlx.recipe(quant))
    case .compressedTensors:
      return .compressed(.compressedTensors(try compressed(.compressedTensors)))
    case .modelOpt: return .compressed(.modelOpt(try compressed(.modelOpt)))
    case .gguf:
      try gguf.check()
      if maxShardSize != nil, gguf.keepSplit {
        throw ValidationError("--keep-split and --max-shard-size do not go together")
      }
      return .gguf(gguf.recipe(try quant.map(fileType)))
    }
  }

  /// The scheme that was asked for, among those that are written under a program's names.
  private func compressed(_ maker: CompressedScheme.Maker) throws -> CompressedRecipe? {
    try quant.map { name in
      guard let recipe = CompressedRecipe(named: name, of: maker) else {
        throw unknown(name, CompressedRecipe.names(of: maker))
      }
      return recipe
    }
  }

  /// Model-parallel shards to write.
  private func shards() throws -> Int {
    guard (1...4096).contains(mp ?? 1) else {
      throw ValidationError("--mp takes a number from 1 to 4096")
    }
    if maxShardSize != nil {
      throw ValidationError("--max-shard-size and --to deepseek do not go together")
    }
    return mp ?? 1
  }

  /// The format with what stands in files.
  private func completed(_ target: Recipe.Target) throws -> Recipe.Target {
    switch target {
    case .gguf(var target):
      if let recipe { target = try target.adding(RecipeFile(path: recipe)) }
      target.importance = try gguf.importance()
      return .gguf(target)
    case .mlx(let target):
      return try recipe.map { .mlx(try target.adding(RecipeFile(path: $0))) } ?? .mlx(target)
    case .compressed(let output) where output.maker == .compressedTensors:
      return try recipe.map {
        .compressedMix(try CompressedMix(RecipeFile(path: $0), rest: output.recipe))
      } ?? target
    case .huggingFace, .deepSeek, .compressed, .compressedMix: return target
    }
  }

  /// The file type with a name.
  private func fileType(named quant: String) throws -> GGUFFileType {
    do {
      return try GGUFFileType(named: quant)
    } catch {
      let names = GGUFFileType.allCases.map { $0.name.lowercased() }
      guard Suggestion.nearest(to: quant, in: names) != nil else { throw error }
      throw unknown(quant, names)
    }
  }

  private func unknown(_ quant: String, _ names: [String]) -> ValidationError {
    let meant = Suggestion.nearest(to: quant, in: names).map { "did you mean \($0)? There are " }
    return ValidationError(
      "'\(quant)' is no type for --to \(to.rawValue): "
        + "\(meant ?? "")\(names.joined(separator: ", "))")
  }

  private func show(_ plan: Plan, _ part: ShareReport?) throws {
    let report = PlanReport(plan, source: model, output: output, part: part)
    try ReportDestination(file: nil).write { piece throws(Fault) in
      try printed.format == .json
        ? report.writeJSON(piece) : report.writeText(everyTensor: all, piece)
    }
  }
}

extension ByteSize: ExpressibleByArgument {
  /// Reads `5GB`, `512MiB` or a plain number.
  package init?(argument: String) { self.init(argument) }

  /// The size as people write it.
  package var defaultValueDescription: String { description }
}

extension BlockSize: ExpressibleByArgument {
  /// Reads `128x128`.
  package init?(argument: String) { self.init(argument) }
}

extension Recipe.MTP: ExpressibleByArgument {}
extension Recipe.ScaleFormat: ExpressibleByArgument {}
extension ProgressLine.Mode: ExpressibleByArgument {}
extension RuntimeArithmetic: ExpressibleByArgument {}
