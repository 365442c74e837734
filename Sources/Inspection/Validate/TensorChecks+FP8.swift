internal import Dialects
internal import Formats
internal import Models
internal import Platform
internal import Tensors
internal import Weights

/// FP8 weights, wherever they are, with the scales that stand beside them.
extension TensorChecks {
  /// FP8 matrices that no section of the config tells of: one finding for all of them.
  mutating func checkMissingSection() {
    let matrices = fp8Matrices
    guard let first = matrices.first else { return }
    let section = fittingSection
    var finding = Finding(
      .metadataMismatch, tensor: first.name, file: "config.json",
      expected: "\(plainType.rawValue) weights, since there is no quantization_config",
      found: "F8_E4M3 weights",
      hint: section.map { "config.json lost its quantization_config: \($0) fits these scales" }
        ?? "config.json lost its quantization_config, and the scales show no one block size")
    finding.count = matrices.count
    finding.examples = matrices.prefix(FindingCollector.exampleLimit).map(\.name)
    collector.add(finding, pattern: nil)
  }

  /// All FP8 matrices, those of the network first.
  private var fp8Matrices: [StoredTensor] {
    func isMatrix(_ tensor: StoredTensor) -> Bool {
      tensor.type == .f8E4M3 && tensor.shape.dimensions.count == 2
    }
    let known = expected.compactMap { found[$0.name] }.filter(isMatrix)
    let names = Set(known.map(\.name))
    return known
      + found.tensors.filter { isMatrix($0) && !names.contains($0.name) }
      .sorted { ($0.shard, $0.offset) < ($1.shard, $1.offset) }
  }

  /// The section of the config that all scales fit; nil where there is none.
  private var fittingSection: String? {
    FP8Scales.fittingSection(fp8Matrices.map { ($0.name, $0.shape) }, in: found)
  }

  /// A section whose blocks no scales have, where all have the same others: one finding for all of
  /// them.
  ///
  /// - Returns: whether that is so.
  private mutating func checkBlockSize() -> Bool {
    guard let fp8 = config.fp8 else { return false }
    let first = fp8Matrices.first { stored in
      guard let scales = FP8Scales(of: stored.name, in: found) else { return false }
      return scales.block(of: stored.shape, fp8.blocks) == nil
    }
    guard let first, let section = fittingSection else { return false }
    let size = fp8.blocks.map { "[\($0.rows), \($0.columns)]" } ?? "none"
    collector.add(
      Finding(
        .metadataMismatch, tensor: first.name, file: "config.json",
        expected: "scales of weight_block_size, \(size)",
        found: "others beside every FP8 weight", hint: "\(section) fits these scales"),
      pattern: nil)
    return true
  }

  /// Checks a matrix of FP4 of the right shape together with its scales.
  mutating func checkFP4(_ tensor: ExpectedTensor, _ stored: StoredTensor) {
    let name = ExpectedTensor.scaleName(for: tensor.name)
    // Taken apart only where something is wrong, as few names are.
    var pattern: String { FindingCollector.pattern(of: name, wholeExperts: true) }
    guard let scales = found[name] else {
      guard !excused.contains(name) else { return }
      collector.add(
        Finding(
          .missingScale, tensor: name, file: shardNames[stored.shard].text,
          expected: "scales of \(tensor.name)", found: "none"), pattern: pattern)
      return
    }
    foundScales.append(name)
    let isByte = [.f8E8M0, .u8].contains(scales.type)
    guard isByte, scales.shape == tensor.shape.fp4Scales else {
      collector.add(
        Finding(
          isByte ? .wrongScaleShape : .wrongType, tensor: name,
          file: shardNames[scales.shard].text,
          expected: isByte ? tensor.shape.fp4Scales?.description : "F8_E8M0",
          found: isByte ? "\(scales.shape)" : scales.type.rawValue), pattern: pattern)
      return
    }
    keep(tensor, stored)
    keep(tensor.scales(named: name, scales.shape), scales)
  }

  /// Checks an FP8 matrix of the right shape together with its scales.
  mutating func checkFP8(_ tensor: ExpectedTensor, _ stored: StoredTensor) {
    // That there is no section was said once, for all of them.
    guard let fp8 = config.fp8 ?? config.compressed.map(FP8Quantization.init) else { return }
    var pattern: String { FindingCollector.pattern(of: tensor.name, wholeExperts: true) }
    guard let scales = FP8Scales(of: tensor.name, in: found) else {
      let name = ExpectedTensor.scaleName(for: tensor.name)
      guard !excused.contains(name) else { return }
      let shape = fp8.scaleShape(of: tensor.shape).map { " \($0)" } ?? ""
      collector.add(
        Finding(
          .missingScale, tensor: name, file: shardNames[stored.shard].text,
          expected: "scales\(shape) of \(tensor.name)", found: "none",
          hint: "without its scales the weight is off by a factor of hundreds"), pattern: pattern)
      return
    }
    foundScales.append(scales.tensor.name)
    let file = shardNames[scales.tensor.shard].text
    guard FP8Scales.types.contains(scales.tensor.type) else {
      collector.add(
        Finding(
          .wrongType, tensor: scales.tensor.name, file: file,
          expected: FP8Scales.types.map(\.rawValue).joined(separator: " or "),
          found: scales.tensor.type.rawValue), pattern: pattern)
      return
    }
    let isOwn = config.compressed == nil
    guard
      scales.block(of: tensor.shape, fp8.blocks) != nil
        || !isOwn && scales.block(of: tensor.shape, nil) != nil
    else {
      if isOwn, hasOtherBlocks == nil { hasOtherBlocks = checkBlockSize() }
      if hasOtherBlocks == true { return }
      let grid = fp8.scaleShape(of: tensor.shape)
      let part = tensor.scales(named: scales.tensor.name, grid ?? scales.tensor.shape)
      collector.add(
        Finding(
          .wrongScaleShape, tensor: scales.tensor.name, file: file,
          expected: grid?.description ?? "one scale, or one for each row",
          found: scales.tensor.shape.description,
          hint: hint(forShape: scales.tensor.shape, of: part)),
        pattern: FindingCollector.pattern(of: scales.tensor.name, wholeExperts: false))
      return
    }
    warn(tensor, scales, fp8, file: file)
    keep(tensor.inFP8, stored)
    keep(tensor.scales(named: scales.tensor.name, scales.tensor.shape), scales.tensor)
  }

  /// What is sound here and not what every loader expects: a warning for each kind.
  private mutating func warn(
    _ tensor: ExpectedTensor, _ scales: FP8Scales, _ fp8: ModelConfig.FP8Quantization, file: String
  ) {
    let type = scales.tensor.type
    let rewriting = "fathom convert --to hf --quant fp8 keeps the codes and writes "
    if type == .bf16 || type == .f16 {
      collector.add(
        Finding(
          .wrongType, .warning, tensor: scales.tensor.name, file: file, expected: "F32 scales",
          found: type.rawValue,
          hint: fp8.blocks == nil
            ? "the values are read as they are; loaders may expect F32"
            : "the values are read as they are; " + rewriting + "scales in F32"),
        pattern: "scales in \(type.rawValue)")
    }
    if type == .f8E8M0, !fp8.powerOfTwoScales {
      collector.add(
        Finding(
          .metadataMismatch, .warning, tensor: scales.tensor.name, file: "config.json",
          expected: "scale_fmt ue8m0 in quantization_config, as the scales are",
          found: "none", hint: "loaders that go by the config take them for F32"),
        pattern: "scales in E8M0")
    }
    if scales.isMisnamed(fp8), config.compressed == nil, config.v4 == nil {
      collector.add(
        Finding(
          .orphanScale, .warning, tensor: scales.tensor.name, file: file,
          expected: "\(ExpectedTensor.scaleName(for: tensor.name))",
          found: "\(scales.tensor.name)",
          hint: "read as what it is; loaders look for weight_scale_inv: " + rewriting
            + "scales under that name"), pattern: "scales under another name")
    }
    let isKeptOut = isProjection(tensor) && tensor.storage == .plain
    if tensor.moduleClass != .linear || tensor.part == .head || tensor.part == .headCopy
      || isKeptOut
    {
      collector.add(
        Finding(
          .metadataMismatch, .warning, tensor: tensor.name, file: "config.json",
          expected: isKeptOut
            ? "\(plainType.rawValue), since modules_to_not_convert lists it" : plainType.rawValue,
          found: "F8_E4M3 with scales",
          hint:
            "it is decoded here; loaders that go by the config, or keep such modules out of FP8, "
            + "take codes for numbers"),
        pattern: "FP8 " + FindingCollector.pattern(of: tensor.name, wholeExperts: true))
    }
  }
}

private typealias FP8Quantization = ModelConfig.FP8Quantization

extension ModelConfig.FP8Quantization {
  /// What compressed-tensors says of FP8, for modules that it does not name.
  fileprivate init(_ compressed: CompressedTensorsConfig) {
    self.init(
      blocks: compressed.fp8Blocks.map { Blocks(rows: $0.rows, columns: $0.columns) },
      powerOfTwoScales: false, excludedModules: [])
  }
}
