internal import Dialects
internal import Formats
internal import Models
internal import Platform
internal import Tensors
internal import Weights

/// Tensors whose absence follows from a file that could not be read, which has its finding.
struct ExcusedTensors {
  /// Those that the index places there.
  let names: Set<ExactText>
  /// Whether nothing says what lay there, so that it may have been any.
  var all = false

  func contains(_ name: ExactText) -> Bool { all || names.contains(name) }
}

/// The rules about tensors: what the config implies against what the headers say.
struct TensorChecks {
  let config: ModelConfig
  let found: TensorTable
  let shardNames: [ExactText]
  let excused: ExcusedTensors
  /// What there should be.
  let expected: [ExpectedTensor]
  /// Shapes of tensors that files hold a part of each.
  let wholes: [ExactText: Shape]
  var collector = FindingCollector()
  /// Expected tensors that are there with the right shape and type, where a deep check will read them.
  private(set) var sound: [(expected: ExpectedTensor, stored: StoredTensor)] = []
  private let keepsSound: Bool
  /// Tensors that state the shape of a weight whose codes are packed, with that shape.
  var statedShapes: [(stored: StoredTensor, shape: Shape)] = []
  /// Tensors that name the groups of columns, with the columns of a group, and whether the config
  /// tells of them.
  var columnGroups: [(stored: StoredTensor, size: Int, isDeclared: Bool)] = []
  /// Whether all scales have other blocks than the config says, which is one finding; nil before some
  /// scales were found to.
  var hasOtherBlocks: Bool?
  /// Scales that were found with their weights, each once.
  var foundScales: [ExactText] = []
  /// What the weights that are not quantized should be; inferred where the config does not say.
  let plainType: ElementType

  /// - Parameters:
  ///   - deep: whether weights will be read.
  ///   - expected: what there should be, where that is not all that the config implies.
  ///   - wholes: shapes of tensors of which only a part is expected.
  init(
    config: ModelConfig, found: TensorTable, shardNames: [ExactText],
    excused: ExcusedTensors, deep: Bool, expected: [ExpectedTensor]? = nil,
    wholes: [ExactText: Shape] = [:]
  ) {
    keepsSound = deep
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
    if config.compressed == nil, config.fp8 == nil { checkMissingSection() }
    var matched = 0
    var parts: [ExactText] = []
    for tensor in expected {
      if case .compressed(let scheme) = tensor.storage {
        let isExcused = tensor.layer.map(absentLayers.contains) == true
        parts += checkParts(of: tensor, scheme, isExcused: isExcused)
      } else if tensor.storage == .scale {
        // Scales are looked for where their weight is.
        continue
      } else if let stored = found[tensor.name] {
        matched += 1
        check(tensor, stored, otherStorage: otherStorage)
      } else if tensor.layer.map(absentLayers.contains) != true,
        !absentCopies.contains(tensor.name)
      {
        checkAbsence(of: tensor)
      }
    }
    if matched + parts.count + foundScales.count < found.tensors.count {
      let names = expected.lazy.filter { $0.storage != .scale }.map(\.name)
      checkUnexpected(Set(names).union(parts).union(foundScales))
    }
    if let finding = Finding.scoring(config, file: "config.json", key: "scoring_func") {
      collector.add(finding, pattern: finding.rule.rawValue)
    }
  }

  // MARK: MTP

  /// Declared MTP layers of which nothing is there are one finding, not 1,500.
  private mutating func checkDeclaredMTP(_ expected: [ExpectedTensor]) -> Set<Int> {
    let layers = config.layers
    let places = expected.indices.lazy.filter { (expected[$0].layer ?? 0) >= layers }
    let absent = config.absentMTPLayers(
      places.map { (expected[$0].name, expected[$0].layer) }
    ) {
      found[$0] != nil || excused.contains($0)
    }
    let isWhole = absent.count == config.mtpLayers
    // What transformers' class assumes need not be there.
    for (layer, first) in absent where config.declaresMTP {
      collector.add(
        Finding(
          .mtpMismatch, tensor: first,
          expected: "MTP layer \(layer), since num_nextn_predict_layers is \(config.mtpLayers)",
          found: "no tensor of it",
          hint: "a trainer or a conversion dropped the MTP layer: take it from the source"
            + (isWhole
              ? ", or set num_nextn_predict_layers to 0: other commands take the model for one without"
              : "")), pattern: nil)
    }
    return Set(absent.map(\.layer))
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
    guard config.fp8 != nil else { return nil }
    var example: StoredTensor?
    for tensor in expected where tensor.storage == .fp8 {
      guard let stored = found[tensor.name] else { continue }
      if stored.type == .f8E4M3 || stored.type != example?.type ?? stored.type { return nil }
      if example == nil { example = stored }
    }
    guard let example else { return nil }
    let type = example.type
    collector.add(
      Finding(
        .metadataMismatch, tensor: example.name, file: "config.json",
        expected: "FP8 weights, as quantization_config says", found: "\(type.rawValue) weights",
        hint: "the weights were dequantized: remove quantization_config from config.json; "
          + "fathom convert --to hf --quant bf16 leaves it out"),
      pattern: nil)
    return type
  }

  func isProjection(_ tensor: ExpectedTensor) -> Bool {
    tensor.shape.dimensions.count == 2
      && [.attention, .mlp, .expert, .sharedExpert].contains(tensor.part)
  }

  // MARK: One tensor

  private mutating func check(
    _ tensor: ExpectedTensor, _ stored: StoredTensor, otherStorage: ElementType?
  ) {
    let file = shardNames[stored.shard]
    guard stored.shape == tensor.shape else {
      // Its scales are those of this shape, if of any.
      if stored.type == .f8E4M3, let scales = FP8Scales(of: tensor.name, in: found) {
        foundScales.append(scales.tensor.name)
      }
      collector.add(
        Finding(
          .wrongShape, tensor: tensor.name, file: file.text,
          expected: tensor.shape.description, found: stored.shape.description,
          hint: hint(forShape: stored.shape, of: tensor)),
        pattern: FindingCollector.pattern(of: tensor.name, wholeExperts: false))
      return
    }
    if tensor.storage == .fp4, stored.type == .f4 { return checkFP4(tensor, stored) }
    if stored.type == .f8E4M3, tensor.storage != .fp4, tensor.shape.dimensions.count == 2 {
      return checkFP8(tensor, stored)
    }
    let type = expectedType(of: tensor, stored.type, otherStorage: otherStorage)
    guard type == stored.type else {
      collector.add(
        Finding(
          .wrongType, tensor: tensor.name, file: file.text, expected: type.rawValue,
          found: stored.type.rawValue, hint: hint(forType: stored.type, of: tensor)),
        pattern: FindingCollector.pattern(of: tensor.name, wholeExperts: false))
      return
    }
    keep(tensor, stored)
  }

  /// Notes a tensor that is as it should be.
  mutating func keep(_ tensor: ExpectedTensor, _ stored: StoredTensor) {
    if keepsSound { sound.append((tensor, stored)) }
  }

  private func hint(forType type: ElementType, of tensor: ExpectedTensor) -> String? {
    switch tensor.storage {
    case .float32:
      "a rounded correction bias changes which experts are chosen, and cannot be made whole: take it "
        + "from the source; fathom convert writes it in F32 as it is"
    case .fp8: "modules that are not in FP8 belong on modules_to_not_convert"
    default: nil
    }
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

  private func expectedType(
    of tensor: ExpectedTensor, _ stored: ElementType, otherStorage: ElementType?
  ) -> ElementType {
    switch tensor.storage {
    case .plain: plainType
    case .plainOrFloat32: stored == .f32 ? .f32 : plainType
    case .float32: .f32
    case .fp8: otherStorage ?? .f8E4M3
    case .fp4: .f4
    case .indices: stored == .i32 ? .i32 : .i64
    case .scale, .compressed: preconditionFailure("parts are checked with their weight")
    }
  }

  func hint(forShape shape: Shape, of tensor: ExpectedTensor) -> String? {
    if wholes[tensor.name] == shape { return "it is whole, and each shard has a part of it" }
    if shape.dimensions == tensor.shape.dimensions.reversed() { return "it is transposed" }
    if tensor.storage == .scale, let blocks = config.fp8?.blocks {
      return "the block size is \(blocks.rows) × \(blocks.columns), cut blocks counting whole"
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

  private mutating func checkAbsence(of tensor: ExpectedTensor) {
    guard !excused.contains(tensor.name) else { return }
    collector.add(
      Finding(
        .missingTensor, tensor: tensor.name, expected: "\(tensor.shape)", found: "none",
        hint: tensor.expert == nil ? nil : "expert parts are lost when shards are merged or skipped"
      ),
      pattern: FindingCollector.pattern(of: tensor.name, wholeExperts: true))
  }

  // MARK: What nothing implies

  private mutating func checkUnexpected(_ expected: Set<ExactText>) {
    let strangers = found.tensors.filter { !expected.contains($0.name) }
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
    let part =
      config.compressed == nil
      ? FP8Scales.weightName(ofScale: tensor.name)
      : CompressedTensor.weightName(ofPart: tensor.name)
    let codes = CodeCompanion(tensor) { found[$0] }
    if let part, codes?.isHarmless != true {
      // An FP8 weight where the config has no quantization_config was said once, for all of them.
      if found[part]?.type == .f8E4M3, config.fp8 == nil, config.compressed == nil { return }
      if !excused.contains(part) { addOrphan(tensor, weight: part) }
      return
    }
    let kind = TensorKind.of(tensor.name, in: config)
    // Scales of activations are a part of FP8 as it is stored.
    if kind?.isHarmless == true, codes != nil { return }
    if kind?.isPublished == true { return }
    let isHarmless = kind?.isHarmless == true
    collector.add(
      Finding(
        .unexpectedTensor, isHarmless ? .warning : .error, tensor: tensor.name,
        file: shardNames[tensor.shard].text,
        expected: codes == nil
          ? "no such tensor" : "codes and scales of \(codes?.weight ?? "") alone",
        found: "\(tensor.shape) of \(tensor.type.rawValue)",
        hint: codes == nil
          ? kind?.text ?? "config.json implies no tensor of this name"
          : "what stands beside codes may change what they mean: they are not decoded"),
      pattern: isHarmless
        ? kind?.text : FindingCollector.pattern(of: tensor.name, wholeExperts: true))
  }
}
