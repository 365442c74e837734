package import Codecs
package import Formats
package import Models
package import Platform
package import Tensors
package import Weights

/// Reads a checkpoint in compressed-tensors' formats: codes stand in place of the weights of those
/// modules that the config names, everything else as in a Hugging Face checkpoint.
package struct CompressedTensorsWeights {
  private let inventory: Inventory
  private let config: ModelConfig
  private var weights: [SourceWeight] = []
  private var faults: [ExactText: Fault] = [:]
  /// What stands beside codes without being a number of theirs.
  private var companions: [StoredTensor] = []
  /// Tensors, by their index, that belong to a weight.
  private var isUsed: [Bool]

  /// The weights of a checkpoint by their names in the network.
  ///
  /// - Throws: `.malformed` where two weights have one name; `.inputOutput` where GPTQ's order of columns
  ///   cannot be read.
  package static func read(
    _ inventory: Inventory, config: ModelConfig
  ) throws(Fault) -> SourceWeights {
    var config = config
    config.mtpLayers = max(
      config.mtpLayers,
      ModelConfig.furtherLayers(
        after: config.layers, in: inventory.tensors.lazy.map { config.ownName(of: $0.name) }))
    var reader = CompressedTensorsWeights(inventory, config)
    for tensor in config.expectedTensors() {
      if case .compressed(let scheme) = tensor.storage { try reader.add(tensor, scheme) }
    }
    for tensor in inventory.tensors where !reader.isUsed[tensor.index] { reader.add(tensor) }
    reader.weights.sort { $0.assembly.first.tensor.index < $1.assembly.first.tensor.index }
    return try SourceWeights(
      inventory, reader.weights, faults: reader.faults, companions: reader.companions)
  }

  private init(_ inventory: Inventory, _ config: ModelConfig) {
    self.inventory = inventory
    self.config = config
    isUsed = [Bool](repeating: false, count: inventory.tensors.count)
  }

  /// A tensor as it is, unless it stands beside codes, or is left over from codes that are not there.
  private mutating func add(_ tensor: StoredTensor) {
    if let scales = FP8Scales(of: tensor.name, in: inventory.table), tensor.type == .f8E4M3,
      let scaling = scaling(of: tensor, scales)
    {
      // In a module that the config does not name: the tensors tell.
      weights.append(SourceWeight(config.ownName(of: tensor.name), tensor, scaling: scaling))
      return
    }
    if let weight = FP8Scales.weightName(ofScale: tensor.name).flatMap({ inventory[$0] }),
      weight.type == .f8E4M3, FP8Scales(of: weight.name, in: inventory.table)?.tensor == tensor,
      !isUsed[weight.index]
    {
      return
    }
    if let codes = CodeCompanion(tensor, { inventory[$0] }) {
      if codes.isHarmless {
        companions.append(tensor)
      } else {
        faults[config.ownName(of: codes.weight)] = codes.fault(path(tensor))
      }
      return
    }
    guard let weight = CompressedTensor.weightName(ofPart: tensor.name) else {
      weights.append(SourceWeight(config.ownName(of: tensor.name), tensor))
      return
    }
    faults[tensor.name] = fault(
      tensor, "belongs to no codes", "\(weight) as quantization_config has it",
      inventory[weight]?.type.rawValue ?? "nothing")
  }

  private func scaling(of tensor: StoredTensor, _ scales: FP8Scales) -> Scaling? {
    let blocks = config.compressed?.fp8Blocks.map {
      ModelConfig.FP8Quantization.Blocks(rows: $0.rows, columns: $0.columns)
    }
    return blocks.flatMap { scales.scaling(of: tensor.shape, $0) }
      ?? scales.scaling(of: tensor.shape, nil)
  }

  /// A weight that should be stored as codes.
  ///
  /// - Throws: `.inputOutput` where GPTQ's order of columns cannot be read.
  private mutating func add(
    _ expected: ExpectedTensor, _ scheme: CompressedScheme
  ) throws(Fault) {
    // What stands there tells, not what the config expects.
    if scheme.maker.isToldByTensors,
      inventory[config.storedName(of: expected.name)]?.isPlain(expected.shape) == true
    {
      return
    }
    let module = expected.module ?? expected.name
    let hasGroups =
      inventory[
        config.storedName(of: "\(module).\(scheme.maker.columnGroupsName)")] != nil
    // Whatever the config says: they are there because the codes were made with them.
    let scheme = hasGroups ? scheme.ordered ?? scheme : scheme
    guard let parts = scheme.tensors(of: expected.shape) else {
      faults[expected.name] = Fault(
        .malformed, "cannot be stored in groups that do not divide its rows",
        tensor: expected.name, expected: scheme.description, found: "\(expected.shape)")
      return
    }
    var stored: [CompressedTensor.Role: StoredTensor] = [:]
    for part in parts {
      let name = config.storedName(of: "\(module).\(part.name)")
      let other: ExactText? =
        part.role == .scales ? "\(module).\(CompressedTensor.otherScalesName)" : nil
      guard let tensor = inventory[name] ?? other.flatMap({ inventory[config.storedName(of: $0)] })
      else {
        // A layer that is not there at all is for the caller to judge.
        guard part.role != .codes else { return }
        guard part.role.isNeeded else { continue }
        faults[expected.name] = Fault(
          .malformed, "has no \(part.name)", file: stored[.codes].map(path),
          tensor: expected.name, expected: name.text, found: "nothing")
        return
      }
      isUsed[tensor.index] = true
      guard part.admits(tensor.shape), part.types.contains(tensor.type) else {
        // What says nothing of the numbers is for `validate` to judge.
        guard part.role.isNeeded else {
          companions.append(tensor)
          continue
        }
        faults[expected.name] = fault(
          tensor, "is not what quantization_config implies",
          "\(part.shape) of \(part.types.map(\.rawValue).joined(separator: " or "))",
          "\(tensor.shape) of \(tensor.type.rawValue)")
        return
      }
      stored[part.role] = tensor
      if !part.role.isNeeded { companions.append(tensor) }
    }
    // GPTQ names each column's group even where they follow each other.
    if scheme.maker != .compressedTensors, let groups = stored[.columnGroups],
      ColumnGroups(try inventory.read(groups), type: groups.type)
        .isInOrder(size: scheme.block(of: expected.shape).columns)
    {
      stored[.columnGroups] = nil
      companions.append(groups)
    }
    guard let weight = scheme.assembly(of: expected.shape, stored) else {
      faults[expected.name] = Fault(
        .malformed, "has rows that do not fill whole words", file: stored[.codes].map(path),
        tensor: expected.name, expected: scheme.description, found: "\(expected.shape)")
      return
    }
    weights.append(SourceWeight(expected.name, expected.shape, weight))
  }

  private func path(_ tensor: StoredTensor) -> String { inventory.path(of: tensor) }

  private func fault(
    _ tensor: StoredTensor, _ message: String, _ expected: String, _ found: String
  ) -> Fault {
    Fault(
      .malformed, message, file: path(tensor), tensor: tensor.name, expected: expected,
      found: found)
  }
}

extension StoredTensor {
  /// Whether it is a matrix of plain numbers.
  package func isPlain(_ shape: Shape) -> Bool {
    self.shape == shape && SourceWeights.plainTypes.contains(type)
  }
}

extension CompressedTensor.Role {
  /// Whether the weight's values depend on it.
  package var isNeeded: Bool {
    switch self {
    case .codes, .scales, .zeroPoints, .globalScale, .columnGroups: true
    case .shape, .inputs: false
    }
  }
}

extension CompressedScheme {
  /// The arithmetic of groups; nil for codes whose scales form a grid of blocks.
  package var groups: GroupScheme? {
    switch (format, geometry, number) {
    case (.packed, .group(let size), .integer(let bits)):
      .integers(bits: bits, group: size, symmetric: isSymmetric)
    case (.packed, _, .integer(let bits)):
      .integers(bits: bits, group: nil, symmetric: isSymmetric)
    case (.nvfp4, _, _): maker == .modelOpt ? .modelOptNVFP4 : .nvfp4
    case (.mxfp4, _, _): .mxfp4
    // Codes of E4M3 and powers of two are the same in both.
    case (.mxfp8, _, _): .mlxMXFP8
    default: nil
    }
  }

  /// What is stored by the inputs of a matrix (outputs, inputs), seen as compressed-tensors has it.
  private func arranged(
    _ stored: [CompressedTensor.Role: StoredTensor], of shape: Shape
  ) -> [CompressedTensor.Role: StoredTensor] {
    let (rows, columns) = (shape.dimensions[0], shape.dimensions[1])
    let perWord = 32 / number.bits
    let (codes, zeros): (Arrangement, Arrangement.Element)
    switch maker {
    case .compressedTensors, .modelOpt, .bitsandbytes: return stored
    case .gptq(let lessOne):
      codes = Arrangement(.bytes(4), rows: rows, columns: columns / perWord)
      // A one in each code.
      let ones = UInt32.max / ((1 << UInt32(number.bits)) - 1)
      zeros = lessOne ? .wordsLessOne(ones) : .bytes(4)
    case .awq:
      codes = Arrangement(.interleavedCodes, rows: rows, columns: columns)
      zeros = .interleavedWords
    }
    let groups = columns / block(of: shape).columns
    var result = stored
    for (role, tensor) in stored {
      let dimensions: [Int]
      let arrangement: Arrangement
      switch role {
      case .codes: (dimensions, arrangement) = ([rows, columns / perWord], codes)
      case .zeroPoints:
        dimensions = [rows / perWord, groups]
        arrangement = Arrangement(zeros, rows: rows / perWord, columns: groups)
      case .scales:
        dimensions = [rows, groups]
        arrangement = Arrangement(.bytes(tensor.type.bits / 8), rows: rows, columns: groups)
      case .globalScale, .columnGroups, .shape, .inputs: continue
      }
      result[role] = Shape(dimensions).flatMap { tensor.seen(as: tensor.type, $0, arrangement) }
    }
    return result
  }

  /// A matrix put together from what is stored of it; nil where its rows do not fill whole words.
  fileprivate func assembly(
    of shape: Shape, _ stored: [CompressedTensor.Role: StoredTensor]
  ) -> Assembly? {
    let (rows, columns) = (shape.dimensions[0], shape.dimensions[1])
    let stored = arranged(stored, of: shape)
    guard let codes = stored[.codes], let scales = stored[.scales] else { return nil }
    // Powers of two are bytes in files from before there was a type for them.
    guard let numbers = scales.type == .u8 ? scales.seen(as: .f8E8M0, scales.shape) : scales else {
      return nil
    }
    if let groups {
      guard let codes = codes.seen(as: groups.code, shape) else { return nil }
      guard let shape = Shape([rows, groups.groups(columns: columns)]),
        let grid = numbers.seen(as: numbers.type, shape)
      else { return nil }
      return Scaling(
        grid, offsets: stored[.zeroPoints], globalScale: stored[.globalScale],
        columnGroups: stored[.columnGroups], scheme: groups, rows: rows, columns: columns
      ).map { Assembly(codes, scaling: $0) }
    }
    let block = block(of: shape)
    guard
      let shape = Shape([
        (rows + block.rows - 1) / block.rows, (columns + block.columns - 1) / block.columns,
      ]),
      // One scale for the whole matrix is a vector of one.
      let grid = numbers.seen(as: numbers.type, shape)
    else { return nil }
    return Scaling(
      grid, block: BlockSize(rows: block.rows, columns: block.columns), rows: rows,
      columns: columns, factor: maker == .bitsandbytes ? 1 / 127 : 1
    ).map { Assembly(codes, scaling: $0) }
  }
}
