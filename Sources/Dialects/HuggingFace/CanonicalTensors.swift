package import Formats
package import Models
internal import Naming
package import Platform
internal import Tensors

/// The tensors of a Hugging Face checkpoint as published ones have them: without what trainers and
/// wrappers put before all names, and each expert for itself where a layer's stand in two stacks, as
/// transformers 5 has them in memory.
package struct CanonicalTensors: Sendable {
  /// What stands before the network's names.
  package struct Prefix: Sendable, Hashable {
    /// The text.
    package let text: ExactText
    /// Whether it stands in place of `model.`, the head's name apart.
    let replacesModel: Bool

    /// For people.
    package var line: String {
      text.isEmpty
        ? "the names of the tensors lack model. in front"
        : "the names of the tensors begin with \(text)\(replacesModel ? " in place of model." : "")"
    }

    /// The published name; the same where it has no such beginning.
    func canonical(_ name: ExactText) -> ExactText {
      guard let rest = name.without(prefix: text) else { return name }
      return !replacesModel || rest.hasPrefix("lm_head.") ? rest : "model." + rest
    }

    /// What a tensor of a published name is called, or would be; a name that is so already stays.
    package func stored(_ name: ExactText) -> ExactText {
      if replacesModel, let rest = name.without(prefix: "model.") { return text + rest }
      return !text.isEmpty && name.hasPrefix(text) ? name : text + name
    }
  }

  /// What stands before all names; nil where these are the published ones.
  package let prefix: Prefix?
  private let config: ModelConfig
  private let v4: V4Names?

  /// Looks at the names of all tensors.
  package init(names: some Sequence<ExactText>, config: ModelConfig) {
    self.config = config
    v4 = V4Names(config)
    prefix = config.envelope == nil && config.v4 == nil ? CanonicalTensors.prefix(of: names) : nil
  }

  /// A part of a name that every network of the family has, once.
  private static let probe: ExactText = "layers.0.self_attn.kv_a_proj_with_mqa."

  private static func prefix(of names: some Sequence<ExactText>) -> Prefix? {
    var found: Set<Prefix> = []
    for name in names where name.contains(probe) {
      let bytes = Array(name.utf8)[...]
      guard let start = bytes.place(of: Array(probe.utf8))?.lowerBound else { continue }
      let front = ExactText(String(decoding: bytes[..<start], as: UTF8.self))
      if front == "model." { return nil }
      guard front.isEmpty || front.hasSuffix(".") else { return nil }
      found.insert(
        front.without(suffix: "model.").flatMap { rest in
          rest.isEmpty || rest.hasSuffix(".") ? Prefix(text: rest, replacesModel: false) : nil
        } ?? Prefix(text: front, replacesModel: true))
    }
    return found.count == 1 ? found.first : nil
  }

  /// Whether some of the tensors are not under their published names, or hold several.
  package func changes(_ tensors: some Sequence<StoredTensor>) -> Bool {
    prefix != nil || config.hasMistralNames || config.v4 != nil
      || tensors.contains {
        $0.shape.dimensions.count != 2 && $0.name.contains(".mlp.experts.")
      }
  }

  /// The published name of a tensor.
  package func name(of stored: ExactText) -> ExactText {
    if let v4 { return v4.own(of: stored) }
    return config.hasMistralNames
      ? MistralNames.own(of: stored) : prefix?.canonical(stored) ?? stored
  }

  /// What a stored tensor is: itself under its published name, or those of all experts.
  package func tensors(of stored: StoredTensor) -> [StoredTensor] {
    let name = name(of: stored.name)
    if let experts = experts(in: stored, named: config.ownName(of: name)) { return experts }
    let own = name == stored.name ? stored : stored.renamed(name)
    return [config.v4?.hasFP4Experts == true ? own.expertInFP4 : own]
  }

  /// Stacks of a layer's experts: their ends, the projections in each, one below the other, and what
  /// the tensor of one expert is called.
  private static let stacks: [(end: ExactText, projections: [ExactText], part: ExactText)] =
    ["", ".weight"].map { ("gate_up_proj" + $0, ["gate_proj", "up_proj"], "weight") }
    + ["", ".weight"].map { ("down_proj" + $0, ["down_proj"], "weight") }
    + [
      ("_scale_inv", "weight_scale_inv"), (".weight_scale_inv", "weight_scale_inv"),
      ("_activation_scale", "activation_scale"), (".activation_scale", "activation_scale"),
    ].flatMap { end, part -> [(ExactText, [ExactText], ExactText)] in
      [
        ("gate_up_proj" + end, ["gate_proj", "up_proj"], part),
        ("down_proj" + end, ["down_proj"], part),
      ]
    }

  /// The experts of a stack; nil where it is none, or not of so many.
  private func experts(in stored: StoredTensor, named name: ExactText) -> [StoredTensor]? {
    guard name.contains(".mlp.experts.") else { return nil }
    for (end, projections, part) in CanonicalTensors.stacks {
      guard let module = name.without(suffix: ".mlp.experts." + end),
        let slices = slices(of: stored, isScale: part != "weight")
      else { continue }
      var result: [StoredTensor] = []
      for (expert, slice) in slices.enumerated() {
        guard
          let parts = part == "weight"
            ? slice.rowParts(projections.count) : scales(slice, of: projections.count)
        else { return nil }
        for (projection, part_) in zip(projections, parts) {
          let own: ExactText = module + ".mlp.experts.\(expert)." + projection + "." + part
          result.append(part_.renamed(config.storedName(of: own)))
        }
      }
      return result
    }
    return nil
  }
}

extension CanonicalTensors {
  /// What a stack has of each expert; of scales each may have one number.
  private func slices(of stored: StoredTensor, isScale: Bool) -> [StoredTensor]? {
    let dimensions = stored.shape.dimensions
    if isScale, dimensions.count == 1, let column = Shape(dimensions + [1]) {
      return stored.seen(as: stored.type, column)?.slices(config.routedExperts)
    }
    return dimensions.count == 3 ? stored.slices(config.routedExperts) : nil
  }

  /// The scales of so many projections that one grid covers, each with its own rows, or with the only
  /// row; nil where a block lies in two of them.
  private func scales(_ grid: StoredTensor, of count: Int) -> [StoredTensor]? {
    if grid.shape.dimensions[0] == 1 { return Array(repeating: grid, count: count) }
    let rows = config.fp8?.blocks?.rows ?? 1
    return count == 1 || config.moeIntermediateSize % rows == 0 ? grid.rowParts(count) : nil
  }

  /// A checkpoint with its tensors under their published names, and what to say of it.
  ///
  /// - Parameter document: its config in Hugging Face's keys.
  /// - Throws: `.malformed` where two tensors have one published name.
  package static func read(
    _ checkpoint: Checkpoint, config: ModelConfig, document: JSONValue
  ) throws(Fault) -> (checkpoint: Checkpoint, notes: [String]) {
    let inventory = checkpoint.inventory
    let view = CanonicalTensors(names: inventory.tensors.lazy.map(\.name), config: config)
    let isUsual = config.storesStackedExperts
    guard view.changes(inventory.tensors) else { return (checkpoint, []) }
    let tensors = inventory.tensors.flatMap(view.tensors)
    var notes = view.prefix.map { ["\($0.line): it is read, and written, without that"] } ?? []
    if config.hasMistralNames {
      notes.append(
        "the files are Mistral's own, params.json and its names: they are read, and written, as "
          + "mistral4, which transformers, vLLM and mlx-lm load")
    } else if tensors.count > inventory.tensors.count, !isUsual, config.v4 == nil {
      notes.append("the experts of a layer stand in stacks: each is read, and written, for itself")
    }
    return (
      Checkpoint(
        folder: checkpoint.folder, config: document,
        inventory: try Inventory(shards: inventory.shards, tensors: tensors)), notes
    )
  }
}

extension StoredTensor {
  /// A routed expert's bytes as what they are, two codes of FP4 each; itself for anything else.
  fileprivate var expertInFP4: StoredTensor {
    guard type == .i8 || type == .u8, shape.dimensions.count == 2, name.contains(".mlp.experts."),
      let whole = Shape([shape.dimensions[0], 2 * shape.dimensions[1]])
    else { return self }
    return seen(as: .f4, whole) ?? self
  }
}
