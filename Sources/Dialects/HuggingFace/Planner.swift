internal import Codecs
package import Formats
package import Models
internal import Naming
package import Platform
package import Tensors
package import Weights

/// Decides, tensor by tensor, what becomes of a source.
package struct Planner {
  var draft: PlanDraft
  /// What the output's config will say.
  package let target: ModelConfig
  /// The `quantization_config` that takes the place of the source's.
  package let section: JSONValue?
  /// What the output's config implies, by name, for the MTP layers that are there.
  let implied: [ExactText: ExpectedTensor]
  private var unexpected: [String] = []
  var copyNotes: [String] = []

  var source: SourceModel { draft.source }
  var recipe: Recipe { draft.recipe }

  /// MTP layers that the output has.
  var writtenMTPLayers: Int { Planner.writtenMTPLayers(of: source, recipe) }

  private static func writtenMTPLayers(of source: SourceModel, _ recipe: Recipe) -> Int {
    recipe.mtp == .drop ? 0 : max(source.presentMTPLayers, source.config.mtpLayers)
  }

  /// Checks the source against its config and decides every tensor.
  ///
  /// - Throws: `.malformed` with the tensor that is missing or does not fit; `.usage` for a recipe
  ///   that this source cannot follow.
  package init(_ source: SourceModel, recipe: Recipe) throws(Fault) {
    draft = PlanDraft(source, recipe)
    try Planner.requireWritable(source, recipe)
    (target, section) = try Planner.target(of: source, recipe: recipe)
    let present = draft.presentMTPLayers
    if recipe.mtp == .only, present == 0 {
      throw Fault(
        .malformed, "has no MTP layers", file: source.checkpoint.folder,
        expected: "tensors of a layer after the first \(source.config.layers)")
    }
    var complete = target
    complete.mtpLayers = max(present, target.mtpLayers)
    implied = Dictionary(
      complete.expectedTensors().map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    try draft.check()
    for (weight, stack) in stackedWeights() {
      if let stack { try decide(weight, stack: stack) } else { try decide(weight) }
    }
    try copyCompanions()
    let written = Set(draft.tensors.map(\.entry.name))
    draft.dropped += source.weights.companions.filter { !written.contains($0.name) }.map {
      DroppedTensor(name: $0.name, reason: "tells loaders about codes that are not there now")
    }
  }

  /// The source's config with what the recipe changes about storage.
  private static func target(
    of source: SourceModel, recipe: Recipe
  ) throws(Fault) -> (ModelConfig, JSONValue?) {
    if case .compressed(let output) = recipe.target {
      return try compressedTarget(of: source, output, recipe)
    }
    if case .compressedMix(let mix) = recipe.target {
      let mtpLayers = writtenMTPLayers(of: source, recipe)
      return try compressedTarget(
        of: source, mix.section(of: source, mtpLayers: mtpLayers).section)
    }
    let target = try target(of: source.config, recipe: recipe)
    return restoringOutput(target, of: source, recipe) ?? carryingFP4(target, of: source, recipe)
  }

  /// The source's config with what the recipe changes about storage in a Hugging Face checkpoint.
  private static func target(
    of config: ModelConfig, recipe: Recipe
  ) throws(Fault) -> ModelConfig {
    var target = config
    guard let weights = recipe.weights else { return target }
    target.compressed = nil
    guard weights.type == .f8E4M3 else {
      target.fp8 = nil
      target.dataType = weights.type
      return target
    }
    let block = recipe.blockSize
    let powerOfTwo = recipe.scaleFormat.map { $0 == .ue8m0 }
    guard let fp8 = config.fp8 else {
      let block = block ?? config.compressed?.fp8Block ?? .deepSeek
      target.fp8 = ModelConfig.FP8Quantization(
        blocks: .init(rows: block.rows, columns: block.columns),
        powerOfTwoScales: powerOfTwo ?? false, excludedModules: [])
      return target
    }
    let sourceBlock = fp8.blocks.map { BlockSize($0) }
    var isKept = block ?? sourceBlock == sourceBlock
    // DeepSeek's code knows blocks alone.
    if case .deepSeek = recipe.target, sourceBlock == nil { isKept = false }
    guard isKept, powerOfTwo ?? fp8.powerOfTwoScales == fp8.powerOfTwoScales else {
      throw Fault(
        .usage, "is FP8 with other blocks or scales and would be quantized twice",
        file: "the source", expected: "a conversion to bf16 first")
    }
    return target
  }

  /// Lines about what is carried along or does not agree with the config.
  package var warnings: [String] {
    var warnings: [String] = []
    if !unexpected.isEmpty {
      let names = unexpected.prefix(3).joined(separator: ", ") + (unexpected.count > 3 ? ", …" : "")
      warnings.append(
        "\(unexpected.count) tensors that the config does not imply are carried along: \(names)")
    }
    let present = draft.presentMTPLayers
    if present != source.config.mtpLayers, recipe.mtp != .drop {
      warnings.append(
        "config.json declares \(source.config.mtpLayers) MTP layers and \(present) are there")
    }
    if recipe.mtp == .only {
      warnings.append("the output holds the MTP layers alone: no loader can run it by itself")
    }
    if recipe.weights?.type == .f16 {
      warnings.append("F16 ends at 65504: a larger weight stops the conversion")
    }
    warnings += copyNotes + compressedWarnings + fp4Warnings
    return warnings + source.notes + source.storageNotes + source.skippedFiles
  }

  private mutating func decide(_ own: SourceWeight) throws(Fault) {
    if let reason = draft.absence(ofLayerOf: own.name) {
      draft.dropped += own.dropped(reason)
      return
    }
    let weight = shared(own)
    let expected = implied[weight.name]
    let isOther = source.config.isOther(weight.name)
    if isOther, source.config.envelope?.leavesOthers == true { return leave(weight) }
    if expected == nil, !isOther { unexpected.append(weight.name.text) }
    if isOther { return try add(weight, weight.type, "another part of the model: kept as it is") }
    if recipe.target.maker != nil { return try decideCompressed(weight, expected) }
    if expected?.storage == .indices { return try addTable(weight) }
    guard let weights = recipe.weights else { return try keep(weight, expected) }
    if expected?.storage == .float32 {
      // The bias is added to scores before the top experts are chosen; rounded to 8 bits of
      // mantissa it would send tokens elsewhere. transformers and DeepSeek keep it in F32 too.
      let routes = expected?.part == .router
      return try add(weight, .f32, (routes ? "decides routing: " : "") + "always F32")
    }
    if weights.type == .f8E4M3 { return try decideFP8(weight, expected) }
    if weight.isCode {
      return try add(weight, weights.type, decoding(weight))
    }
    guard expected != nil else {
      return try add(weight, weight.type, "not implied by the config: carried along")
    }
    try add(
      weight, weights.type,
      weight.type == weights.type && weight.assembly.single != nil
        ? "has the type already"
        : weight.arrangement ?? "asked for by --quant \(weights.name)")
  }

  /// Decides what stays in the type that it has.
  private mutating func keep(
    _ weight: SourceWeight, _ expected: ExpectedTensor?
  ) throws(Fault) {
    if try moveOutput(weight, expected) { return }
    if try carryFP8(weight, "kept as it is", "kept as they are") { return }
    if try copyFP4(weight) { return }
    if try carryFP4(weight, expected) { return }
    guard !weight.isCode else {
      throw Fault(
        .usage, "is quantized in a way that Hugging Face checkpoints do not know",
        file: source.weights.path(of: weight.assembly.first.tensor), tensor: weight.name,
        expected: "--quant bf16, f16, f32 or fp8", found: weight.type.rawValue)
    }
    // GGUF files have vectors in F32 whatever their type; Hugging Face's have one type for all that
    // is not quantized.
    if source.format == .gguf, expected?.storage.isPlain == true, let type = target.dataType {
      return try add(
        weight, type, weight.type == type ? weight.kept : "has the type of the other weights")
    }
    try add(weight, weight.type, weight.kept)
  }

  /// The type of what is not quantized in an output that is: its own, but that GGUF files have
  /// vectors in F32 whatever their type, where Hugging Face's have one type for all of it.
  package func plainType(of weight: SourceWeight) -> ElementType {
    weight.isCode || source.format == .gguf ? source.config.dataType ?? .bf16 : weight.type
  }

  /// Decides what an FP8 checkpoint holds.
  private mutating func decideFP8(
    _ weight: SourceWeight, _ expected: ExpectedTensor?
  ) throws(Fault) {
    let reason = weight.assembly.first.scaling == nil ? "FP8 without scales" : "FP8 already"
    if try carryFP8(weight, reason, "scales of an FP8 weight that is copied") { return }
    guard let expected, expected.storage == .fp8 else {
      return try add(
        weight, plainType(of: weight),
        expected.map { "\($0.part.rawValue): not stored in FP8 by DeepSeek-V3" }
          ?? "not implied by the config: carried along")
    }
    guard let fp8 = target.fp8, let blocks = fp8.blocks,
      let grid = fp8.scaleShape(of: weight.shape)
    else {
      return try add(
        weight, plainType(of: weight), "not in FP8 in the source, whose scales have no blocks")
    }
    let block = BlockSize(blocks)
    let powerOfTwo = fp8.powerOfTwoScales
    let quantization = Quantization(.blocks(block, powerOfTwo ? .powerOfTwo : .f32))
    try add(
      weight, .f8E4M3, "\(expected.part.rawValue): a linear layer that DeepSeek-V3 stores in FP8",
      operation: .quantize(quantization, .codes))
    try add(
      weight, .f32,
      "one per \(block.rows)×\(block.columns) block" + (powerOfTwo ? ", powers of two" : ""),
      operation: .quantize(quantization, .scales),
      name: ExpectedTensor.scaleName(for: weight.name), shape: grid)
  }

  /// Copies codes of FP8, with their scales where there are any; returns whether the weight is such.
  private mutating func carryFP8(
    _ weight: SourceWeight, _ reason: String, _ scaleReason: String
  ) throws(Fault) -> Bool {
    let assembly = weight.assembly
    guard assembly.allLeaves({ tensor, _ in tensor.type == .f8E4M3 }) else { return false }
    guard assembly.first.scaling != nil else {
      try add(weight, .f8E4M3, reason)
      return true
    }
    if case .huggingFace = recipe.target, source.format == .safetensors,
      recipe.weights == nil || target.fp8?.blocks == nil
    {
      try copyFP8(weight, reason, scaleReason)
      return true
    }
    guard let block = target.fp8?.blocks.map({ BlockSize($0) }),
      let moved = Carrying.parts(of: weight.assembly, as: .blocks(block, .f8E4M3)),
      var scales = moved.scales,
      let grid = Shape([scales.assembly.rows, scales.assembly.columns])
    else { return false }
    try add(SourceWeight(weight.name, weight.shape, moved.codes.assembly), .f8E4M3, reason)
    let stored = scales.type
    let isKept = [.f32, .f8E8M0].contains(stored)
    // Loaders of this format do not expect scales in other types; F32 holds them.
    if !isKept { scales = scales.converted(to: .f32) }
    try append(
      OutputLayout.Entry(
        name: ExpectedTensor.scaleName(for: weight.name), type: scales.type, shape: grid),
      scales.assembly, scales.operation, scaleReason, of: weight,
      isCarried: stored != scales.type)
    return true
  }

  /// Copies codes and all that stands beside them as a checkpoint of this format has it.
  private mutating func copyFP8(
    _ weight: SourceWeight, _ reason: String, _ scaleReason: String
  ) throws(Fault) {
    let codes = Assembly(weight.assembly.first.tensor)
    try add(SourceWeight(weight.name, weight.shape, codes), .f8E4M3, reason)
    let inventory = source.weights.inventory
    let scales = weight.assembly.leaves.flatMap { $0.scaling?.stored ?? [] }
    for stored in scales.map({ inventory.tensors[$0.index] }) {
      try append(
        OutputLayout.Entry(
          name: source.config.ownName(of: stored.name), type: stored.type, shape: stored.shape),
        Assembly(stored), .copy, scaleReason, of: weight)
    }
  }

  /// Copies what says something of codes that stay what they are.
  mutating func copyCompanions() throws(Fault) {
    guard case .huggingFace = recipe.target, source.format == .safetensors, target.fp8 != nil else {
      return
    }
    let kept = Set(draft.tensors.lazy.filter { $0.entry.type == .f8E4M3 }.map(\.entry.name))
    for stored in source.weights.companions {
      guard let name = CodeCompanion(stored, { source.weights.inventory[$0] })?.weight,
        kept.contains(name), let weight = source.weights[source.config.ownName(of: name)]
      else { continue }
      try append(
        OutputLayout.Entry(
          name: source.config.ownName(of: stored.name), type: stored.type, shape: stored.shape),
        Assembly(stored), .copy, "kept with the codes that it stands beside", of: weight)
    }
  }

  /// Why codes become plain numbers.
  func decoding(_ weight: SourceWeight) -> String {
    switch weight.assembly.first.scaling?.kind {
    case nil: "\(weight.type.rawValue) blocks decoded"
    case .blocks(let block) where block.columns == weight.assembly.columns:
      (weight.type == .i8 ? "INT8" : "FP8")
        + (block.rows == 1 ? " × scale per row" : " × its scale")
    case .blocks(let block): "FP8 × scale per \(block.rows)×\(block.columns) block"
    case .groups(let scheme): "\(scheme) decoded"
    case .number: "\(weight.type.rawValue) × one number"
    }
  }

  /// Adds a tensor of the output.
  package mutating func append(
    _ entry: OutputLayout.Entry?, _ assembly: Assembly, _ operation: Operation, _ reason: String,
    of weight: SourceWeight, isCarried: Bool = false
  ) throws(Fault) {
    try draft.add(
      entry.map { $0.renamed(source.config.writtenName(of: $0.name)) }, assembly, operation, reason,
      of: weight.name, isCarried: isCarried)
  }

  /// Decides on a weight: what it becomes, under which name, and why.
  package mutating func add(
    _ weight: SourceWeight, _ type: ElementType, _ reason: String, operation: Operation? = nil,
    name: ExactText? = nil, shape: Shape? = nil
  ) throws(Fault) {
    try append(
      OutputLayout.Entry(name: name ?? weight.name, type: type, shape: shape ?? weight.shape),
      weight.assembly, operation ?? weight.assembly.operation(to: type), reason, of: weight)
    guard operation == nil, type != .f8E4M3 else { return }
    for stored in weight.assembly.leaves.flatMap({ $0.scaling?.stored ?? [] }) {
      draft.dropped.append(
        DroppedTensor(name: stored.name, reason: "scales, multiplied into their weight"))
    }
  }
}

extension SourceWeight {
  /// Why it is put together; nil where it is one stored tensor.
  fileprivate var arrangement: String? {
    switch assembly.form {
    case .stored: nil
    case .joined: "keys and values joined again"
    case .stacked, .beside, .slices, .transposedSlices, .columns: "put together again"
    }
  }

  /// Why it stays what it is.
  fileprivate var kept: String { arrangement ?? "kept as it is" }

  /// Whether it is stored in blocks, or as codes with scales beside them.
  package var isCode: Bool {
    assembly.leaves.contains { $0.tensor.type.isBlock || $0.scaling != nil }
  }
}
