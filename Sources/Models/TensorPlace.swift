package import Platform

/// Where a stored tensor belongs, read off its name.
package struct TensorPlace: Sendable, Hashable {
  /// What it is part of.
  package let part: ExpectedTensor.Part
  /// Whether it holds the scales of an FP8 weight rather than weights.
  package let isScale: Bool
  /// Index of its layer, nil outside the layers.
  package let layer: Int?
  /// Index of its routed expert, nil elsewhere.
  package let expert: Int?
}

extension TensorPlace {
  /// The place of a tensor that a config implies.
  package init(of tensor: ExpectedTensor) {
    self.init(
      part: tensor.part, isScale: tensor.storage == .scale, layer: tensor.layer,
      expert: tensor.expert)
  }
}

/// Finds the places of tensors by their names, from the same tables that list what a config implies
/// but without writing out that list: headers of 92,000 tensors are looked through in milliseconds.
///
/// Layers after the last decoder layer are taken for MTP layers whether the config declares them or
/// not; shapes and types are for `validate` to check.
package struct TensorPlaces: Sendable {
  private typealias Rows = [Substring: (part: ExpectedTensor.Part, isScale: Bool)]

  private let config: ModelConfig
  private let outside: Rows
  private let mtp: Rows
  private let block: Rows
  private let indexer: Rows
  private let dense: Rows
  private let sparse: Rows
  private let expert: Rows
  /// By the kind of the layer, where a network has layers of several.
  private let own: [ModelConfig.DeepSeekV4.Kind: Rows]

  /// Prepares look-ups for a config.
  package init(_ config: ModelConfig) {
    func rows(_ tables: [(prefix: ExactText, rows: [TensorRow])]) -> Rows {
      var result: Rows = [:]
      for (prefix, rows) in tables {
        for row in rows where row.isPresent(config) {
          let name = prefix + row.suffix
          result[name.text[...]] = (row.part, false)
          guard row.quantized, config.fp8 != nil else { continue }
          result[ExpectedTensor.scaleName(for: name).text[...]] = (row.part, true)
        }
      }
      return result
    }
    self.config = config
    outside = rows([
      ("model.", ModelConfig.embedding), ("", ModelConfig.output),
      ("model.", config.v4 == nil ? [] : ModelConfig.streamedHead),
    ])
    mtp = rows([("", config.v4 == nil ? ModelConfig.mtp : ModelConfig.streamedMTP)])
    block = rows([("", config.v4 == nil ? ModelConfig.block : ModelConfig.streamedBlock)])
    indexer = rows([("", ModelConfig.indexer)])
    dense = rows([("mlp.", ModelConfig.dense)])
    sparse = rows([
      ("mlp.", ModelConfig.router), ("mlp.shared_experts.", ModelConfig.shared),
      ("", ModelConfig.expertNorm),
    ])
    expert = rows([("", ModelConfig.expert)])
    own =
      config.v4 == nil
      ? [:]
      : Dictionary(
        uniqueKeysWithValues: ModelConfig.DeepSeekV4.Kind.allCases.map { kind in
          (kind, rows([("", ModelConfig.compressors(of: kind) + ModelConfig.streamedRouter)]))
        })
  }

  /// The place of the tensor called `name`, nil where the network has none of that name.
  package func place(of name: ExactText) -> TensorPlace? {
    guard let (layer, rest) = TensorPlaces.number(after: "model.layers.", in: name.text[...]) else {
      return outside[name.text[...]].map { TensorPlace($0, layer: nil, expert: nil) }
    }
    // A name may claim any layer; more MTP layers than decoder layers exist nowhere.
    guard layer < 2 * config.layers else { return nil }
    let isSparse = config.hasExperts(layer: layer)
    if isSparse, let (index, end) = TensorPlaces.number(after: "mlp.experts.", in: rest) {
      guard index < config.routedExperts else { return nil }
      return expert[end].map { TensorPlace($0, layer: layer, expert: index) }
    }
    let row = block[rest] ?? (isSparse ? sparse : dense)[rest]
    let chosen = row ?? (config.hasIndexer(layer: layer) ? indexer[rest] : nil)
    let kind = config.v4?.kind(ofLayer: layer)
    let place = chosen ?? kind.flatMap { own[$0]?[rest] }
    return (place ?? (layer >= config.layers ? mtp[rest] : nil)).map {
      TensorPlace($0, layer: layer, expert: nil)
    }
  }

  /// The number between `prefix` and the next dot, and what follows that dot.
  private static func number(
    after prefix: StaticString, in text: Substring
  ) -> (number: Int, rest: Substring)? {
    let bytes = text.utf8
    let count = prefix.utf8CodeUnitCount
    let expected = UnsafeBufferPointer(start: prefix.utf8Start, count: count)
    guard bytes.starts(with: expected) else { return nil }
    let start = bytes.index(bytes.startIndex, offsetBy: count)
    var number = 0
    var index = start
    while index < bytes.endIndex {
      let byte = bytes[index]
      if byte == UInt8(ascii: ".") {
        return index == start ? nil : (number, text[bytes.index(after: index)...])
      }
      guard case 0x30...0x39 = byte, number < 1_000_000 else { return nil }
      number = number * 10 + Int(byte - 0x30)
      index = bytes.index(after: index)
    }
    return nil
  }
}

extension TensorPlace {
  fileprivate init(
    _ row: (part: ExpectedTensor.Part, isScale: Bool), layer: Int?, expert: Int?
  ) {
    self.init(part: row.part, isScale: row.isScale, layer: layer, expert: expert)
  }
}
