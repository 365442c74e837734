internal import Formats
internal import Models
internal import Platform
internal import Tensors

/// The rules about tensors: what the config implies against what the headers say.
struct TensorChecks {
  let config: ModelConfig
  let found: [ExactText: StoredTensor]
  let shardNames: [ExactText]
  let excused: Set<ExactText>
  /// What there should be.
  private let expected: [ExpectedTensor]
  /// Shapes of tensors that files hold a part of each.
  private let wholes: [ExactText: Shape]
  var collector = FindingCollector()
  /// Expected tensors that are there with the right shape and type: what a deep check may read.
  var sound: [(expected: ExpectedTensor, stored: StoredTensor)] = []
  /// Tensors that state the shape of a weight whose codes are packed, with that shape.
  var statedShapes: [(stored: StoredTensor, shape: Shape)] = []
  /// What the weights that are not quantized should be; inferred where the config does not say.
  private let plainType: ElementType

  /// - Parameters:
  ///   - expected: what there should be, where that is not all that the config implies.
  ///   - wholes: shapes of tensors of which only a part is expected.
  init(
    config: ModelConfig, found: [ExactText: StoredTensor], shardNames: [ExactText],
    excused: Set<ExactText>, expected: [ExpectedTensor]? = nil, wholes: [ExactText: Shape] = [:]
  ) {
    self.config = config
    self.expected = expected ?? config.expectedTensors()
    self.wholes = wholes
    self.found = found
    self.shardNames = shardNames
    self.excused = excused
    plainType = config.dataType ?? found["model.norm.weight"]?.type ?? .bf16
  }

  mutating func run() {
    let absentLayers = checkDeclaredMTP(expected)
    let absentCopies = checkCopies(expected, absentLayers: absentLayers)
    let otherStorage = checkStorageKind(expected)
    var matched = 0
    var parts: [ExactText] = []
    for tensor in expected {
      if case .compressed(let scheme) = tensor.storage {
        let isExcused = tensor.layer.map(absentLayers.contains) == true
        parts += checkParts(of: tensor, scheme, isExcused: isExcused)
      } else if let stored = found[tensor.name] {
        matched += 1
        check(tensor, stored, otherStorage: otherStorage)
      } else if tensor.layer.map(absentLayers.contains) != true,
        !absentCopies.contains(tensor.name)
      {
        checkAbsence(of: tensor, otherStorage: otherStorage)
      }
    }
    if matched + parts.count < found.count {
      checkUnexpected(Set(expected.map(\.name) + parts))
    }
    if let finding = Finding.scoring(config, file: "config.json", key: "scoring_func") {
      collector.add(finding, pattern: finding.rule.rawValue)
    }
  }

  // MARK: MTP

  /// Declared MTP layers of which nothing is there are one finding, not 1,500.
  private mutating func checkDeclaredMTP(_ expected: [ExpectedTensor]) -> Set<Int> {
    guard config.mtpLayers > 0 else { return [] }
    var present: Set<Int> = []
    var first: [Int: ExactText] = [:]
    for tensor in expected {
      guard let layer = tensor.layer, layer >= config.layers else { continue }
      if first[layer] == nil { first[layer] = tensor.name }
      if found[tensor.name] != nil || excused.contains(tensor.name) { present.insert(layer) }
    }
    let absent = Set(config.layers..<config.storedLayers).subtracting(present)
    let isWhole = absent.count == config.mtpLayers
    // What transformers' class assumes need not be there.
    for layer in absent.sorted() where config.declaresMTP {
      collector.add(
        Finding(
          .mtpMismatch, tensor: first[layer],
          expected: "MTP layer \(layer), since num_nextn_predict_layers is \(config.mtpLayers)",
          found: "no tensor of it",
          hint: "a trainer or a conversion dropped the MTP layer: take it from the source"
            + (isWhole
              ? ", or set num_nextn_predict_layers to 0: other commands take the model for one without"
              : "")), pattern: nil)
    }
    return absent
  }

  /// MTP layers may all share the main embedding and head instead of repeating them; returns the
  /// copies that are absent for that reason.
  private mutating func checkCopies(
    _ expected: [ExpectedTensor], absentLayers: Set<Int>
  ) -> Set<ExactText> {
    let copies = expected.filter {
      ($0.part == .embeddingCopy || $0.part == .headCopy)
        && $0.layer.map(absentLayers.contains) != true
    }
    let names = Set(copies.map(\.name))
    guard let first = copies.first else { return [] }
    if config.tiedEmbeddings { return names }
    guard !copies.contains(where: { found[$0.name] != nil || excused.contains($0.name) }) else {
      return []
    }
    collector.add(
      Finding(
        .missingTensor, .warning, tensor: first.name, expected: "copies of embedding and head",
        found: "none in any MTP layer",
        hint: "loaders that share the main model's tables with MTP do not need them"), pattern: nil)
    return names
  }

  // MARK: Storage

  /// Where every quantizable weight is stored alike but not as the config says, the config is what
  /// is wrong: one finding instead of one per weight. Returns that other type.
  private mutating func checkStorageKind(_ expected: [ExpectedTensor]) -> ElementType? {
    var types: Set<ElementType> = []
    let declaresFP8 = config.fp8 != nil
    guard config.compressed == nil else { return nil }
    var example: StoredTensor?
    for tensor in expected where tensor.storage == .fp8 || (!declaresFP8 && isProjection(tensor)) {
      guard let stored = found[tensor.name] else { continue }
      types.insert(stored.type)
      if example == nil { example = stored }
    }
    guard types.count == 1, let type = types.first, let example else { return nil }
    if declaresFP8, type != .f8E4M3 {
      collector.add(
        Finding(
          .metadataMismatch, tensor: example.name, file: "config.json",
          expected: "FP8 weights, as quantization_config says", found: "\(type.rawValue) weights",
          hint: "the weights were dequantized: remove quantization_config from config.json"),
        pattern: nil)
      return type
    }
    if !declaresFP8, type == .f8E4M3 {
      collector.add(
        Finding(
          .metadataMismatch, tensor: example.name, file: "config.json",
          expected: "\(plainType.rawValue) weights, since there is no quantization_config",
          found: "F8_E4M3 weights",
          hint: "config.json lost its quantization_config (quant_method fp8, weight_block_size)"),
        pattern: nil)
      return type
    }
    return nil
  }

  private func isProjection(_ tensor: ExpectedTensor) -> Bool {
    tensor.shape.dimensions.count == 2
      && [.attention, .mlp, .expert, .sharedExpert].contains(tensor.part)
  }

  // MARK: One tensor

  private mutating func check(
    _ tensor: ExpectedTensor, _ stored: StoredTensor, otherStorage: ElementType?
  ) {
    let file = shardNames[stored.shard]
    if tensor.storage == .scale, isOrphan(tensor, stored) { return }
    guard stored.shape == tensor.shape else {
      let isScale = tensor.storage == .scale
      collector.add(
        Finding(
          isScale ? .wrongScaleShape : .wrongShape, tensor: tensor.name, file: file.text,
          expected: tensor.shape.description, found: stored.shape.description,
          hint: hint(forShape: stored.shape, of: tensor)),
        pattern: FindingCollector.pattern(of: tensor.name, wholeExperts: false))
      return
    }
    let types = allowedTypes(tensor, otherStorage: otherStorage)
    guard types.contains(stored.type) else {
      collector.add(
        Finding(
          .wrongType, tensor: tensor.name, file: file.text,
          expected: types.map(\.rawValue).joined(separator: " or "), found: stored.type.rawValue,
          hint: tensor.storage == .float32
            ? "a rounded correction bias changes which experts are chosen" : nil),
        pattern: FindingCollector.pattern(of: tensor.name, wholeExperts: false))
      return
    }
    sound.append((tensor, stored))
  }

  /// Scales that the config implies, but whose weight is not there or not FP8.
  private mutating func isOrphan(_ scale: ExpectedTensor, _ stored: StoredTensor) -> Bool {
    let weight = ExpectedTensor.weightName(ofScale: scale.name) ?? scale.name
    guard found[weight]?.type != .f8E4M3, !excused.contains(weight) else { return false }
    addOrphan(stored, weight: weight)
    return true
  }

  private mutating func addOrphan(_ scale: StoredTensor, weight: ExactText) {
    let kind = config.compressed == nil ? "an FP8 weight" : "codes in place of"
    collector.add(
      Finding(
        .orphanScale, tensor: scale.name, file: shardNames[scale.shard].text,
        expected: "\(kind) \(weight)", found: found[weight]?.type.rawValue ?? "none",
        hint: "scales of a weight that is not quantized are left over: a loader may apply them"),
      pattern: FindingCollector.pattern(of: scale.name, wholeExperts: true))
  }

  private func allowedTypes(_ tensor: ExpectedTensor, otherStorage: ElementType?) -> [ElementType] {
    switch tensor.storage {
    case .plain where otherStorage != nil && isProjection(tensor): [otherStorage ?? plainType]
    case .plain: [plainType]
    case .float32: [.f32]
    case .fp8: [otherStorage ?? .f8E4M3]
    case .scale: config.fp8?.powerOfTwoScales == true ? [.f32, .f8E8M0] : [.f32]
    case .compressed: preconditionFailure("its parts are checked in its place")
    }
  }

  private func hint(forShape shape: Shape, of tensor: ExpectedTensor) -> String? {
    if wholes[tensor.name] == shape { return "it is whole, and each shard has a part of it" }
    if shape.dimensions == tensor.shape.dimensions.reversed() { return "it is transposed" }
    if tensor.storage == .scale, let fp8 = config.fp8 {
      return "the block size is \(fp8.blockRows) × \(fp8.blockColumns), cut blocks counting whole"
    }
    if shape.elementCount == tensor.shape.elementCount { return "it is reshaped" }
    if [.embedding, .head, .embeddingCopy, .headCopy].contains(tensor.part),
      shape.dimensions.count == 2, shape.dimensions[1] == tensor.shape.dimensions[1]
    {
      return "the table has \(shape.dimensions[0]) rows: vocab_size in config.json is stale where "
        + "all tables have them, and should say \(shape.dimensions[0])"
    }
    return nil
  }

  private mutating func checkAbsence(of tensor: ExpectedTensor, otherStorage: ElementType?) {
    guard !excused.contains(tensor.name) else { return }
    if tensor.storage == .scale {
      // A weight that is absent or not FP8 has its own finding.
      let weight = ExpectedTensor.weightName(ofScale: tensor.name) ?? tensor.name
      guard found[weight]?.type == .f8E4M3 else { return }
      collector.add(
        Finding(
          .missingScale, tensor: tensor.name, file: found[weight].map { shardNames[$0.shard].text },
          expected: "scales \(tensor.shape) of \(weight)", found: "none",
          hint: "without its scales the weight is off by a factor of hundreds"),
        pattern: FindingCollector.pattern(of: tensor.name, wholeExperts: true))
      return
    }
    collector.add(
      Finding(
        .missingTensor, tensor: tensor.name, expected: "\(tensor.shape)", found: "none",
        hint: tensor.expert == nil ? nil : "expert parts are lost when shards are merged or skipped"
      ),
      pattern: FindingCollector.pattern(of: tensor.name, wholeExperts: true))
  }

  // MARK: What nothing implies

  private mutating func checkUnexpected(_ expected: Set<ExactText>) {
    let strangers = found.values.filter { !expected.contains($0.name) }
      .sorted { ($0.shard, $0.offset) < ($1.shard, $1.offset) }
    var undeclared: [Int: StoredTensor] = [:]
    for tensor in strangers {
      if let layer = ModelConfig.layer(of: tensor.name), layer >= config.storedLayers {
        if undeclared[layer] == nil { undeclared[layer] = tensor }
        continue
      }
      checkStranger(tensor)
    }
    for (layer, tensor) in undeclared.sorted(by: { $0.key < $1.key }) {
      collector.add(
        Finding(
          .mtpMismatch, tensor: tensor.name, file: shardNames[tensor.shard].text,
          expected: "\(config.storedLayers) layers, \(config.mtpLayers) of them MTP",
          found: "tensors of layer \(layer)",
          hint: "config.json should say num_nextn_predict_layers \(layer + 1 - config.layers)"),
        pattern: nil)
    }
  }

  private mutating func checkStranger(_ tensor: StoredTensor) {
    if let weight = ExpectedTensor.weightName(ofScale: tensor.name) {
      // An FP8 weight where the config has no quantization_config was said once, for all of them.
      if found[weight]?.type == .f8E4M3, config.fp8 == nil { return }
      addOrphan(tensor, weight: weight)
      return
    }
    if config.compressed != nil, let weight = CompressedTensor.weightName(ofPart: tensor.name) {
      addOrphan(tensor, weight: weight)
      return
    }
    let kind = TensorKind.of(tensor.name)
    collector.add(
      Finding(
        .unexpectedTensor, kind?.isHarmless == true ? .warning : .error, tensor: tensor.name,
        file: shardNames[tensor.shard].text,
        expected: "no such tensor", found: "\(tensor.shape) of \(tensor.type.rawValue)",
        hint: kind?.text ?? "config.json implies no tensor of this name"),
      pattern: FindingCollector.pattern(of: tensor.name, wholeExperts: true))
  }
}
