internal import Codecs
package import Formats
package import Platform
package import Tensors

/// Which type every tensor of a GGUF file gets: exactly as llama-quantize chooses for
/// `deepseek2`, and for `deepseek4` and others whose tensors have no rules of their own.
///
/// A pure function of names, shapes, counts and options, known before a weight is read. Fixtures
/// that `scripts/make mix-fixtures` takes from llama-quantize hold it to its promise.
package struct TypeMix: Sendable {
  /// The type chosen for a tensor.
  package struct Choice: Sendable, Hashable {
    /// The tensor.
    package let tensor: Tensor
    /// Its type in the output; equal to the type before where it is copied.
    package let type: ElementType
    /// Why, in one phrase.
    package let reason: String
    /// What of the reason says that blocks of the type that was meant do not divide a row; nil where
    /// they do.
    package var fallback: String?

    /// The tensor in a file.
    ///
    /// - Throws: `.usage` where blocks of the type do not divide its rows.
    package func entry(_ shape: Shape) throws(Fault) -> OutputLayout.Entry {
      guard let entry = OutputLayout.Entry(name: tensor.name, type: type, shape: shape) else {
        throw Fault(
          .usage, "cannot be stored in this type", tensor: tensor.name,
          expected: "rows of a multiple of \(type.blockElements)",
          found: "\(shape) of \(type.rawValue)")
      }
      return entry
    }
  }

  /// A choice per tensor, in the order in which llama-quantize writes them.
  package let choices: [Choice]

  /// Chooses as llama-quantize does.
  ///
  /// With a recipe's `base` in place of a mix it chooses by rules alone: the first that matches, or
  /// the base. Tensors that llama-quantize never quantizes stay then too, and rows that a type's
  /// blocks do not divide fall back; otherwise nothing is added to what the rules say.
  ///
  /// With `keepsSplit` tensors stay in the order that they have, which is the order of counting
  /// too, instead of the order of layers and names.
  ///
  /// - Parameter importance: names of the tensors that an importance matrix speaks of; nil without
  ///   one, which is not the same as one without names.
  /// - Throws: `.usage` for what llama-quantize refuses: quantized sources that would be converted
  ///   without `allowsRequantizing`, types that need importance where there is none, and types
  ///   asked for by name whose blocks do not divide a row; `.malformed` for a source type that
  ///   cannot be converted and names without a layer of the model.
  package init(
    _ recipe: GGUFRecipe, tensors: [Tensor], model: Model, importance: Set<ExactText>? = nil
  ) throws(Fault) {
    let order =
      recipe.keepsSplit ? tensors : tensors.sorted { TypeMix.precedes($0.name, $1.name) }
    guard let file = recipe.fileType else {
      choices = order.map { Choice(tensor: $0, type: $0.type, reason: "kept as it is") }
      return
    }
    var chooser = try Chooser(
      recipe: recipe, file: file, tensors: tensors, model: model, importance: importance)
    choices = try chooser.choices(order)
  }

  /// Whether llama-quantize refuses a type for a tensor of which no importance matrix speaks.
  package static func demandsImportance(_ type: ElementType) -> Bool {
    Chooser.weighed.contains(type)
  }

  /// Whether llama-quantize writes `one` before `other`: by layer, those without one first, then by
  /// name.
  package static func precedes(_ one: ExactText, _ other: ExactText) -> Bool {
    let layers = (layer(of: one) ?? -1, layer(of: other) ?? -1)
    return layers.0 == layers.1
      ? one < other : layers.0 < layers.1
  }

  /// The number in `blk.7.attn_norm.weight`.
  package static func layer(of name: ExactText) -> Int? {
    guard let rest = name.without(prefix: "blk.") else { return nil }
    return Int(String(Substring(rest.utf8.prefix { (0x30...0x39).contains($0) })))
  }
}

/// Chooses the types of one file; counts while it goes.
private struct Chooser {
  let recipe: GGUFRecipe
  let file: GGUFFileType
  /// Whether llama-quantize's mix applies, rather than the recipe's rules alone.
  var isMix: Bool { recipe.base == nil }
  var base: ElementType { recipe.base ?? file.type }
  let model: TypeMix.Model
  let importance: Set<ExactText>?
  let rules: [(rule: TensorTypeRule, matches: TensorTypeRule.Matcher)]
  /// Without `output.weight` the embedding table serves as output too.
  let isTied: Bool
  let valueCount: Int
  var counts: [TensorCategory: Int] = [:]

  init(
    recipe: GGUFRecipe, file: GGUFFileType, tensors: [TypeMix.Tensor], model: TypeMix.Model,
    importance: Set<ExactText>?
  ) throws(Fault) {
    self.recipe = recipe
    self.file = file
    self.model = model
    self.importance = importance
    var rules: [(rule: TensorTypeRule, matches: TensorTypeRule.Matcher)] = []
    for rule in recipe.tensorTypes { rules.append((rule, try rule.matcher())) }
    self.rules = rules
    let categories = tensors.map { TensorCategory(name: $0.name) }
    isTied = !categories.contains(.output)
    valueCount = categories.count { $0 == .attentionValue }
  }

  mutating func choices(_ tensors: [TypeMix.Tensor]) throws(Fault) -> [TypeMix.Choice] {
    var choices: [TypeMix.Choice] = []
    for tensor in tensors {
      let choice: TypeMix.Choice
      if let reason = reasonToLeave(tensor) {
        choice = TypeMix.Choice(tensor: tensor, type: tensor.type, reason: reason)
      } else {
        let (type, reason) = try chosen(for: tensor)
        choice = try fitted(TypeMix.Choice(tensor: tensor, type: type, reason: reason))
        try checkImportance(choice)
      }
      try checkSource(choice)
      choices.append(choice)
    }
    return choices
  }

  private func reasonToLeave(_ tensor: TypeMix.Tensor) -> String? {
    let name = tensor.name
    if tensor.dimensions < 2 { return "one dimension, never quantized" }
    if !name.hasSuffix("weight") { return "no weight, never quantized" }
    if name.contains("_norm.weight") { return "norm, never quantized" }
    if name.contains("ffn_gate_inp.weight") { return "router of the experts, never quantized" }
    if recipe.leavesOutput, name == "output.weight" { return "output left as asked" }
    // Of DeepSeek-V3.2 and V4; their file types are llama-quantize's too.
    if name.contains("ffn_gate_tid2eid.weight") { return "routing table, never quantized" }
    let indexer: [ExactText] = ["indexer.k_proj.weight", "indexer.q_proj.weight"]
    let isIndexer = indexer.contains { name.contains($0) }
    return isIndexer ? "indexer, never quantized" : nil
  }

  private mutating func chosen(
    for tensor: TypeMix.Tensor
  ) throws(Fault) -> (type: ElementType, reason: String) {
    let category = TensorCategory(name: tensor.name)
    let asked: ElementType? =
      switch category {
      case .tokenEmbedding: recipe.embeddingType
      case .output: recipe.outputType
      default: nil
      }
    if let asked {
      guard tensor.rowLength % asked.blockElements == 0 else {
        throw Fault(
          .usage, "has rows that are no whole number of blocks of the type asked for",
          tensor: tensor.name, expected: "a multiple of \(asked.blockElements)",
          found: "\(tensor.rowLength) in \(asked.rawValue)")
      }
      return (asked, "asked for")
    }
    // llama-quantize has no heed of its rules where the file type is a plain number.
    guard base.isBlock || !isMix else { return (base, "file type") }
    if let rule = try rule(for: tensor.name) {
      return (rule.type, "rule \(rule.text)")
    }
    if isMix, !recipe.isPure { return try mixed(tensor, category) }
    return (base, isMix ? "file type, pure" : "default of the recipe")
  }

  /// The first rule that matches.
  private func rule(for name: ExactText) throws(Fault) -> TensorTypeRule? {
    for (rule, matches) in rules where try matches(name) { return rule }
    return nil
  }

  /// The type by the table of mixes.
  private mutating func mixed(
    _ tensor: TypeMix.Tensor, _ category: TensorCategory
  ) throws(Fault) -> (type: ElementType, reason: String) {
    var (category, prefix) = (category, "")
    if isTied, category == .tokenEmbedding {
      (category, prefix) = (.output, "token_embd serves as ")
      if let type = recipe.outputType { return (type, prefix + "output, asked for") }
    }
    var facts = MixFacts(
      tensor: tensor, model: model, base: base, hasImportance: importance != nil)
    // Of an MXFP4 file llama-quantize does not look at layers at all.
    if file != .mxfp4MoE { (facts.index, facts.count) = try place(of: tensor, category) }
    guard let rule = MixRule.table.first(where: { $0.applies(to: file, category, facts) }) else {
      return (base, "file type")
    }
    return (rule.type, rule.category == nil ? rule.reason : prefix + rule.reason)
  }

  /// Where a tensor stands among those of its category, and how many there are.
  ///
  /// In the feed-forward parts of a model with experts that is its layer; otherwise the tensors are
  /// counted, and those that a rule has taken do not count.
  private mutating func place(
    of tensor: TypeMix.Tensor, _ category: TensorCategory
  ) throws(Fault) -> (index: Int, count: Int) {
    let counted = counts[category, default: 0]
    counts[category] = counted + 1
    switch category {
    case .attentionValue: return (counted, valueCount)
    case .feedForwardUp, .feedForwardGate, .feedForwardDown: break
    default: return (0, 0)
    }
    guard model.expertCount > 1, !MixRule.counts(file) else { return (counted, model.blockCount) }
    let layer = TypeMix.layer(of: tensor.name)
    guard let layer, layer < model.blockCount else {
      throw Fault(
        .malformed, "is of no layer of the model", tensor: tensor.name,
        expected: "a layer below \(model.blockCount)")
    }
    return (layer, model.blockCount)
  }

  /// The type, or its fallback where its blocks do not divide a row.
  private func fitted(_ wanted: TypeMix.Choice) throws(Fault) -> TypeMix.Choice {
    let (row, block) = (wanted.tensor.rowLength, wanted.type.blockElements)
    guard row % block != 0 else { return wanted }
    guard let next = MixRule.fallbacks[wanted.type] ?? (block <= 32 ? wanted.type : nil) else {
      throw Fault(
        .usage, "has rows that are no whole number of blocks, and the type has no fallback",
        tensor: wanted.tensor.name, expected: "a multiple of \(block)",
        found: "\(row) in \(wanted.type.rawValue)")
    }
    let type = row % next.blockElements == 0 ? next : .f16
    let fallback = "\(wanted.type.rawValue) falls back, row \(row) not divisible by \(block)"
    return TypeMix.Choice(
      tensor: wanted.tensor, type: type, reason: "\(wanted.reason); \(fallback)",
      fallback: fallback)
  }

  /// Types that are worth nothing without importance are refused; Q2_K is in a Q2_K_S file alone.
  ///
  /// llama-quantize lets embedding and head pass, and ends without a word where it cannot do them.
  private func checkImportance(_ choice: TypeMix.Choice) throws(Fault) {
    let (name, type) = (choice.tensor.name, choice.type)
    if importance?.contains(name) == true { return }
    if type == choice.tensor.type, importance != nil || !isMix { return }
    let isExempt: Bool = name == "output.weight" || name == "token_embd.weight"
    if isExempt {
      guard type != choice.tensor.type, Codec.codec(for: type)?.needsImportance == true else {
        return
      }
    } else if !Chooser.weighed.contains(type) {
      guard isMix, file == .q2KS, type == .q2K else { return }
    }
    var fault = Fault(
      .usage,
      "needs an importance matrix as \(type.rawValue)"
        + (type == .q2K ? " in a Q2_K_S file" : ""), tensor: name,
      expected: "an importance matrix with an entry for it",
      found: importance == nil ? "none" : "one without an entry for it")
    fault.advice =
      "Give --imatrix a file of llama-imatrix that has seen this tensor, or another type for it with "
      + "--tensor-type."
    throw fault
  }

  /// The types for which llama-quantize demands importance.
  static let weighed: Set<ElementType> = [
    .iq1S, .iq1M, .iq2XXS, .iq2XS, .iq2S, .iq3XXS,
  ]

  private func checkSource(_ choice: TypeMix.Choice) throws(Fault) {
    let (tensor, type) = (choice.tensor, choice.tensor.type)
    guard choice.type != type else { return }
    if type.isBlock {
      guard recipe.allowsRequantizing else {
        throw Fault(
          .usage, "is quantized already", tensor: tensor.name,
          expected: "--allow-requantize, or F32, F16 or BF16", found: type.rawValue)
      }
    } else if ![ElementType.f32, .f16, .bf16].contains(type) {
      throw Fault(
        .malformed, "is of a type that cannot be converted", tensor: tensor.name,
        expected: "F32, F16, BF16 or a block type", found: type.rawValue)
    }
  }
}
