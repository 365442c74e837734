public import Tensors

/// A tensor of a `deepseek2` GGUF file and the Hugging Face tensors that it is made of.
public struct DeepSeek2Tensor: Sendable, Hashable {
  /// llama.cpp's name.
  public let name: String
  /// Dimensions, outermost first.
  public let shape: Shape
  /// How it relates to its sources.
  public let form: DeepSeek2Names.Form
  /// Names of its sources: the experts in order for a stack, one name for all else.
  public let sources: [String]
  /// What it is part of.
  public let part: ExpectedTensor.Part
  /// Index of its layer, nil outside the layers.
  public let layer: Int?

  /// Whether it is F32 whatever the file's type: vectors, norms, the router and its bias.
  public var isAlwaysFloat32: Bool {
    shape.dimensions.count <= 1 || part == .router || part == .norm
  }
}

extension DeepSeekV3Config {
  /// Every tensor of a GGUF file of this config, in the order in which llama-quantize writes them.
  ///
  /// Copies of embedding and head in MTP layers are included; llama.cpp can do without them.
  public func deepSeek2Tensors() -> [DeepSeek2Tensor] {
    var byName: [String: ExpectedTensor] = [:]
    for tensor in expectedTensors() where tensor.storage != .scale { byName[tensor.name] = tensor }
    var tensors: [DeepSeek2Tensor] = []
    func add(_ row: DeepSeek2Names.Row, from prefix: String, to ggufPrefix: String, layer: Int?) {
      let sources = sourceNames(row).map { prefix + $0 }
      let legacy = row.form == .whole && row.gguf == "attn_kv_b.weight"
      guard !legacy, let first = sources.first.flatMap({ byName[$0] }),
        let shape = shape(of: row.form, source: first.shape)
      else { return }
      tensors.append(
        DeepSeek2Tensor(
          name: ggufPrefix + row.gguf, shape: shape, form: row.form, sources: sources,
          part: first.part, layer: layer))
    }
    for row in DeepSeek2Names.outer { add(row, from: "", to: "", layer: nil) }
    for layer in 0..<storedLayers {
      for row in DeepSeek2Names.layer {
        add(row, from: "model.layers.\(layer).", to: "blk.\(layer).", layer: layer)
      }
    }
    return tensors.sorted { DeepSeek2Names.precedes($0.name, $1.name) }
  }

  private func sourceNames(_ row: DeepSeek2Names.Row) -> [String] {
    guard row.form == .experts else { return [row.huggingFace] }
    return (0..<routedExperts).map { DeepSeek2Names.name(row.huggingFace, expert: $0) }
  }

  /// The shape of a tensor made of sources of the given shape.
  private func shape(of form: DeepSeek2Names.Form, source: Shape) -> Shape? {
    switch form {
    case .whole: source
    case .experts: Shape([routedExperts] + source.dimensions)
    case .keyHeads: Shape([heads, keyValueRank, nopeHeadSize])
    case .valueHeads: Shape([heads, valueHeadSize, keyValueRank])
    }
  }
}

extension DeepSeek2Names {
  /// A name with its expert filled in.
  public static func name(_ pattern: String, expert: Int) -> String {
    let parts = pattern.split(separator: expertMark, omittingEmptySubsequences: false)
    return parts.joined(separator: String(expert))
  }
}
