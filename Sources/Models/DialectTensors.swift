package import Platform
package import Tensors

/// How a tensor of another dialect relates to the Hugging Face tensors that it holds.
package enum WeightForm: Sendable, Hashable, CaseIterable {
  /// It is one of them.
  case whole
  /// It stacks one matrix of every routed expert: (experts, rows, columns).
  case experts
  /// It stacks two matrices of every routed expert, one below the other: (experts, 2 · rows, columns).
  case expertPairs
  /// The key half of `kv_b_proj`, each head transposed: (heads, latent, nope).
  case keyHeads
  /// The value half of `kv_b_proj`: (heads, value, latent).
  case valueHeads
  /// It has two of them, the columns of one beside those of the other.
  case beside
}

/// A name as Hugging Face and another dialect write it, without what stands before in a layer.
package struct NameRow: Sendable {
  /// Hugging Face's name.
  package let huggingFace: ExactText
  /// The other dialect's name.
  package let own: ExactText
  /// How the other dialect stores the weight.
  package let form: WeightForm
  /// The second matrix of each expert in a stack of pairs, or of two beside each other.
  package let second: ExactText?

  /// Names a row.
  package init(
    huggingFace: ExactText, own: ExactText, form: WeightForm = .whole, second: ExactText? = nil
  ) {
    self.huggingFace = huggingFace
    self.own = own
    self.form = form
    self.second = second
  }

  /// What `{e}` stands for in the names of experts.
  package static let expertMark: ExactText = "{e}"
}

/// A tensor of another dialect and the Hugging Face tensors that it is made of.
package struct DialectTensor: Sendable, Hashable {
  /// The dialect's name.
  package let name: ExactText
  /// Dimensions, outermost first.
  package let shape: Shape
  /// How it relates to its sources.
  package let form: WeightForm
  /// Names of its sources: the experts in order for a stack, pair after pair where it has two of each,
  /// one name for all else.
  package let sources: [ExactText]
  /// What it is part of.
  package let part: ExpectedTensor.Part
  /// Index of its layer, nil outside the layers.
  package let layer: Int?
}

extension DialectTensor {
  /// A tensor of the network as it is, under a name of its own.
  package init(_ tensor: ExpectedTensor, named name: ExactText) {
    self.init(
      name: name, shape: tensor.shape, form: .whole, sources: [tensor.name], part: tensor.part,
      layer: tensor.layer)
  }
}

/// The tables of a dialect: tensors before, in and after the layers.
package struct NameTable: Sendable {
  let before: [NameRow]
  let layer: [NameRow]
  let after: [NameRow]
  /// What stands before the names in layer N: `blk.N.`.
  let layerPrefix: @Sendable (Int) -> ExactText

  /// Collects rows.
  package init(
    before: [NameRow], layer: [NameRow], after: [NameRow] = [],
    layerPrefix: @escaping @Sendable (Int) -> ExactText
  ) {
    self.before = before
    self.layer = layer
    self.after = after
    self.layerPrefix = layerPrefix
  }
}

extension ModelConfig {
  /// Every tensor of a dialect that holds a model of this config, in the order of the tables.
  ///
  /// Copies of embedding and head in MTP layers are included.
  package func tensors(_ table: NameTable) -> [DialectTensor] {
    // The first expert of a layer stands for the others.
    var byName: [ExactText: ExpectedTensor] = [:]
    for tensor in expectedTensors() where tensor.storage != .scale && tensor.expert ?? 0 == 0 {
      byName[tensor.name] = tensor
    }
    var tensors: [DialectTensor] = []
    func add(
      _ row: NameRow, _ names: [ExactText], from prefix: ExactText, to ownPrefix: ExactText,
      layer: Int?
    ) {
      guard let first = names.first.flatMap({ byName[prefix + $0] }),
        let shape = shape(of: row.form, source: first.shape)
      else { return }
      let sources = names.map { prefix + $0 }
      tensors.append(
        DialectTensor(
          name: ownPrefix + row.own, shape: shape, form: row.form, sources: sources,
          part: first.part, layer: layer))
    }
    for row in table.before { add(row, sourceNames(row), from: "", to: "", layer: nil) }
    let rows = table.layer.map { ($0, sourceNames($0)) }
    for layer in 0..<storedLayers {
      let (prefix, own): (ExactText, ExactText) = (
        "model.layers.\(layer).", table.layerPrefix(layer)
      )
      for (row, names) in rows { add(row, names, from: prefix, to: own, layer: layer) }
    }
    for row in table.after { add(row, sourceNames(row), from: "", to: "", layer: nil) }
    return tensors
  }

  private func sourceNames(_ row: NameRow) -> [ExactText] {
    let patterns = [row.huggingFace] + (row.second.map { [$0] } ?? [])
    guard row.form == .experts || row.form == .expertPairs else { return patterns }
    return (0..<routedExperts).flatMap { expert in
      patterns.map { ExpectedTensor.name($0, expert: expert) }
    }
  }

  /// The shape of a tensor made of sources of the given shape.
  private func shape(of form: WeightForm, source: Shape) -> Shape? {
    switch form {
    case .whole: source
    case .experts: Shape([routedExperts] + source.dimensions)
    case .expertPairs:
      Shape([routedExperts, 2 * source.dimensions[0]] + source.dimensions.dropFirst())
    case .keyHeads: Shape([heads, keyValueRank, nopeHeadSize])
    case .valueHeads: Shape([heads, valueHeadSize, keyValueRank])
    case .beside: Shape([source.dimensions[0], 2 * source.dimensions[1]])
    }
  }
}

extension ExpectedTensor {
  /// A name with its expert filled in.
  package static func name(_ pattern: ExactText, expert: Int) -> ExactText {
    pattern.replacing(NameRow.expertMark, with: "\(expert)")
  }
}
