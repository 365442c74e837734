internal import Codecs
internal import Formats
internal import Models
internal import Naming
internal import Platform
internal import Tensors
internal import Weights

/// Routed experts of DeepSeek-V4 in FP4.
extension Planner {
  /// Copies codes and scales as they are stored, two codes in a byte of I8.
  ///
  /// - Returns: whether the weight is such.
  mutating func copyFP4(_ weight: SourceWeight) throws(Fault) -> Bool {
    guard source.config.v4?.hasFP4Experts == true, weight.type == .f4,
      let (tensor, scaling) = weight.assembly.single, let scales = scaling?.scales,
      let bytes = Shape([tensor.shape.dimensions[0], tensor.shape.dimensions[1] / 2]),
      let codes = tensor.seen(as: .i8, bytes)
    else { return false }
    if isForDeepSeek {
      try append(
        OutputLayout.Entry(name: weight.name, type: .f4, shape: weight.shape), Assembly(tensor),
        .copy, "kept as it is, two codes in what torch calls one element", of: weight)
    } else {
      try append(
        OutputLayout.Entry(name: weight.name, type: .i8, shape: bytes), Assembly(codes), .copy,
        "kept as it is", of: weight)
    }
    try append(
      OutputLayout.Entry(
        name: ExpectedTensor.scaleName(for: weight.name), type: scales.type, shape: scales.shape),
      Assembly(scales), .copy, "kept as they are", of: weight)
    return true
  }

  private var isForDeepSeek: Bool {
    if case .deepSeek = recipe.target { true } else { false }
  }

  /// Decides on the first half of the output, which checkpoints have in FP8 and DeepSeek's shards do not.
  ///
  /// - Returns: whether the weight is such.
  mutating func moveOutput(
    _ weight: SourceWeight, _ expected: ExpectedTensor?
  ) throws(Fault) -> Bool {
    if try decodeOutput(weight) { return true }
    return try restoreOutput(weight, expected)
  }

  /// Decodes the first half of the output for DeepSeek's code, which multiplies by it in BF16.
  ///
  /// - Returns: whether the weight is such.
  private mutating func decodeOutput(_ weight: SourceWeight) throws(Fault) -> Bool {
    guard isForDeepSeek, source.config.v4 != nil, weight.isCode,
      weight.name.hasSuffix(V4Shards.output)
    else { return false }
    try add(weight, .bf16, decoding(weight) + ": DeepSeek's code multiplies by it in BF16")
    return true
  }

  /// The config of a checkpoint in FP8 whose source is shards of DeepSeek's code, and the
  /// `quantization_config` that does not leave out what they have in BF16 alone; nil for any other.
  ///
  /// Their code's script has multiplied codes by scales that are powers of two, which BF16 holds: the
  /// numbers are those of FP8, and loaders look for scales.
  static func restoringOutput(
    _ target: ModelConfig, of source: SourceModel, _ recipe: Recipe
  ) -> (ModelConfig, JSONValue?)? {
    guard case .huggingFace = recipe.target, recipe.weights == nil, source.format == .native,
      target.v4 != nil, var fp8 = target.fp8, fp8.powerOfTwoScales, fp8.blocks != nil,
      !fp8.excludedModules.isEmpty, fp8.excludedModules.allSatisfy(V4Shards.isOutput)
    else { return nil }
    fp8.excludedModules = []
    var target = target
    target.fp8 = fp8
    return (target, .object(fp8.section))
  }

  /// Gives the first half of the output codes of FP8 again that mean its numbers, and stops the
  /// conversion where none do.
  ///
  /// - Returns: whether the weight is such.
  private mutating func restoreOutput(
    _ weight: SourceWeight, _ expected: ExpectedTensor?
  ) throws(Fault) -> Bool {
    guard section != nil, source.format == .native, expected?.storage == .fp8, !weight.isCode,
      weight.name.hasSuffix(V4Shards.output), let blocks = target.fp8?.blocks,
      let grid = target.fp8?.scaleShape(of: weight.shape)
    else { return false }
    let block = BlockSize(blocks)
    let quantization = Quantization(.blocks(block, .powerOfTwo), isExact: true)
    try add(
      weight, .f8E4M3, "the numbers that it had in FP8, every one of them",
      operation: .quantize(quantization, .codes))
    try add(
      weight, .f8E8M0, "one per \(block.rows)×\(block.columns) block, powers of two",
      operation: .quantize(quantization, .scales),
      name: ExpectedTensor.scaleName(for: weight.name), shape: grid)
    return true
  }

  /// A target's config, which says that routed experts are in FP4 where those of a GGUF file are and
  /// nothing else is asked for, and the `quantization_config` that says so.
  static func carryingFP4(
    _ target: ModelConfig, of source: SourceModel, _ recipe: Recipe
  ) -> (ModelConfig, JSONValue?) {
    guard case .huggingFace = recipe.target, recipe.weights == nil, source.hasBlocksOfFP4 else {
      return (target, nil)
    }
    let block = BlockSize.deepSeek
    let fp8 = ModelConfig.FP8Quantization(
      blocks: .init(rows: block.rows, columns: block.columns), powerOfTwoScales: true,
      excludedModules: ModelConfig.DeepSeekV4.otherLinearModules)
    var target = target
    target.fp8 = fp8
    // A checkpoint has one type for all that is plain: that which holds the numbers of all others.
    let others = source.weights.all.filter { !$0.isExpert && $0.shape.dimensions.count > 1 }
    if others.contains(where: { $0.isCode || $0.type == .f16 }) { target.dataType = .f32 }
    target.v4?.hasFP4Experts = true
    return (target, .object(fp8.section))
  }

  /// Whether experts become FP4 that were blocks of a GGUF file.
  private var carriesFP4: Bool {
    target.v4?.hasFP4Experts == true && source.config.v4?.hasFP4Experts != true
  }

  /// Moves experts' codes and scales out of the blocks of a GGUF file, and decodes what it has in other
  /// blocks to F32, which rounds none of it.
  ///
  /// - Returns: whether the weight is such.
  mutating func carryFP4(
    _ weight: SourceWeight, _ expected: ExpectedTensor?
  ) throws(Fault) -> Bool {
    guard carriesFP4, weight.isCode else { return false }
    guard expected?.storage == .fp4, let scales = weight.shape.fp4Scales,
      let moved = Carrying.parts(of: weight.assembly, as: .groups(.mxfp4)), let grid = moved.scales
    else {
      try add(weight, .f32, decoding(weight))
      return true
    }
    try append(
      OutputLayout.Entry(name: weight.name, type: .f4, shape: weight.shape, in: .i8),
      moved.codes.assembly, moved.codes.operation, "codes of FP4, \(moved.origin)", of: weight,
      isCarried: moved.isConverted)
    try append(
      OutputLayout.Entry(
        name: ExpectedTensor.scaleName(for: weight.name), type: grid.type, shape: scales),
      grid.assembly, grid.operation, "scales of FP4, \(moved.origin)", of: weight,
      isCarried: moved.isConverted)
    return true
  }

  /// A line about weights that became larger than they were.
  var fp4Warnings: [String] {
    let decoded = draft.tensors.filter { carriesFP4 && $0.treatment == .dequantized }
    guard !decoded.isEmpty else { return [] }
    return [
      "\(decoded.count) weights are decoded to F32, and others are F32 with them, so that nothing is "
        + "rounded; experts stay FP4, and --quant bf16 rounds all of it"
    ]
  }

  /// Adds a table of experts, which published checkpoints have in I64 and GGUF files in I32.
  mutating func addTable(_ weight: SourceWeight) throws(Fault) {
    let isKept = source.format != .gguf
    try add(
      weight, isKept ? weight.type : .i64, "a table of experts" + (isKept ? ": kept as it is" : ""))
  }

  /// Throws `.usage` for what cannot be asked of DeepSeek-V4.
  static func requireWritable(_ source: SourceModel, _ recipe: Recipe) throws(Fault) {
    guard source.config.v4 != nil else { return }
    if let maker = recipe.target.maker {
      try SourceCheck.requireUsualLayers(
        source, of: "\(maker.title ?? "compressed-tensors")'s loaders")
    }
    guard recipe.weights?.type == .f8E4M3 else { return }
    throw Fault(
      .usage, "is DeepSeek-V4, which is not quantized to FP8 here", file: source.checkpoint.folder,
      expected: "--quant bf16, f16 or f32, or none to keep what it has",
      found: "model_type \(source.config.modelType)")
  }
}

extension SourceModel {
  /// Whether it is a GGUF file of DeepSeek-V4 all of whose routed experts are ggml's blocks of FP4.
  fileprivate var hasBlocksOfFP4: Bool {
    guard format == .gguf, config.v4 != nil else { return false }
    let experts = weights.all.filter(\.isExpert)
    return !experts.isEmpty && experts.allSatisfy { $0.assembly.codeForm == .ggml(.mxfp4) }
  }
}

extension SourceWeight {
  /// Whether it is a matrix of a routed expert.
  fileprivate var isExpert: Bool { name.contains(".mlp.experts.") }
}
