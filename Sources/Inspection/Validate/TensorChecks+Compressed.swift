internal import Dialects
internal import Formats
internal import Models
internal import Platform
internal import Tensors

extension TensorChecks {
  /// Checks what stands in place of a weight that compressed-tensors stores as codes.
  ///
  /// - Parameter isExcused: whether the absence of all of it has been said.
  /// - Returns: the names of what was found.
  mutating func checkParts(
    of weight: ExpectedTensor, _ named: CompressedScheme, isExcused: Bool
  ) -> [ExactText] {
    let scheme = ordered(named, weight)
    if scheme.maker.isToldByTensors, let plain = found[weight.name], plain.isPlain(weight.shape) {
      keep(weight.asPlain, plain)
      // What joins an MTP layer to the stream is plain to loaders, whatever the config lists.
      if weight.part == .mtpInput || weight.part == .headCopy { return [weight.name] }
      collector.add(
        Finding(
          .metadataMismatch, .warning, tensor: weight.name, file: shardNames[plain.shard].text,
          expected: "\(scheme), as quantization_config says", found: plain.type.rawValue,
          hint: "read as it is; loaders that go by the config need its module among those that are "
            + "left out"), pattern: "plain where codes were expected")
      return [weight.name]
    }
    guard let parts = scheme.tensors(of: weight.shape) else {
      collector.add(
        Finding(
          .metadataMismatch, tensor: weight.name, file: "config.json",
          expected: "\(scheme), which has whole groups", found: "\(weight.shape)",
          hint: "the module belongs on quantization_config's ignore list"),
        pattern: FindingCollector.pattern(of: weight.name, wholeExperts: false))
      return found[weight.name].map { [$0.name] } ?? []
    }
    let tensors = parts.map { ($0, present($0, of: weight)) }
    let there = tensors.compactMap { found[$1.name] }
    // The codes come first, and nothing else is missed without them.
    guard let codes = found[tensors[0].1.name] else {
      if !isExcused { checkAbsence(ofCodes: tensors[0].1, of: weight, scheme) }
      // Plain weights in their place have been said to be wrong.
      return there.map(\.name) + (found[weight.name].map { [$0.name] } ?? [])
    }
    for (part, tensor) in tensors {
      if let stored = found[tensor.name] {
        check(part, tensor, stored, weight: weight, scheme)
      } else if !excused.contains(tensor.name) {
        addAbsence(of: part, tensor, codes: codes, scheme)
      }
    }
    return there.map(\.name)
  }

  private mutating func checkAbsence(
    ofCodes codes: ExpectedTensor, of weight: ExpectedTensor, _ scheme: CompressedScheme
  ) {
    guard !excused.contains(codes.name) else { return }
    guard let plain = found[weight.name] else {
      collector.add(
        Finding(.missingTensor, tensor: codes.name, expected: "\(codes.shape)", found: "none"),
        pattern: FindingCollector.pattern(of: codes.name, wholeExperts: true))
      return
    }
    collector.add(
      Finding(
        .metadataMismatch, tensor: weight.name, file: shardNames[plain.shard].text,
        expected: "\(scheme), as quantization_config says", found: plain.type.rawValue,
        hint: "the weights were decompressed, or the module belongs on the ignore list"),
      pattern: FindingCollector.pattern(of: weight.name, wholeExperts: true))
  }

  private mutating func addAbsence(
    of part: CompressedTensor, _ tensor: ExpectedTensor, codes: StoredTensor,
    _ scheme: CompressedScheme
  ) {
    let isScale = tensor.storage == .scale
    collector.add(
      Finding(
        isScale ? .missingScale : .missingTensor, tensor: tensor.name,
        file: shardNames[codes.shard].text,
        expected: "\(part.role.rawValue) \(tensor.shape) of \(codes.name)", found: "none",
        hint: isScale
          ? "without them codes are no weights" : "loaders look for it: \(scheme) has it"),
      pattern: FindingCollector.pattern(of: tensor.name, wholeExperts: true))
  }

  private mutating func check(
    _ part: CompressedTensor, _ tensor: ExpectedTensor, _ stored: StoredTensor,
    weight: ExpectedTensor, _ scheme: CompressedScheme
  ) {
    var pattern: String { FindingCollector.pattern(of: tensor.name, wholeExperts: false) }
    guard part.admits(stored.shape) else {
      collector.add(
        Finding(
          tensor.storage == .scale ? .wrongScaleShape : .wrongShape, tensor: tensor.name,
          file: shardNames[stored.shard].text, expected: part.shape.description,
          found: stored.shape.description, hint: "\(weight.shape) stored as \(scheme)"),
        pattern: pattern)
      return
    }
    guard part.types.contains(stored.type) else {
      collector.add(
        Finding(
          .wrongType, tensor: tensor.name, file: shardNames[stored.shard].text,
          expected: part.types.map(\.rawValue).joined(separator: " or "),
          found: stored.type.rawValue, hint: "\(part.role.rawValue) of \(scheme)"),
        pattern: pattern)
      return
    }
    keep(tensor, stored)
    if part.role == .shape { statedShapes.append((stored, weight.shape)) }
  }

  /// The scheme with the order that `weight_g_idx` gives the columns, where that stands there and the
  /// config says nothing of it: codes are read with it, as they were made.
  private mutating func ordered(
    _ scheme: CompressedScheme, _ weight: ExpectedTensor
  ) -> CompressedScheme {
    let name: ExactText = "\(weight.module ?? weight.name).\(scheme.maker.columnGroupsName)"
    guard let stored = found[name], let ordered = scheme.ordered else { return scheme }
    columnGroups.append((stored, scheme.block(of: weight.shape).columns, scheme.isOrdered))
    // GPTQ stores the order whether or not there is one.
    guard !scheme.isOrdered, scheme.maker == .compressedTensors else { return ordered }
    collector.add(
      Finding(
        .metadataMismatch, .warning, tensor: name, file: "config.json",
        expected: "actorder group in quantization_config, since the order is stored", found: "none",
        hint: "codes are read in that order here; loaders that go by the config pass it over"),
      pattern: "order without actorder")
    return ordered
  }

  /// A part by its name, or scales by the one that DeepSeek's checkpoints have for them.
  private mutating func present(
    _ part: CompressedTensor, of weight: ExpectedTensor
  ) -> ExpectedTensor {
    let tensor = weight.part(part)
    let other: ExactText =
      "\(weight.module ?? weight.name).\(CompressedTensor.otherScalesName)"
    guard part.role == .scales, found[tensor.name] == nil, let stored = found[other] else {
      return tensor
    }
    collector.add(
      Finding(
        .orphanScale, .warning, tensor: other, file: shardNames[stored.shard].text,
        expected: "\(tensor.name)", found: "\(other)",
        hint: "read as what it is; loaders look for weight_scale: fathom convert --to "
          + "compressed-tensors keeps the codes and writes scales under that name"),
      pattern: "scales under another name")
    return tensor.scales(named: other, tensor.shape)
  }
}
