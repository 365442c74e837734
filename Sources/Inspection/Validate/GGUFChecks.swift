internal import Conversion
internal import Dialects
internal import Formats
internal import Models
internal import Naming
internal import Platform
internal import Reports
internal import Tensors
internal import Weights

/// What `validate` says of a GGUF file: its tensors and metadata against what the metadata implies.
struct GGUFChecks {
  let model: GGUFModel
  private(set) var collector = FindingCollector()
  /// Expected tensors that are there with the right shape and type: what a deep check may read.
  private var sound: [StoredTensor] = []

  init(_ model: GGUFModel) { self.model = model }

  mutating func run() {
    for note in model.notes {
      collector.add(
        Finding(
          .metadataMismatch, .warning, file: model.files.name.text, found: note,
          hint: "convert the model anew, or add the key"), pattern: nil)
    }
    checkTypes()
    checkVocabulary()
    let key = model.config.architecture.ggufName + ".expert_gating_func"
    if let finding = Finding.scoring(model.config, file: model.files.name.text, key: key) {
      collector.add(finding, pattern: nil)
    }
    let isPredictor = model.config.isPredictor { model.files.inventory[$0] != nil }
    let expected = model.config.ggufTensors(isPredictor: isPredictor)
    var known: Set<ExactText> = []
    let absentLayers = checkMTP(expected)
    for tensor in expected {
      known.insert(tensor.name)
      let joint = joint(tensor)
      if let joint { known.insert(joint) }
      if let stored = model.files.inventory[tensor.name] {
        if let joint, tensor.form == .keyHeads { report(beside: joint) }
        check(tensor, stored)
        known.formUnion(checkNumbers(of: tensor, stored))
      } else if joint == nil, tensor.layer.map(absentLayers.contains) != true {
        checkAbsence(of: tensor)
      }
    }
    for finding in Finding.limits(
      model.config.llamaLimits, of: model.config, file: model.files.name.text)
    {
      collector.add(finding, pattern: nil)
    }
    for finding in model.unknowns.findings(
      file: model.files.name.text, type: model.config.architecture.ggufName)
    {
      collector.add(finding, pattern: nil)
    }
    for stored in model.files.inventory.tensors where !known.contains(stored.name) {
      let origin = model.config.origin(ofGGUF: stored.name, isPredictor: isPredictor)
      let name = origin?.name ?? stored.name
      let isUnused = TensorKind.spare(name, in: model.config) != nil
      let kind = TensorKind.of(name, in: model.config)
      collector.add(
        Finding(
          .unexpectedTensor, isUnused ? .warning : .error, tensor: stored.name,
          file: file(of: stored),
          expected: "no such tensor", found: "\(stored.shape) of \(stored.type.rawValue)",
          hint: isUnused
            ? kind?.text
            : (kind.map { "\($0.text); " } ?? "")
              + "llama.cpp refuses a file with tensors that it does not use"),
        pattern: pattern(stored.name))
    }
  }

  /// Reads every weight.
  mutating func runDeep(threads: Int) throws(Fault) {
    let tensors = sound
    let inventory = model.files.inventory
    let sizes = tensors.map(\.byteCount)
    let own = DividedScan.own(sizes)
    ReadingMeter.expect(own.reduce(0) { $0 + sizes[$1] })
    inventory.fetchAhead(Array(tensors[own]))
    let numbers = try DividedScan.values(sizes, threads: threads) { item throws(Fault) in
      let found = try GGUFChecks.numbers(in: tensors[item], of: inventory)
      ReadingMeter.add(tensors[item].byteCount)
      return [found.count, found.first, found.matrices] + found.zeroMatrices
    }
    if DividedScan.isPart { return }
    var extents = ZeroExtents()
    try extents.addTails(of: inventory)
    for (item, numbers) in numbers.enumerated() {
      guard let numbers, let found = Numbers(numbers) else { continue }
      let tensor = tensors[item]
      if tensor.cannotBeZero, !extents.names.contains(tensor.name) {
        for matrix in found.zeroMatrices {
          extents.add(
            tensor.name, in: file(of: tensor), matrix: found.matrices == 1 ? nil : matrix)
        }
      }
      guard found.count > 0 else { continue }
      collector.add(
        Finding(
          .nonFinite, tensor: tensors[item].name, file: file(of: tensors[item]),
          expected: "finite numbers",
          found: "\(found.count) NaN or Inf, the first at element \(found.first)",
          hint: "one such weight turns every logit into NaN"), pattern: pattern(tensors[item].name))
    }
    collector.add(extents)
  }

  /// What the numbers of a tensor are like.
  private struct Numbers {
    /// Those that are not finite.
    var count = 0
    /// The first of them.
    var first = 0
    /// Matrices that it stacks.
    var matrices = 1
    /// Those that hold a number other than zero.
    var filled: Set<Int> = []

    var zeroMatrices: [Int] { (0..<matrices).filter { !filled.contains($0) } }

    init() {}

    /// What another run has found; nil where that is something else.
    init?(_ numbers: [Int]) {
      guard numbers.count > 2, (1...1 << 20).contains(numbers[2]) else { return nil }
      (count, first, matrices) = (numbers[0], numbers[1], numbers[2])
      filled = Set(0..<matrices).subtracting(numbers[3...])
    }
  }

  private static func numbers(
    in tensor: StoredTensor, of inventory: Inventory
  ) throws(Fault) -> Numbers {
    let columns = max(1, tensor.shape.dimensions.last ?? 1)
    let rows = tensor.shape.elementCount / columns
    // About a million numbers at a time.
    let rowsAtOnce = max(1, (1 << 20) / columns)
    let assembly = Assembly(tensor)
    var result = Numbers()
    if tensor.shape.dimensions.count > 2 { result.matrices = max(1, tensor.shape.dimensions[0]) }
    let height = max(1, rows / result.matrices)
    for start in stride(from: 0, to: rows, by: rowsAtOnce) {
      let values = try assembly.values(
        rows: start..<min(rows, start + rowsAtOnce), from: inventory)
      let numbers = UnsafeRawBufferPointer(values.bytes).bindMemory(to: Float.self)
      for (index, value) in numbers.enumerated() where !value.isFinite {
        if result.count == 0 { result.first = start * columns + index }
        result.count += 1
      }
      for row in start..<min(rows, start + rowsAtOnce) where !result.filled.contains(row / height) {
        let own = numbers[(row - start) * columns..<(row - start + 1) * columns]
        if own.contains(where: { $0 != 0 }) { result.filled.insert(row / height) }
      }
      withExtendedLifetime(values) {}
    }
    return result
  }

  // MARK: Metadata

  private mutating func checkVocabulary() {
    guard let tokens = model.files.metadata["tokenizer.ggml.tokens"]?.array else { return }
    guard tokens.count != model.config.vocabSize else { return }
    collector.add(
      Finding(
        .metadataMismatch, file: model.files.name.text,
        expected: "\(model.config.vocabSize) tokens, as vocab_size says", found: "\(tokens.count)",
        hint: "a vocabulary that is smaller than the embedding table has to be padded"),
      pattern: nil)
  }

  // MARK: Tensors

  /// MTP layers that are declared and of which nothing is there are one finding each.
  private mutating func checkMTP(_ expected: [DialectTensor]) -> Set<Int> {
    let config = model.config
    let absent = config.absentMTPLayers(expected.lazy.map { ($0.name, $0.layer) }) {
      model.files.inventory[$0] != nil
    }
    for (layer, first) in absent {
      collector.add(
        Finding(
          .mtpMismatch, tensor: first,
          expected: "MTP layer \(layer), since nextn_predict_layers is \(config.mtpLayers)",
          found: "no tensor of it", hint: "a conversion dropped the MTP layer and kept the key"),
        pattern: nil)
    }
    return Set(absent.map(\.layer))
  }

  /// The name of the whole matrix that a file has in place of a half, as from before the split, or
  /// beside it.
  private func joint(_ tensor: DialectTensor) -> ExactText? {
    guard tensor.form == .keyHeads || tensor.form == .valueHeads, let layer = tensor.layer else {
      return nil
    }
    let name = DeepSeek2Names.jointName(layer: layer)
    return model.files.inventory[name] == nil ? nil : name
  }

  private mutating func report(beside joint: ExactText) {
    guard DeepSeek2Names.halves(ofJoint: joint).allSatisfy({ model.files.inventory[$0] != nil })
    else { return }
    collector.add(
      Finding(
        .unexpectedTensor, .warning, tensor: joint, file: model.files.name.text,
        expected: "attn_k_b and attn_v_b alone", found: "attn_kv_b beside them",
        hint: "the halves count, as in ik_llama.cpp; llama.cpp refuses a file with all three"),
      pattern: pattern(joint))
  }

  /// Types that cannot be decoded, one finding each.
  private mutating func checkTypes() {
    for stored in model.files.inventory.tensors {
      guard let origin = stored.type.foreign else { continue }
      let number = model.files.unknownTypes[stored.name].map { "the type of number \($0)" }
      let name = number ?? stored.type.rawValue
      collector.add(
        Finding(
          .wrongType, tensor: stored.name, file: file(of: stored), expected: "a type of llama.cpp",
          found: "\(name), \(origin.origin)", hint: origin.advice), pattern: name)
    }
  }

  private mutating func check(_ tensor: DialectTensor, _ stored: StoredTensor) {
    let isHalf = tensor.form == .keyHeads || tensor.form == .valueHeads
    let dimensions = tensor.shape.dimensions
    // Some files have the heads of a half one below the other.
    let below = isHalf ? [dimensions[0] * dimensions[1], dimensions[2]] : []
    guard stored.shape == tensor.shape || stored.shape.dimensions == below else {
      collector.add(
        Finding(
          .wrongShape, tensor: tensor.name, file: file(of: stored),
          expected: tensor.shape.description, found: stored.shape.description,
          hint: stored.shape.dimensions == tensor.shape.dimensions.reversed()
            ? "it is transposed" : nil), pattern: pattern(tensor.name))
      return
    }
    if let type = tensor.fixedTypeInGGUF(of: model.config), stored.type != type {
      collector.add(
        Finding(
          .wrongType, tensor: tensor.name, file: file(of: stored), expected: type.rawValue,
          found: stored.type.rawValue,
          hint: type == .f32 ? "llama.cpp keeps norms, router and biases in F32" : nil),
        pattern: pattern(tensor.name))
      return
    }
    if !stored.type.isForeign { sound.append(stored) }
  }

  /// Checks what llama.cpp multiplies a matrix by, or each of a stack; returns the names.
  private mutating func checkNumbers(
    of tensor: DialectTensor, _ matrix: StoredTensor
  ) -> [ExactText] {
    guard let name = model.config.scaleName(ofGGUF: tensor.name) else { return [] }
    let count = matrix.shape.dimensions.count == 3 ? matrix.shape.dimensions[0] : 1
    let inputs = name.without(suffix: "scale").map { $0 + "input_scale" }
    return [name, inputs].compactMap { $0 }.filter { name in
      guard let stored = model.files.inventory[name] else { return false }
      guard stored.type == .f32, stored.shape.dimensions == [count] else {
        collector.add(
          Finding(
            .wrongScaleShape, tensor: name, file: file(of: stored), expected: "F32 [\(count)]",
            found: "\(stored.type.rawValue) \(stored.shape)",
            hint: "one number for each matrix of \(tensor.name)"), pattern: pattern(name))
        return true
      }
      sound.append(stored)
      return true
    }
  }

  private mutating func checkAbsence(of tensor: DialectTensor) {
    // llama.cpp uses the main model's tables where an MTP layer has no copies of them.
    guard tensor.part != .embeddingCopy, tensor.part != .headCopy else { return }
    collector.add(
      Finding(
        .missingTensor, tensor: tensor.name, expected: "\(tensor.shape)", found: "none"),
      pattern: pattern(tensor.name))
  }

  private func pattern(_ name: ExactText) -> String {
    FindingCollector.pattern(of: name, wholeExperts: false)
  }

  private func file(of tensor: StoredTensor) -> String {
    model.files.inventory.shards[tensor.shard].name.text
  }
}
