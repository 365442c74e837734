import Support
import Testing

/// A fault that is planted into a copy of a sample, with what should be blamed first.
struct PlantedFault: Sendable, CustomTestStringConvertible {
  /// F32, one MTP layer (2) after a dense (0) and a MoE layer (1), in one file.
  static let sample = "tiny-tied"
  static let experts = "model.layers.1.mlp.experts."
  static let bias = "model.layers.1.mlp.gate.e_score_correction_bias"

  let testDescription: String
  /// Names of which one should come first.
  let expected: [String]
  let plant: @Sendable (SampleEditor) throws -> Void

  init(
    _ description: String, _ expected: String...,
    plant: @escaping @Sendable (SampleEditor) throws -> Void
  ) {
    testDescription = description
    self.expected = expected
    self.plant = plant
  }

  /// A key of the config with another value.
  init(_ description: String, key: String, _ value: any Sendable) {
    self.init(description, key) { try $0.set(key, value) }
  }

  static let ofConfig: [PlantedFault] = [
    PlantedFault("softmax in place of sigmoid", key: "scoring_func", "softmax"),
    PlantedFault("YaRN's multiplier off", key: "rope_scaling.mscale_all_dim", 0.707),
    PlantedFault("experts' weights normalized", key: "norm_topk_prob", true),
    PlantedFault("another scaling factor", key: "routed_scaling_factor", 1.0),
    PlantedFault("no groups of experts", key: "n_group", 1),
    PlantedFault("halves in place of pairs", key: "rope_interleave", false),
    PlantedFault("another base", key: "rope_theta", 1_000_000),
    PlantedFault("another epsilon", key: "rms_norm_eps", 0.01),
  ]

  static let ofWeights: [PlantedFault] = [
    PlantedFault(
      "a block of one expert's down_proj transposed", experts + "3.down_proj.weight",
      plant: transposeBlock),
    PlantedFault(
      "two experts exchanged", experts + "2", experts + "5", plant: exchangeExperts),
    PlantedFault(
      "kv_b's halves exchanged", "model.layers.1.self_attn.kv_b_proj.weight",
      plant: exchangeHalves),
    PlantedFault(
      "MTP's concatenation reversed", "model.layers.2.eh_proj.weight", plant: reverseJoining),
    PlantedFault(
      "the table of embeddings shifted", "model.embed_tokens.weight", plant: shiftEmbeddings),
    PlantedFault("the final norm doubled", "model.norm.weight", plant: doubleNorm),
  ]

  @Sendable static func transposeBlock(_ editor: SampleEditor) throws {
    try editor.change(experts + "3.down_proj.weight") { matrix in
      let block = matrix.prefix(16).map { Array($0.prefix(16)) }
      for row in 0..<16 { for column in 0..<16 { matrix[row][column] = block[column][row] } }
    }
  }

  @Sendable static func exchangeExperts(_ editor: SampleEditor) throws {
    for part in ["gate", "up", "down"] {
      try editor.exchange("\(experts)2.\(part)_proj.weight", "\(experts)5.\(part)_proj.weight")
    }
  }

  @Sendable private static func exchangeHalves(_ editor: SampleEditor) throws {
    try editor.change("model.layers.1.self_attn.kv_b_proj.weight") { matrix in
      // Each of 4 heads has 24 rows of keys and 20 of values.
      var result: SampleEditor.Matrix = []
      for start in stride(from: 0, to: 4 * 44, by: 44) {
        result += matrix[start + 24..<start + 44]
        result += matrix[start..<start + 24]
      }
      matrix = result
    }
  }

  @Sendable private static func reverseJoining(_ editor: SampleEditor) throws {
    try editor.change("model.layers.2.eh_proj.weight") { matrix in
      for row in matrix.indices {
        let (token, state) = (Array(matrix[row][..<64]), Array(matrix[row][64...]))
        matrix[row] = state + token
      }
    }
  }

  @Sendable private static func shiftEmbeddings(_ editor: SampleEditor) throws {
    try editor.change("model.embed_tokens.weight") { matrix in
      let first = matrix.removeFirst()
      matrix.append(first)
    }
  }

  @Sendable private static func doubleNorm(_ editor: SampleEditor) throws {
    try editor.change("model.norm.weight") { matrix in
      // One more in the exponent.
      for column in matrix[0].indices {
        matrix[0][column] = bytes(bits(matrix[0][column]) + 0x80_0000)
      }
    }
  }

  /// To nearest, ties away: no matter here.
  @Sendable static func roundBias(_ editor: SampleEditor) throws {
    try editor.change(bias) { matrix in
      for column in matrix[0].indices {
        matrix[0][column] = bytes((bits(matrix[0][column]) &+ 0x8000) & 0xFFFF_0000)
      }
    }
  }

  /// The bits of an F32 in little-endian order.
  private static func bits(_ bytes: [UInt8]) -> UInt32 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
  }

  /// The same as bytes.
  static func bytes(_ bits: UInt32) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * $0)) }
  }
}

/// What `validate` says of a scoring that can be computed and that the family does not have.
@Suite struct ScoringTests {
  @Test func validateCallsASoftmaxAnError() throws {
    let workspace = try Workspace()
    let editor = try SampleEditor(PlantedFault.sample, in: workspace)
    try editor.set("scoring_func", "softmax")
    let file = workspace.path("softmax.gguf")
    let run = try FathomProcess("convert", editor.path, file, "--to", "gguf", "--quant", "bf16")
    #expect(run.status == 0, "\(run.messages)")
    for (model, key) in [(editor.path, "scoring_func"), (file, "expert_gating_func")] {
      let run = try FathomProcess("validate", model, "--format", "json")
      #expect(run.status == 1, "\(run.messages)")
      let findings = try JSONDocument(run.output).list("findings")
      #expect(findings.map { $0.string("rule") } == ["metadata-mismatch"])
      #expect(findings.first?.string("expected")?.contains(key) ?? false)
    }
  }
}
