package import Formats
package import Platform
package import Tensors

/// The parts that llama-quantize tells apart by name; `attn_k_b` and `attn_v_b` are `other`.
package enum TensorCategory: CaseIterable {
  case output, tokenEmbedding, attentionValue, attentionKey, attentionQuery, attentionOutput
  case feedForwardUp, feedForwardGate, feedForwardDown, other

  /// The part that a tensor of that name is taken for.
  package init(name: ExactText) {
    self =
      switch name {
      case "output.weight": .output
      case "token_embd.weight": .tokenEmbedding
      default: TensorCategory.parts.first { name.contains($0.part) }?.category ?? .other
      }
  }

  /// The first part that a name contains decides.
  private static let parts: [(part: ExactText, category: TensorCategory)] = [
    ("attn_kv_b.weight", .attentionValue), ("attn_v.weight", .attentionValue),
    ("attn_k.weight", .attentionKey), ("attn_q.weight", .attentionQuery),
    ("attn_output.weight", .attentionOutput),
    ("ffn_up", .feedForwardUp), ("ffn_gate", .feedForwardGate), ("ffn_down", .feedForwardDown),
  ]

  /// As it is called in reasons.
  package var phrase: String {
    switch self {
    case .output: "output"
    case .tokenEmbedding: "token_embd"
    case .attentionValue: "attn_kv_b"
    case .attentionKey: "attn_k"
    case .attentionQuery: "attn_q"
    case .attentionOutput: "attn_output"
    case .feedForwardUp: "ffn_up"
    case .feedForwardGate: "ffn_gate"
    case .feedForwardDown: "ffn_down"
    case .other: "any other"
    }
  }
}

/// What a rule may look at beside file type and category.
package struct MixFacts {
  /// The tensor whose type is looked for.
  package var tensor: TypeMix.Tensor
  /// What is known of its model.
  package var model: TypeMix.Model
  /// The type that it has without a rule.
  package var base: ElementType
  /// The layer, or how many tensors of the category came before, and of how many.
  package var index = 0
  /// Layers of the model, or tensors of the category, that `index` counts.
  package var count = 0
  /// Whether there is an importance matrix.
  package var hasImportance: Bool

  /// Whether a layer is in neither the first nor the last eighth.
  package var isInTheMiddle: Bool { index >= count / 8 && index < 7 * count / 8 }

  /// Whether a layer is in the first or last eighth, or each third one between.
  package var getsMoreBits: Bool {
    index < count / 8 || index >= 7 * count / 8 || (index - count / 8) % 3 == 2
  }
}

/// A condition of a rule.
package enum MixCondition {
  case firstPart(Int)
  case first(Int)
  case middle
  case moreBits
  case sharedKeys
  case someExperts
  case eightExperts
  case otherExperts
  case importance(Bool)
  case stack
  case baseIsNot(ElementType)
  case wholeBlocks

  /// Whether a tensor meets it.
  package func holds(_ facts: MixFacts) -> Bool {
    switch self {
    case .firstPart(let part): facts.index < facts.count / part
    case .first(let number): facts.index < number
    case .middle: facts.isInTheMiddle
    case .moreBits: facts.getsMoreBits
    case .sharedKeys: facts.model.headsPerKey >= 4
    case .someExperts: facts.model.expertCount >= 4
    case .eightExperts: facts.model.expertCount == 8
    case .otherExperts: facts.model.expertCount != 8
    case .importance(let wanted): facts.hasImportance == wanted
    case .stack: facts.tensor.isStack
    case .baseIsNot(let type): facts.base != type
    case .wholeBlocks: facts.tensor.rowLength % facts.base.blockElements == 0
    }
  }

  /// Nil where it says nothing that a reader wants to know.
  package var phrase: String? {
    switch self {
    case .firstPart(let part): "layer in the first \(part == 8 ? "eighth" : "sixteenth")"
    case .first(let number): "among the first \(number)"
    case .middle: "layer in the middle three quarters"
    case .moreBits: "layer among those with more bits"
    case .sharedKeys: "four heads or more share a key"
    case .someExperts: "four experts or more"
    case .eightExperts: "eight experts"
    case .otherExperts, .baseIsNot, .wholeBlocks: nil
    case .importance(let present): present ? "with importance" : "without importance"
    case .stack: "a stack of matrices"
    }
  }
}

/// A row of the table of mixes: the type of a category in some file types under some conditions.
package struct MixRule {
  /// Nil for every file type that is quantized.
  package let files: Set<GGUFFileType>?
  /// Nil for every category.
  package let category: TensorCategory?
  /// What a tensor has to meet, all of it.
  package let conditions: [MixCondition]
  /// The type that it has then.
  package let type: ElementType

  /// Makes a row; nil stands for every file type, or every category.
  package init(
    _ files: Set<GGUFFileType>?, _ category: TensorCategory?, _ type: ElementType,
    when conditions: [MixCondition] = []
  ) {
    self.files = files
    self.category = category
    self.conditions = conditions
    self.type = type
  }

  /// Whether the row is about a tensor of that category in a file of that type.
  package func applies(to file: GGUFFileType, _ category: TensorCategory, _ facts: MixFacts) -> Bool
  {
    (files?.contains(file) ?? true) && (self.category ?? category) == category
      && conditions.allSatisfy { $0.holds(facts) }
  }

  /// Why a tensor has the row's type, for reports.
  package var reason: String {
    let phrases = ([category?.phrase] + conditions.map(\.phrase)).compactMap { $0 }
    return phrases.isEmpty ? "every other tensor" : phrases.joined(separator: ", ")
  }

  /// The file types of less than three bits, whose rules are their own, with less for attention and
  /// the first layers where there are two sets.
  private static let lowest: Set<GGUFFileType> = [.iq1S, .iq1M, .iq2XXS, .iq2XS]
  private static let low: Set<GGUFFileType> = [.iq2S, .iq2M]
  private static let lows = lowest.union(low)

  /// Whether a file type counts the feed-forward tensors that it has rules for, also in a model with
  /// experts, where others go by layer.
  package static func counts(_ file: GGUFFileType) -> Bool { lows.contains(file) }

  /// The first row that applies decides; without one a tensor has the file type's own type.
  package static let table: [MixRule] = [
    MixRule([.mxfp4MoE], .output, .q80),
    MixRule(lows.union([.iq3XXS]), .output, .q5K, when: [.wholeBlocks]),
    MixRule(nil, .output, .q6K, when: [.baseIsNot(.q80)]),
    MixRule([.mxfp4MoE], nil, .mxfp4, when: [.stack]),
    MixRule([.mxfp4MoE], nil, .q80),

    MixRule([.tq10, .tq20, .q20], .tokenEmbedding, .q4K),
    MixRule(lowest, .tokenEmbedding, .q2K),
    MixRule(low.union([.iq3XXS]), .tokenEmbedding, .iq3S),

    MixRule(lows, .attentionValue, .q4K, when: [.sharedKeys]),
    MixRule(lows, .attentionValue, .q4K, when: [.someExperts]),
    MixRule(low, .attentionValue, .iq3S),
    MixRule(lowest, .attentionValue, .q2K),
    MixRule(lows, .attentionKey, .q4K, when: [.eightExperts]),
    MixRule(low, .feedForwardDown, .iq3S, when: [.firstPart(8)]),
    MixRule(lowest, .feedForwardDown, .q2K, when: [.firstPart(8)]),
    MixRule(lows, .attentionOutput, .q5K, when: [.eightExperts]),
    MixRule([.iq1S, .iq1M], .attentionOutput, .iq2XXS),
    MixRule(low, .attentionOutput, .iq3S),

    MixRule(nil, .attentionValue, .q80, when: [.eightExperts]),
    MixRule([.q2K, .q2KS], .attentionValue, .q4K, when: [.sharedKeys]),
    MixRule([.q2K], .attentionValue, .q3K),
    MixRule([.iq3XXS, .iq3XS, .iq3S], .attentionValue, .q4K, when: [.sharedKeys]),
    MixRule([.iq3XXS], .attentionValue, .iq3S, when: [.importance(false)]),
    MixRule([.iq3M], .attentionValue, .q4K),
    MixRule([.q3KM], .attentionValue, .q5K, when: [.first(2)]),
    MixRule([.q3KM], .attentionValue, .q4K),
    MixRule([.q3KL], .attentionValue, .q5K),
    MixRule([.iq4NL, .iq4XS], .attentionValue, .q5K, when: [.sharedKeys]),
    MixRule([.q4KM, .q5KM], .attentionValue, .q6K, when: [.moreBits]),
    MixRule([.q4KS], .attentionValue, .q5K, when: [.first(4)]),

    // The file types above have had their rule for eight experts.
    MixRule(nil, .attentionKey, .q80, when: [.eightExperts]),
    MixRule([.iq3XS], .attentionKey, .iq3XXS),
    MixRule([.iq3XXS], .attentionKey, .iq2S),
    MixRule([.iq3XS], .attentionQuery, .iq3XXS),
    MixRule([.iq3XXS], .attentionQuery, .iq2S),

    MixRule([.q2K], .feedForwardDown, .q3K),
    MixRule([.q2KS], .feedForwardDown, .q4K, when: [.firstPart(8)]),
    MixRule([.iq3XXS], .feedForwardDown, .q4K, when: [.importance(false), .firstPart(8)]),
    MixRule([.iq3XXS], .feedForwardDown, .q3K, when: [.importance(false)]),
    MixRule([.iq3M], .feedForwardDown, .q4K, when: [.firstPart(8)]),
    MixRule([.iq3M], .feedForwardDown, .q4K, when: [.eightExperts, .moreBits]),
    MixRule([.q3KM], .feedForwardDown, .q5K, when: [.firstPart(16)]),
    MixRule([.q3KM], .feedForwardDown, .q4K),
    MixRule([.q3KL], .feedForwardDown, .q5K),
    MixRule([.q4KM, .q5KM], .feedForwardDown, .q6K, when: [.moreBits]),
    MixRule([.q4KS], .feedForwardDown, .q5K, when: [.firstPart(8)]),
    MixRule([.iq4NL, .iq4XS], .feedForwardDown, .q5K, when: [.importance(false), .firstPart(8)]),
    MixRule([.q40], .feedForwardDown, .q41, when: [.importance(true), .firstPart(8)]),
    MixRule([.q50], .feedForwardDown, .q51, when: [.importance(true), .firstPart(8)]),

    MixRule(
      [
        .q2K, .q3KS, .q3KM, .q4KS, .q4KM, .iq4NL, .iq4XS, .iq3XXS, .iq3XS, .iq3S, .iq3M,
      ], .attentionOutput, .q5K, when: [.eightExperts]),
    MixRule([.q2K], .attentionOutput, .q3K),
    MixRule([.iq3XXS], .attentionOutput, .iq3S),
    MixRule([.q3KM, .iq3M], .attentionOutput, .q4K),
    MixRule([.q3KL], .attentionOutput, .q5K, when: [.otherExperts]),

    MixRule([.iq3XS], .feedForwardGate, .iq3XXS, when: [.middle]),
    MixRule([.iq3XS], .feedForwardUp, .iq3XXS, when: [.middle]),
  ]

  /// What becomes of a type where rows are no whole number of its blocks; F16 where that does not
  /// fit either. Types of 32 elements go to F16 at once; NVFP4 and Q1_0 have no way out.
  package static let fallbacks: [ElementType: ElementType] = [
    .iq1S: .iq4NL, .iq1M: .iq4NL, .iq2XXS: .iq4NL, .iq2XS: .iq4NL, .iq2S: .iq4NL,
    .iq3XXS: .iq4NL, .iq3S: .iq4NL, .iq4XS: .iq4NL, .q20: .q40, .q2K: .q40, .q3K: .q40,
    .tq10: .q40, .tq20: .q40, .q4K: .q50, .q5K: .q51, .q6K: .q80,
  ]
}
