internal import Platform

extension ModelConfig {
  /// How queries are sharpened as their positions grow: after each `length` positions they are
  /// multiplied by more.
  ///
  /// Source: transformers 5.23's `get_llama_4_attn_scale`, llama.cpp's `llm_graph_input_attn_temp`.
  package struct QueryTemperature: Sendable, Hashable {
    /// How much they grow (`llama_4_scaling_beta`); 0 for not at all.
    package var beta: Double
    /// Positions before the first growth (`original_max_position_embeddings`); positive.
    package var length: Int

    /// Names both; the length is positive.
    package init(beta: Double, length: Int) {
      self.beta = beta
      self.length = length
    }

    /// What a query at a position is multiplied by: 1 + β · ln(1 + ⌊position / length⌋).
    package func factor(at position: Int) -> Double {
      let steps = position / length
      return steps == 0 ? 1 : 1 + beta * Mathematics.log(Double(1 + steps))
    }
  }
}

extension ModelConfig {
  /// How queries are scaled, where that changes any.
  var scaledQueries: QueryTemperature? { queryTemperature.flatMap { $0.beta == 0 ? nil : $0 } }
}

extension ModelConfig.QueryTemperature {
  /// The key in the section about positions.
  package static let betaKey = "llama_4_scaling_beta"
  /// The section of its own that Mistral's configs have, and vLLM's of Mistral-Large-3.
  package static let sectionKey = "llama_4_scaling"

  /// Reads what the section about positions says, as transformers' `Mistral4Config` has it.
  ///
  /// - Throws: `.malformed` where it says nothing: transformers has no value for that.
  init(rope: ConfigReader, contextLength: Int) throws(Fault) {
    guard let beta = try rope.number(Self.betaKey) else {
      throw rope.fault(Self.betaKey, expected: "a number, 0 for queries that are not scaled")
    }
    self.beta = beta
    length = try rope.count(
      "original_max_position_embeddings", maximum: Int(Int32.max), default: contextLength)
  }

  /// Reads a section of its own.
  ///
  /// - Throws: `.malformed` where one of its keys is absent.
  init(section: ConfigReader) throws(Fault) {
    guard let beta = try section.number("beta") else {
      throw section.fault("beta", expected: "a number")
    }
    self.beta = beta
    length = try section.count("original_max_position_embeddings", maximum: Int(Int32.max))
  }
}
