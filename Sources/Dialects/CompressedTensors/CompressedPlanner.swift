internal import Codecs
internal import Formats
package import Models
package import Platform
package import Tensors
package import Weights

/// What becomes of weights in a checkpoint in compressed-tensors' formats, or ModelOpt's.
extension Planner {
  /// The source's config with the section that a recipe asks for, and that section where it is
  /// another than the source's.
  package static func compressedTarget(
    of source: SourceModel, _ output: CompressedOutput, _ recipe: Recipe
  ) throws(Fault) -> (ModelConfig, JSONValue?) {
    let target = source.config
    let isKept = output.recipe == nil
    guard
      var compressed = output.recipe ?? CompressedRecipe(keeping: source, for: output.maker)
    else {
      try requireKept(source, output)
      return (target, nil)
    }
    // What is FP8 already keeps its blocks, and so its codes.
    let own =
      source.config.fp8?.blocks.map { BlockSize($0) } ?? source.config.compressed?.fp8Block
    if let block = recipe.blockSize ?? own {
      compressed = compressed.with(block)
    }
    // What another program stores as codes stays so, and what it left plain too.
    let ignored =
      isKept && (output.maker == .modelOpt || source.config.otherMaker != nil)
      ? CompressedRecipe.always(in: source.config, for: output.maker) + plainModules(of: source)
      : compressed.ignored(in: source.config)
    let allIgnored = ignored + CompressedRecipe.others(in: source, for: output.maker)
    let section: JSONValue =
      output.maker == .modelOpt
      ? .object(
        ModelOptStorage.section(
          hasInputs: compressed.scheme.inputs != .none, excluding: allIgnored))
      : compressed.scheme.section(ignored: allIgnored)
    return try compressedTarget(of: source, section)
  }

  /// The source's config with another section.
  package static func compressedTarget(
    of source: SourceModel, _ section: JSONValue
  ) throws(Fault) -> (ModelConfig, JSONValue?) {
    var target = source.config
    target.fp8 = nil
    target.compressed = try ModelConfig.compressed(section: section, file: "config.json")
    return (target, section)
  }

  /// Throws `.usage` where a source does not have the codes that it is to keep.
  private static func requireKept(
    _ source: SourceModel, _ output: CompressedOutput
  ) throws(Fault) {
    let (maker, found) = (source.config.otherMaker, source.config.compressed)
    guard found == nil || (maker ?? .compressedTensors) != output.maker else { return }
    let asked = "--quant \(CompressedRecipe.names(of: output.maker).joined(separator: ", "))"
    guard output.maker == .compressedTensors, let title = maker?.title else {
      let what =
        output.maker == .modelOpt
        ? "has no NVFP4, or has other codes beside it"
        : "has no weights in a format of \(output.target.rawValue)"
      throw Fault(.usage, what, file: source.checkpoint.folder, expected: asked)
    }
    throw Fault(
      .usage,
      "is stored in the form of \(title)"
        + (source.isInActivationOrder
          ? " and in activation order, which compressed-tensors 0.20 reads no more"
          : ", which is read and not written"),
      file: source.checkpoint.folder, expected: asked)
  }

  /// Modules whose weights could be codes and are none, by their paths.
  private static func plainModules(of source: SourceModel) -> [String] {
    source.config.expectedTensors().compactMap { tensor in
      guard tensor.moduleClass == .linear, let module = tensor.module,
        ![.head, .headCopy, .mtpInput].contains(tensor.part),
        source.weights[tensor.name]?.isCode == false
      else { return nil }
      return source.config.storedName(of: module).text
    }
  }

  /// What loaders will do with the output, where that is not plain.
  package var compressedWarnings: [String] {
    guard let compressed = target.compressed, let maker = recipe.target.maker else {
      return []
    }
    var warnings = LoaderLimit.lines(LoaderLimit.transformersCompressed, for: target)
    for scheme in Set(compressed.groups.compactMap(\.scheme)).sorted(by: { "\($0)" < "\($1)" }) {
      // Source: vLLM's pull requests 41769 and 42428.
      if maker == .modelOpt, scheme.inputs == .none {
        warnings.append(
          "activations have no scales: the file says W4A16_NVFP4, weights in FP4 and activations in "
            + "16 bits, which vLLM takes for linear layers since May 2026, and not in all versions for "
            + "experts; NVFP4 with input_scale, which older versions and TensorRT-LLM expect, is written "
            + "of sources that have such scales")
      }
      if !scheme.isSymmetric, scheme.format == .packed {
        warnings.append("\(scheme): vLLM has no kernels for experts with zero points")
      }
      if case .block(let rows, let columns) = scheme.geometry, (rows, columns) != (128, 128) {
        warnings.append("\(scheme): vLLM's kernels take blocks of 128 × 128 alone")
      }
    }
    if target.compressed != nil, draft.presentMTPLayers > 0, recipe.mtp == .keep {
      warnings.append(
        "MTP layers are stored as the others are, eh_proj and the head as they were: vLLM and SGLang "
          + "load them so, transformers leaves them out")
    }
    return warnings
  }

  /// Decides what stands in place of a weight.
  package mutating func decideCompressed(
    _ weight: SourceWeight, _ expected: ExpectedTensor?
  ) throws(Fault) {
    guard let expected else {
      return try add(weight, plainType(of: weight), "not implied by the config: carried along")
    }
    switch expected.storage {
    case .float32: try add(weight, .f32, "decides routing: always F32")
    case .compressed(let named):
      var scheme = named
      // What is kept keeps its order, whether or not the config tells of it.
      if section == nil, case .ordered? = weight.assembly.codeForm {
        scheme = named.ordered ?? named
      }
      guard scheme.tensors(of: weight.shape) != nil else {
        throw Fault(
          .usage, "has rows that are no whole groups",
          file: source.weights.path(of: weight.assembly.first.tensor), tensor: weight.name,
          expected: "another --quant", found: "\(weight.shape) for \(scheme)")
      }
      let form = scheme.form(of: weight.shape)
      if let moved = Carrying.parts(of: weight.assembly, as: form) {
        try carry(weight, moved, scheme)
      } else {
        guard !scheme.isOrdered else {
          throw Fault(
            .usage, "is not stored in activation order, as quantization_config has it",
            file: source.weights.path(of: weight.assembly.first.tensor), tensor: weight.name,
            expected: "--quant, which quantizes without one")
        }
        try quantize(weight, scheme, as: weight.plainType ?? source.config.dataType ?? .bf16)
      }
    case .plain, .plainOrFloat32, .fp8, .fp4, .indices, .scale:
      let reason =
        expected.moduleClass == nil
        ? "\(expected.part.rawValue): loaders quantize no such module"
        : "\(expected.part.rawValue): on quantization_config's ignore list"
      try add(weight, plainType(of: weight), reason)
    }
  }

  /// Moves codes, scales and what belongs to them to their names in this format.
  private mutating func carry(
    _ weight: SourceWeight, _ moved: CarriedParts, _ scheme: CompressedScheme
  ) throws(Fault) {
    func move(_ part: CompressedTensor, _ stored: CarriedParts.Part?) throws(Fault) {
      guard let stored else { preconditionFailure("\(scheme) has \(part.role.rawValue)") }
      // Scales may have a type that the format has no place for: F32 holds them all.
      let isKept = part.role != .scales || part.types.contains(stored.type)
      let kept = isKept ? stored : stored.converted(to: .f32)
      try add(
        weight, part, kept.type, kept.assembly, kept.operation,
        "\(part.role.rawValue) of \(scheme), \(moved.origin)",
        isCarried: !isKept || moved.isConverted)
    }
    for part in scheme.tensors(of: weight.shape) ?? [] {
      switch part.role {
      case .codes: try move(part, moved.codes)
      case .scales: try move(part, moved.scales)
      case .zeroPoints: try move(part, moved.offsets)
      case .globalScale where moved.globalScale == nil:
        try add(
          weight, part, .constant(Float(1).littleEndianBytes), "a global scale of one")
      case .globalScale: try move(part, moved.globalScale)
      case .columnGroups: try move(part, moved.columnGroups)
      case .shape, .inputs: try addCompanion(weight, part)
      }
    }
  }

  /// Quantizes a weight, each part by itself.
  private mutating func quantize(
    _ weight: SourceWeight, _ scheme: CompressedScheme, as type: ElementType
  ) throws(Fault) {
    guard SourceWeights.plainTypes.contains(type) else {
      preconditionFailure("\(type.rawValue) is no type of plain numbers")
    }
    let method: Quantization.Method
    if let groups = scheme.groups {
      method = .groups(groups)
    } else {
      let block = scheme.block(of: weight.shape)
      method = .blocks(BlockSize(rows: block.rows, columns: block.columns), .sourceType)
    }
    let joined = scheme.format == .nvfp4 ? joined(with: weight) : []
    let quantization = Quantization(method, of: type, joined: joined)
    for part in scheme.tensors(of: weight.shape) ?? [] {
      let reason =
        part.role == .codes
        ? "\(scheme), as asked for" : "\(part.role.rawValue) of \(scheme)"
      switch part.role {
      case .codes:
        try add(
          weight, part, scheme.codeType, weight.assembly, .quantize(quantization, .codes), reason)
      case .scales:
        try add(
          weight, part, scheme.groups?.scaleType(of: type) ?? type, weight.assembly,
          .quantize(quantization, .scales), reason)
      case .zeroPoints:
        try add(weight, part, .i32, weight.assembly, .quantize(quantization, .offsets), reason)
      case .globalScale:
        try add(
          weight, part, .f32, weight.assembly, .quantize(quantization, .globalScale),
          joined.count > 1 ? "\(reason), one for all that loaders join" : reason)
      case .columnGroups: preconditionFailure("no recipe has columns in another order")
      case .shape, .inputs: try addCompanion(weight, part)
      }
    }
  }

  /// The weights that loaders join to one matrix with one global scale: vLLM's `gate_up_proj`,
  /// `fused_qkv_a_proj` and the first of two matrices of an expert.
  private func joined(with weight: SourceWeight) -> [Assembly] {
    for pair in [("gate_proj", "up_proj"), ("q_a_proj", "kv_a_proj_with_mqa")] {
      for (own, other) in [pair, (pair.1, pair.0)] {
        guard let stem = weight.name.without(suffix: ".\(own).weight") else { continue }
        let partner = source.weights["\(stem).\(other).weight"]
        // In the order of their names, so that both parts of a pair have one list.
        let all = [weight, partner].compactMap { $0 }.sorted { $0.name < $1.name }
        return all.map(\.assembly)
      }
    }
    return [weight.assembly]
  }

  /// What says something about a weight: as the source has it, or the weight's shape.
  private mutating func addCompanion(
    _ weight: SourceWeight, _ part: CompressedTensor
  ) throws(Fault) {
    let name = source.config.storedName(of: weight.name(ofPart: part))
    if source.format == .compressedTensors, let stored = source.weights.inventory[name],
      part.admits(stored.shape), part.types.contains(stored.type)
    {
      try add(weight, part, stored.type, Assembly(stored), .copy, "kept as it is")
    } else if part.role == .inputs, let stored = source.scaleOfInputs(of: weight),
      recipe.target.maker == .modelOpt
    {
      // What the one multiplies by, the other divides by.
      try add(
        weight, part, .f32, Assembly(stored), .change(.reciprocal), "one divided by \(stored.name)",
        isCarried: true)
    } else if part.role == .shape {
      let bytes = weight.shape.dimensions.flatMap { Int64($0).littleEndianBytes }
      try add(weight, part, .constant(bytes), "the shape of what is packed")
    }
  }

  private mutating func add(
    _ weight: SourceWeight, _ part: CompressedTensor, _ operation: Operation, _ reason: String
  ) throws(Fault) {
    try add(weight, part, part.types[0], weight.assembly, operation, reason)
  }

  /// A part under its name, codes in the wider elements that the format keeps them in.
  private mutating func add(
    _ weight: SourceWeight, _ part: CompressedTensor, _ type: ElementType, _ assembly: Assembly,
    _ operation: Operation, _ reason: String, isCarried: Bool = false
  ) throws(Fault) {
    let name = weight.name(ofPart: part)
    // The library reads powers of two from bytes, whatever safetensors could call them.
    let container: ElementType? =
      type == .f8E8M0 ? .u8 : part.types.contains(type) ? nil : part.types[0]
    let shape = part.role == .codes ? weight.shape : part.shape
    let entry =
      container.map { OutputLayout.Entry(name: name, type: type, shape: shape, in: $0) }
      ?? OutputLayout.Entry(name: name, type: type, shape: shape)
    try append(entry, assembly, operation, reason, of: weight, isCarried: isCarried)
  }
}

extension CompressedScheme {
  /// What the numbers of a matrix are made of in this scheme.
  package func form(of shape: Shape) -> CodeForm {
    if let groups { return isOrdered ? .ordered(groups) : .groups(groups) }
    let block = block(of: shape)
    return .blocks(BlockSize(rows: block.rows, columns: block.columns), codeType)
  }

  /// The type of a code.
  package var codeType: ElementType {
    groups?.code ?? (number == .float8 ? .f8E4M3 : .i8)
  }
}

extension SourceModel {
  /// Whether columns of a weight that share a scale are not adjacent.
  package var isInActivationOrder: Bool {
    weights.all.contains { $0.assembly.first.scaling?.columnGroups != nil }
  }
}

extension CompressedTensorsConfig {
  /// The one size of its FP8 blocks.
  package var fp8Block: BlockSize? {
    fp8Blocks.map { BlockSize(rows: $0.rows, columns: $0.columns) }
  }
}

extension SourceWeight {
  /// The type of plain numbers that all of it is stored in; nil for codes and mixtures.
  package var plainType: ElementType? {
    let type = assembly.first.tensor.type
    return SourceWeights.plainTypes.contains(type)
      && assembly.leaves.allSatisfy { $0.tensor.type == type && $0.scaling == nil } ? type : nil
  }
}

extension FixedWidthInteger {
  /// As it is stored.
  package var littleEndianBytes: [UInt8] { Swift.withUnsafeBytes(of: littleEndian) { Array($0) } }
}

extension Float {
  /// As it is stored.
  package var littleEndianBytes: [UInt8] { bitPattern.littleEndianBytes }
}

extension SourceWeight {
  /// The name of what is stored in its place or beside it.
  fileprivate func name(ofPart part: CompressedTensor) -> ExactText {
    (name.without(suffix: "weight") ?? name) + part.name
  }
}
