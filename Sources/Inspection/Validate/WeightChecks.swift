internal import Conversion
internal import Dialects
internal import Formats
internal import Models
internal import Naming
internal import Platform
internal import Reports
internal import Tensors
internal import Weights

/// What `validate` says of the weights of an MLX model: what its tensors amount to against what
/// the config implies.
struct WeightChecks {
  private let weights: SourceWeights
  /// What the config declares, MTP layers that are absent included.
  private let config: ModelConfig
  private(set) var collector = FindingCollector()
  /// Expected weights that are there with the right shape and type: what a deep check reads.
  private var sound: [SourceWeight] = []

  init(_ source: SourceModel) {
    weights = source.weights
    config = source.declaredConfig
  }

  mutating func run() {
    if let finding = Finding.scoring(config, file: "config.json", key: "scoring_func") {
      collector.add(finding, pattern: nil)
    }
    let expected = config.expectedTensors().filter { $0.storage != .scale }
    let absent = checkMTP(expected)
    var known: Set<ExactText> = []
    for tensor in expected {
      known.insert(tensor.name)
      if tensor.layer.map(absent.contains) == true { continue }
      if let defect = weights.defect(of: tensor) {
        report(defect, of: tensor)
      } else if let weight = weights[tensor.name] {
        sound.append(weight)
      }
    }
    for (name, fault) in weights.faults.sorted(by: { $0.key < $1.key }) where !known.contains(name)
    {
      report(fault, of: name)
    }
    for weight in weights.all where !known.contains(weight.name) {
      let kind = TensorKind.of(weight.name, in: config)
      collector.add(
        Finding(
          .unexpectedTensor, tensor: weight.name, file: file(of: weight),
          expected: "no such tensor",
          found: "\(weight.shape) of \(weight.type.rawValue)",
          hint: (kind.map { "\($0.text); " } ?? "")
            + "mlx-lm refuses a model with weights that it does not use"),
        pattern: FindingCollector.pattern(of: weight.name, wholeExperts: true))
    }
  }

  /// Reads every weight.
  mutating func runDeep(threads: Int) throws(Fault) {
    let (chosen, weights) = (sound, weights)
    let sizes = chosen.map(WeightStatistics.bytes(of:))
    let own = DividedScan.own(sizes)
    ReadingMeter.expect(own.reduce(0) { $0 + sizes[$1] })
    for weight in chosen[own] { weights.fetchAhead(weight) }
    let numbers = try DividedScan.values(sizes, threads: threads) { item throws(Fault) in
      let statistics = try WeightStatistics(chosen[item], of: weights)
      return [statistics.isZero ? 1 : 0, statistics.nonFinite]
    }
    if DividedScan.isPart { return }
    var extents = ZeroExtents()
    try extents.addTails(of: weights.inventory)
    let found = zip(chosen, numbers)
    for (weight, statistics) in found where statistics?.first == 1 {
      extents.add(weight, in: file(of: weight))
    }
    collector.add(extents)
    for (weight, statistics) in found {
      guard let count = statistics?.last, count > 0 else { continue }
      collector.add(
        Finding(
          .nonFinite, tensor: weight.name, file: file(of: weight), expected: "finite numbers",
          found: "\(count) NaN or Inf", hint: "one such weight turns every logit into NaN"),
        pattern: FindingCollector.pattern(of: weight.name, wholeExperts: true))
    }
  }

  /// MTP layers that are declared and of which nothing is there, as mlx-lm leaves them out; one
  /// finding each.
  private mutating func checkMTP(_ expected: [ExpectedTensor]) -> Set<Int> {
    let absent = config.absentMTPLayers(expected.lazy.map { ($0.name, $0.layer) }) {
      weights[$0] != nil || weights.faults[$0] != nil
    }
    for (layer, first) in absent {
      collector.add(
        Finding(
          .mtpMismatch, .warning, tensor: first,
          expected: "MTP layer \(layer), since num_nextn_predict_layers is \(config.mtpLayers)",
          found: "no tensor of it", hint: "mlx-lm converts the decoder layers alone"),
        pattern: nil)
    }
    return Set(absent.map(\.layer))
  }

  private mutating func report(_ fault: Fault, of name: ExactText) {
    let (weight, component) = MLXNames.component(of: fault.tensor ?? name)
    let rule: Finding.Rule =
      component == .weight
      ? .wrongType : weights.inventory[weight] == nil ? .orphanScale : .wrongScaleShape
    collector.add(
      Finding(
        rule, tensor: fault.tensor ?? name, file: fault.file.map { Folder.name(of: $0).text },
        expected: fault.expected,
        found: [fault.message, fault.found].compactMap { $0 }.joined(separator: ": ")),
      pattern: FindingCollector.pattern(of: name, wholeExperts: true))
  }

  private mutating func report(_ defect: WeightDefect, of tensor: ExpectedTensor) {
    let pattern = FindingCollector.pattern(of: tensor.name, wholeExperts: false)
    switch defect {
    case .missing: checkAbsence(of: tensor)
    case .unreadable(let fault): report(fault, of: tensor.name)
    case .type(let stored, _), .scales(let stored, _):
      collector.add(
        Finding(
          stored.type == .u32 ? .missingScale : .wrongType, tensor: tensor.name,
          file: file(of: stored), expected: "BF16, F16 or F32, or U32 words with scales",
          found: stored.type.rawValue), pattern: pattern)
    case .shape(let shape, let stored):
      collector.add(
        Finding(
          .wrongShape, tensor: tensor.name, file: file(of: stored),
          expected: tensor.shape.description, found: shape.description), pattern: pattern)
    }
  }

  private mutating func checkAbsence(of tensor: ExpectedTensor) {
    guard tensor.part != .embeddingCopy, tensor.part != .headCopy else { return }
    collector.add(
      Finding(.missingTensor, tensor: tensor.name, expected: "\(tensor.shape)", found: "none"),
      pattern: FindingCollector.pattern(of: tensor.name, wholeExperts: true))
  }

  private func file(of weight: SourceWeight) -> String { file(of: weight.assembly.first.tensor) }

  private func file(of stored: StoredTensor) -> String {
    weights.inventory.shards[stored.shard].name.text
  }
}
