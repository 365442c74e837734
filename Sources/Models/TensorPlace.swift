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
  /// Rows of a table, few enough for a look at each.
  private struct Rows: Sendable {
    var rows: [(name: ExactText, part: ExpectedTensor.Part, isScale: Bool)] = []

    subscript(name: UnsafeBufferPointer<UInt8>) -> (part: ExpectedTensor.Part, isScale: Bool)? {
      for row in rows where row.name.withBytes({ $0.count == name.count && $0.begins(with: name) })
      {
        return (row.part, row.isScale)
      }
      return nil
    }
  }

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
      var result = Rows()
      for (prefix, rows) in tables {
        for row in rows where row.isPresent(config) {
          let name = prefix + row.suffix
          result.rows.append((name, row.part, false))
          guard row.quantized, config.fp8 != nil else { continue }
          result.rows.append((ExpectedTensor.scaleName(for: name), row.part, true))
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
  package func place(of name: ExactText) -> TensorPlace? { name.withBytes(place) }

  private func place(of name: UnsafeBufferPointer<UInt8>) -> TensorPlace? {
    guard let (layer, rest) = name.number(after: "model.layers.") else {
      return outside[name].map { TensorPlace($0, layer: nil, expert: nil) }
    }
    // A name may claim any layer; more MTP layers than decoder layers exist nowhere.
    guard layer < 2 * config.layers else { return nil }
    let isSparse = config.hasExperts(layer: layer)
    if isSparse, let (index, end) = rest.number(after: "mlp.experts.") {
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

}

extension UnsafeBufferPointer<UInt8> {
  /// The number of up to nine digits between `prefix` and the next dot, and what follows that dot; nil
  /// where there is none.
  func number(after prefix: StaticString) -> (number: Int, rest: Self)? {
    let start = prefix.utf8CodeUnitCount
    guard begins(with: Self(start: prefix.utf8Start, count: start)) else { return nil }
    var number = 0
    for place in start..<Swift.min(count, start + 10) {
      if self[place] == UInt8(ascii: ".") {
        return place == start ? nil : (number, Self(rebasing: self[(place + 1)...]))
      }
      guard case 0x30...0x39 = self[place] else { return nil }
      number = number * 10 + Int(self[place] - 0x30)
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
