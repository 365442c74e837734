public import Tensors

/// Which element type each tensor of a GGUF file gets: llama-quantize's choice for `deepseek2`,
/// tensor by tensor, as a pure function.
///
/// Source: llama.cpp's `llama-quant.cpp`, of the version in `scripts/build-llama`. Its counters
/// count tensors in the order of their names, so ask in that order.
public struct QuantMix: Sendable {
  /// What the rules look at beside the tensor.
  public struct Network: Sendable, Hashable {
    /// `block_count`: layers, those of MTP included.
    public var layers: Int
    /// Routed experts; 0 or 1 where there are none.
    public var experts: Int
    /// Query heads for each key-value head, as the metadata tells them.
    public var groupedQueries: Int
    /// Whether there is no `output.weight`, so that the embedding table is the head too.
    public var tiedEmbeddings: Bool
    /// Tensors named `attn_kv_b`, which files from before the split have.
    public var jointKeyValues: Int

    /// Makes a description.
    public init(
      layers: Int, experts: Int, groupedQueries: Int, tiedEmbeddings: Bool, jointKeyValues: Int
    ) {
      self.layers = layers
      self.experts = experts
      self.groupedQueries = groupedQueries
      self.tiedEmbeddings = tiedEmbeddings
      self.jointKeyValues = jointKeyValues
    }
  }

  /// A type and why it was chosen.
  public struct Choice: Sendable, Hashable {
    /// The type.
    public let type: ElementType
    /// The rule, in a few words.
    public let reason: String
    /// Whether the type is of no use without an importance matrix.
    public var needsImportance = false
  }

  private let recipe: GGUFRecipe
  private let network: Network
  private let hasImportance: Bool
  private var downIndex = 0
  private var jointIndex = 0

  /// Starts counting.
  public init(_ recipe: GGUFRecipe, network: Network, hasImportance: Bool) {
    self.recipe = recipe
    self.network = network
    self.hasImportance = hasImportance
  }

  /// The type of the next tensor.
  ///
  /// - Parameter source: its type in the file that llama-quantize would read; tensors that it does
  ///   not quantize keep it.
  public mutating func choose(name: String, shape: Shape, source: ElementType) -> Choice {
    if let reason = QuantMix.exemption(name, shape, leavesOutput: recipe.leavesOutput) {
      return Choice(type: source, reason: reason)
    }
    let category = Category(name)
    if category == .embedding, let type = recipe.embeddingType {
      return Choice(type: type, reason: "--token-embedding-type")
    }
    if category == .output, let type = recipe.outputType {
      return Choice(type: type, reason: "--output-tensor-type")
    }
    let fileType = recipe.fileType
    guard fileType.isQuantized else {
      return Choice(type: fileType.type, reason: "asked for by --quant \(fileType.name)")
    }
    var choice = Choice(type: fileType.type, reason: "\(fileType.name): the usual type")
    if let manual = recipe.tensorTypes.first(where: { $0.matches(name) }) {
      choice = Choice(type: manual.type, reason: "--tensor-type \(manual.pattern)")
    } else if recipe.isPure {
      choice = Choice(type: fileType.type, reason: "--pure")
    } else if let special = mixed(name, category, shape) {
      choice = special
    }
    choice = QuantMix.fitted(choice, columns: shape.dimensions[shape.dimensions.count - 1])
    choice.needsImportance =
      fileType.name == "Q2_K_S" && choice.type == .q2K
      && category != .embedding && category != .output
    return choice
  }

  /// Why a tensor is never quantized; nil where it may be.
  private static func exemption(_ name: String, _ shape: Shape, leavesOutput: Bool) -> String? {
    // GGML does not count outermost dimensions of 1.
    let rank = shape.dimensions.drop { $0 == 1 }.count
    if rank < 2 { return "a vector: never quantized" }
    if !name.hasSuffix("weight") { return "no weight: never quantized" }
    if name.contains("_norm.weight") { return "a norm: never quantized" }
    if name.contains("ffn_gate_inp.weight") { return "decides routing: never quantized" }
    if leavesOutput, name == "output.weight" { return "--leave-output-tensor" }
    return nil
  }

  /// A type that the row fits into, where its length is no multiple of the block's.
  private static func fitted(_ choice: Choice, columns: Int) -> Choice {
    let type = choice.type
    guard columns % type.blockElements != 0 else { return choice }
    var other = fallbacks[type] ?? type
    if columns % other.blockElements != 0 { other = .f16 }
    return Choice(
      type: other,
      reason: "\(choice.reason); \(type.rawValue) needs rows of a multiple of "
        + "\(type.blockElements), not \(columns)")
  }

  private static let fallbacks: [ElementType: ElementType] = [
    .iq4XS: .iq4NL, .iq3S: .iq4NL, .iq3XXS: .iq4NL, .iq2S: .iq4NL, .iq2XS: .iq4NL,
    .iq2XXS: .iq4NL, .iq1M: .iq4NL, .iq1S: .iq4NL, .q2K: .q40, .q3K: .q40, .tq10: .q40,
    .tq20: .q40, .q4K: .q50, .q5K: .q51, .q6K: .q80,
  ]
}

/// The kinds of tensors that the rules tell apart, by a part of the name.
private enum Category {
  case output, embedding, jointKeyValue, attentionOutput, down, other

  init(_ name: String) {
    switch name {
    case "output.weight": self = .output
    case "token_embd.weight": self = .embedding
    case _ where name.contains("attn_kv_b.weight"): self = .jointKeyValue
    case _ where name.contains("attn_output.weight"): self = .attentionOutput
    case _ where name.contains("ffn_down"): self = .down
    default: self = .other
    }
  }
}

extension QuantMix {
  /// A file type's rule for a kind of tensors, perhaps for some layers only.
  private struct Rule {
    /// Which of the layers a rule is for.
    enum Layers {
      case all, firstEighth, firstSixteenth, moreBits, firstTwo, firstFour
    }

    let files: Set<String>
    let type: ElementType
    var layers = Layers.all
    /// The rule is for runs with an importance matrix (true) or without (false) only.
    var importance: Bool?

    func applies(_ file: String, index: Int, of count: Int, hasImportance: Bool) -> Bool {
      guard files.contains(file), importance ?? hasImportance == hasImportance else {
        return false
      }
      switch layers {
      case .all: return true
      case .firstEighth: return index < count / 8
      case .firstSixteenth: return index < count / 16
      case .moreBits: return QuantMix.usesMoreBits(index, of: count)
      case .firstTwo: return index < 2
      case .firstFour: return index < 4
      }
    }
  }

  /// The layers that matter most: the first and last eighth and every third between.
  static func usesMoreBits(_ index: Int, of count: Int) -> Bool {
    index < count / 8 || index >= 7 * count / 8 || (index - count / 8) % 3 == 2
  }

  private static let down: [Rule] = [
    Rule(files: ["Q2_K"], type: .q3K),
    Rule(files: ["Q2_K_S"], type: .q4K, layers: .firstEighth),
    Rule(files: ["Q3_K_M"], type: .q5K, layers: .firstSixteenth),
    Rule(files: ["Q3_K_M"], type: .q4K),
    Rule(files: ["Q3_K_L"], type: .q5K),
    Rule(files: ["Q4_K_M", "Q5_K_M"], type: .q6K, layers: .moreBits),
    Rule(files: ["IQ4_NL", "IQ4_XS"], type: .q5K, layers: .firstEighth, importance: false),
    Rule(files: ["Q4_K_S"], type: .q5K, layers: .firstEighth),
    Rule(files: ["Q4_0"], type: .q41, layers: .firstEighth, importance: true),
    Rule(files: ["Q5_0"], type: .q51, layers: .firstEighth, importance: true),
  ]

  private static let attentionOutput: [Rule] = [
    Rule(files: ["Q2_K"], type: .q3K), Rule(files: ["Q3_K_M"], type: .q4K),
    Rule(files: ["Q3_K_L"], type: .q5K),
  ]

  /// The same for models of exactly eight experts, which Mixtral was when the rule was made.
  private static let attentionOutputOfEight: [Rule] = [
    Rule(
      files: ["Q2_K", "Q3_K_S", "Q3_K_M", "IQ4_NL", "Q4_K_S", "Q4_K_M", "IQ4_XS"], type: .q5K)
  ]

  private static let jointKeyValue: [Rule] = [
    Rule(files: ["Q2_K"], type: .q3K),
    Rule(files: ["Q3_K_M"], type: .q5K, layers: .firstTwo),
    Rule(files: ["Q3_K_M"], type: .q4K), Rule(files: ["Q3_K_L"], type: .q5K),
    Rule(files: ["Q4_K_M", "Q5_K_M"], type: .q6K, layers: .moreBits),
    Rule(files: ["Q4_K_S"], type: .q5K, layers: .firstFour),
  ]

  private static let groupedJointKeyValue: [Rule] = [
    Rule(files: ["Q2_K", "Q2_K_S"], type: .q4K),
    Rule(files: ["IQ4_NL", "IQ4_XS"], type: .q5K),
  ]

  /// What the mix has for a tensor; nil for the file type's own type.
  private mutating func mixed(
    _ name: String, _ category: Category, _ shape: Shape
  ) -> Choice? {
    let file = recipe.fileType
    if category == .output || category == .embedding && network.tiedEmbeddings {
      return head(columns: shape.dimensions[shape.dimensions.count - 1])
    }
    if file.name == "MXFP4_MOE" {
      let isStack = shape.dimensions.count > 2 && shape.dimensions[shape.dimensions.count - 3] > 1
      return isStack
        ? Choice(type: .mxfp4, reason: "MXFP4_MOE: a stack of matrices")
        : Choice(type: .q80, reason: "MXFP4_MOE: no stack of matrices")
    }
    switch category {
    case .embedding:
      guard ["TQ1_0", "TQ2_0"].contains(file.name) else { return nil }
      return Choice(type: .q4K, reason: "\(file.name): the embedding table")
    case .jointKeyValue:
      defer { jointIndex += 1 }
      if network.experts == 8 {
        return Choice(type: .q80, reason: "\(file.name): attn_kv_b beside eight experts")
      }
      let grouped = network.groupedQueries >= 4 ? QuantMix.groupedJointKeyValue : []
      return first(
        of: grouped + QuantMix.jointKeyValue, index: jointIndex, count: network.jointKeyValues,
        what: "attn_kv_b")
    case .down:
      defer { downIndex += 1 }
      // With experts the layer's number counts, without them the number of such tensors so far.
      let layer = network.experts > 1 ? Category.layer(of: name) ?? downIndex : downIndex
      return first(of: QuantMix.down, index: layer, count: network.layers, what: "ffn_down")
    case .attentionOutput:
      let rules =
        network.experts == 8 ? QuantMix.attentionOutputOfEight : QuantMix.attentionOutput
      return first(of: rules, index: 0, count: network.layers, what: "attn_output")
    case .output, .other: return nil
    }
  }

  /// The head, which decides over every token, gets more bits than all else.
  private func head(columns: Int) -> Choice {
    if let type = recipe.outputType { return Choice(type: type, reason: "--output-tensor-type") }
    let file = recipe.fileType
    if file.name == "MXFP4_MOE" || columns % file.type.blockElements != 0 || file.type == .q80 {
      return Choice(type: .q80, reason: "\(file.name): the head")
    }
    return Choice(type: .q6K, reason: "\(file.name): the head")
  }

  private func first(of rules: [Rule], index: Int, count: Int, what: String) -> Choice? {
    let rule = rules.first {
      $0.applies(recipe.fileType.name, index: index, of: count, hasImportance: hasImportance)
    }
    return rule.map { rule in
      let place = rule.layers == .all ? "" : " of layer \(index) of \(count)"
      return Choice(type: rule.type, reason: "\(recipe.fileType.name): \(what)\(place)")
    }
  }
}

extension Category {
  /// The layer in `blk.N.…`.
  static func layer(of name: String) -> Int? {
    guard name.hasPrefix("blk.") else { return nil }
    return Int(name.dropFirst("blk.".count).prefix { $0 != "." })
  }
}
