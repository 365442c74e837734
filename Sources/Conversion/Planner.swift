internal import Formats
internal import Models
internal import Platform
internal import Tensors

/// Decides, tensor by tensor, what becomes of a source.
struct Planner {
  let source: SourceModel
  let recipe: Recipe
  /// What the output's config will say.
  let target: DeepSeekV3Config
  /// What the output's config implies, by name, for the MTP layers that are there.
  private let implied: [String: ExpectedTensor]
  private(set) var tensors: [PlannedTensor] = []
  private(set) var dropped: [DroppedTensor] = []
  private var unexpected: [String] = []

  /// Checks the source against its config and decides every tensor.
  ///
  /// - Throws: `.malformed` with the tensor that is missing or does not fit; `.usage` for a recipe
  ///   that this source cannot follow.
  init(_ source: SourceModel, recipe: Recipe) throws(Fault) {
    self.source = source
    self.recipe = recipe
    target = try Planner.target(of: source.config, recipe: recipe)
    let present = source.presentMTPLayers()
    if recipe.mtp == .only, present == 0 {
      throw Fault(
        .malformed, "has no MTP layers", file: source.checkpoint.folder,
        expected: "tensors of a layer after the first \(source.config.layers)")
    }
    var complete = target
    complete.mtpLayers = max(present, target.mtpLayers)
    implied = Dictionary(
      complete.expectedTensors().map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    try SourceCheck(source: source, mtp: recipe.mtp, presentMTPLayers: present).run()
    for tensor in source.checkpoint.inventory.tensors { try decide(tensor) }
  }

  /// The source's config with what the recipe changes about storage.
  private static func target(
    of config: DeepSeekV3Config, recipe: Recipe
  ) throws(Fault) -> DeepSeekV3Config {
    var target = config
    guard let weights = recipe.weights else { return target }
    guard weights.type == .f8E4M3 else {
      target.fp8 = nil
      target.dataType = weights.type
      return target
    }
    let block = recipe.blockSize
    let powerOfTwo = recipe.scaleFormat.map { $0 == .ue8m0 }
    guard let fp8 = config.fp8 else {
      let block = block ?? .deepSeek
      target.fp8 = DeepSeekV3Config.FP8Quantization(
        blockRows: block.rows, blockColumns: block.columns,
        powerOfTwoScales: powerOfTwo ?? false, excludedModules: [])
      return target
    }
    let sourceBlock = BlockSize(rows: fp8.blockRows, columns: fp8.blockColumns)
    guard block ?? sourceBlock == sourceBlock,
      powerOfTwo ?? fp8.powerOfTwoScales == fp8.powerOfTwoScales
    else {
      throw Fault(
        .usage, "is FP8 with other blocks or scales and would be quantized twice",
        file: "the source", expected: "a conversion to bf16 first")
    }
    return target
  }

  /// Lines about what is carried along or does not agree with the config.
  var warnings: [String] {
    var warnings: [String] = []
    if !unexpected.isEmpty {
      let names = unexpected.prefix(3).map(\.printable).joined(separator: ", ")
      warnings.append(
        "\(unexpected.count) tensors that the config does not imply are carried along: \(names)"
          + (unexpected.count > 3 ? ", …" : ""))
    }
    let present = source.presentMTPLayers()
    if present != source.config.mtpLayers, recipe.mtp != .drop {
      warnings.append(
        "config.json declares \(source.config.mtpLayers) MTP layers and \(present) are there")
    }
    if recipe.mtp == .only {
      warnings.append("the output holds the MTP layers alone: no loader can run it by itself")
    }
    if recipe.weights?.type == .f16 {
      warnings.append("F16 ends at 65504: larger weights become infinite")
    }
    if let gguf = source.gguf {
      warnings += gguf.notes
      warnings.append("a GGUF file's tokenizer is not turned into tokenizer.json")
    }
    return warnings + source.skippedFiles
  }

  private mutating func decide(_ tensor: StoredTensor) throws(Fault) {
    let isMTP = (SourceModel.layer(of: tensor.name) ?? -1) >= source.config.layers
    if recipe.mtp != .keep, isMTP != (recipe.mtp == .only) {
      dropped.append(
        DroppedTensor(
          name: tensor.name,
          reason: isMTP ? "--mtp drop leaves MTP layers out" : "--mtp only keeps MTP layers alone"))
      return
    }
    if source.gguf != nil, try decideGGUF(tensor) { return }
    let expected = implied[tensor.name]
    let scaled = scalesWeight(tensor)
    if expected == nil, !scaled { unexpected.append(tensor.name) }
    guard let weights = recipe.weights else {
      return try add(tensor, tensor.type, .copy, "kept as it is")
    }
    if scaled {
      guard weights.type != .f8E4M3 else {
        return try add(tensor, tensor.type, .copy, "scales of an FP8 weight that is copied")
      }
      dropped.append(
        DroppedTensor(name: tensor.name, reason: "scales, multiplied into their weight"))
      return
    }
    if tensor.type == .f8E4M3 { return try decideFP8(tensor, weights) }
    guard let expected else {
      return try add(tensor, tensor.type, .copy, "not implied by the config: carried along")
    }
    try decidePlain(tensor, expected, weights)
  }

  /// Decides what only a GGUF file has: blocks, and matrices in two halves.
  ///
  /// - Returns: whether the tensor is one of those.
  private mutating func decideGGUF(_ tensor: StoredTensor) throws(Fault) -> Bool {
    if let weights = recipe.weights, weights.type == .f8E4M3 {
      throw Fault(
        .usage, "is a GGUF file, which is not turned into FP8 in one step",
        file: source.path(of: tensor), expected: "a conversion to bf16 first")
    }
    let isHalf = HalfNames.joint(of: tensor.name) != nil
    guard isHalf || tensor.type.isBlock else { return false }
    guard let type = recipe.weights?.type ?? (tensor.type.isBlock ? nil : tensor.type) else {
      throw Fault(
        .usage, "is quantized in blocks, which safetensors files do not know",
        file: source.path(of: tensor), tensor: tensor.name, expected: "--quant bf16, f16 or f32",
        found: tensor.type.rawValue)
    }
    guard let name = HalfNames.joint(of: tensor.name),
      let halves = JointKeyValues(
        of: name, in: source.checkpoint.inventory, config: source.config)
    else {
      try add(
        tensor, implied[tensor.name]?.storage == .float32 ? .f32 : type,
        .assemble(Assembly(parts: [Assembly.Part(tensor)], rows: .stacked)),
        "\(tensor.type.rawValue) blocks decoded")
      return true
    }
    // Each pair is met twice; the keys stand for it.
    guard halves.keys.name == tensor.name else { return true }
    try add(
      tensor, type, .assemble(halves.assembly(source.config)), "keys and values joined again",
      name: name, shape: halves.shape)
    return true
  }

  /// Whether a tensor is the grid of scales of an FP8 weight.
  private func scalesWeight(_ tensor: StoredTensor) -> Bool {
    guard let name = ExpectedTensor.weightName(ofScale: tensor.name) else { return false }
    return source.checkpoint.inventory[name]?.type == .f8E4M3
  }

  private mutating func decideFP8(
    _ tensor: StoredTensor, _ weights: WeightStorage
  ) throws(Fault) {
    let scales = source.checkpoint.inventory[ExpectedTensor.scaleName(for: tensor.name)]
    guard let scales, weights.type != .f8E4M3 else {
      return try add(
        tensor, tensor.type, .copy, scales == nil ? "FP8 without scales" : "FP8 already")
    }
    guard let fp8 = source.config.fp8 else {
      throw Fault(
        .malformed, "is FP8 while the config has no quantization_config",
        file: source.path(of: tensor), tensor: tensor.name, expected: "weight_block_size",
        found: "nothing")
    }
    let block = BlockSize(rows: fp8.blockRows, columns: fp8.blockColumns)
    try add(
      tensor, weights.type, .dequantize(block),
      "FP8 × scale per \(block.rows)×\(block.columns) block", scales: scales)
  }

  private mutating func decidePlain(
    _ tensor: StoredTensor, _ expected: ExpectedTensor, _ weights: WeightStorage
  ) throws(Fault) {
    switch expected.storage {
    case .float32:
      // The bias is added to sigmoids before the top experts are chosen; rounded to 8 bits of
      // mantissa it would send tokens elsewhere. transformers and DeepSeek keep it in F32 too.
      try add(tensor, .f32, tensor.type == .f32 ? .copy : .cast, "decides routing: always F32")
    case .fp8:
      guard let fp8 = target.fp8 else { preconditionFailure("FP8 is implied by no section") }
      let block = BlockSize(rows: fp8.blockRows, columns: fp8.blockColumns)
      let powerOfTwo = fp8.powerOfTwoScales
      let size = "\(block.rows)×\(block.columns)"
      try add(
        tensor, .f8E4M3, .quantize(block, powerOfTwo: powerOfTwo),
        "\(expected.part.rawValue): a linear layer that DeepSeek-V3 stores in FP8")
      guard let grid = fp8.scaleShape(of: tensor.shape) else {
        preconditionFailure("the config implies a matrix")
      }
      try add(
        tensor, .f32, .scales(block, powerOfTwo: powerOfTwo),
        "one per \(size) block" + (powerOfTwo ? ", powers of two" : ""),
        name: ExpectedTensor.scaleName(for: tensor.name), shape: grid)
    case .plain where weights.type == .f8E4M3:
      try add(
        tensor, tensor.type, .copy, "\(expected.part.rawValue): not stored in FP8 by DeepSeek-V3")
    case .plain:
      let same = tensor.type == weights.type
      try add(
        tensor, weights.type, same ? .copy : .cast,
        same ? "has the type already" : "asked for by --quant \(weights.name)")
    case .scale: preconditionFailure("a grid without its FP8 weight was refused")
    }
  }

  private mutating func add(
    _ tensor: StoredTensor, _ type: ElementType, _ operation: Operation, _ reason: String,
    scales: StoredTensor? = nil, name: String? = nil, shape: Shape? = nil
  ) throws(Fault) {
    let entry = SafetensorsWriterLayout.Entry(
      name: name ?? tensor.name, type: type, shape: shape ?? tensor.shape)
    guard let entry else {
      throw Fault(
        .malformed, "becomes too large", file: source.path(of: tensor), tensor: tensor.name)
    }
    tensors.append(
      PlannedTensor(
        entry: entry, source: tensor, scales: scales, operation: operation, reason: reason))
  }
}

extension SourceModel {
  /// The path of the file that holds a tensor.
  func path(of tensor: StoredTensor) -> String {
    checkpoint.inventory.shards[tensor.shard].file.path
  }
}
