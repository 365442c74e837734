internal import Models
internal import Naming
internal import Patterns
internal import Platform
internal import Tensors
internal import Text

extension ParserEntry {
  /// `config.json` as Hugging Face checkpoints have it, and all tensors that it implies.
  package static let config = ParserEntry("config") { (input) throws(Fault) in
    list(try ModelConfig(json: input.json(), file: "input.json"))
  }

  /// The config of DeepSeek's own code, beside some tensors of its shards.
  package static let nativeConfig = ParserEntry("native-config") { (input) throws(Fault) in
    let json = try input.json()
    let source = try NativeSource(json, tensors: nativeTensors, file: "input.json")
    list(try ModelConfig(json: source.json, file: "input.json"))
  }

  /// `quantization_config` of compressed-tensors in the config of a small network, on whose modules
  /// its targets are tried.
  package static let compressedConfig = ParserEntry("compressed-config") { (input) throws(Fault) in
    let json = try input.json()
    _ = try refused { () throws(Fault) in
      try CompressedTensorsConfig(json: json, file: "input.json")
    }
    var document = smallNetwork
    document["quantization_config"] = json
    list(try ModelConfig(json: .object(document), file: "input.json"))
  }

  /// `quantization` of an MLX model's config.
  package static let mlxConfig = ParserEntry("mlx-config") { (input) throws(Fault) in
    _ = try MLXQuantization(config: input.json(), file: "input.json")
  }

  /// `tokenizer.json`, and, behind a NUL, a text for it.
  package static let tokenizer = ParserEntry("tokenizer") { (input) throws(Fault) in
    let halves = input.halves
    let files = TokenizerFiles(
      tokenizer: try JSONValue(parsing: halves.first, file: "input.json"),
      settings: .object(["bos_token": .string("<s>")]), template: "{{ bos_token }}")
    let text = halves.second.isEmpty ? sampleText : String(decoding: halves.second, as: UTF8.self)
    let metadata = try refused { () throws(Fault) in
      try files.ggufMetadata(config: .null, vocabSize: 288, folder: ".")
    }
    try use(try Tokenizer(files, folder: "."), on: text)
    if let fault = metadata.fault { throw fault }
  }

  /// A chat template, and, behind a NUL, a message of the user.
  package static let chatTemplate = ParserEntry("chat-template") { (input) throws(Fault) in
    let halves = input.halves
    guard let source = String(validating: halves.first, as: UTF8.self) else {
      throw Fault(.malformed, "is not UTF-8")
    }
    let message = halves.second.isEmpty ? "Hello" : String(decoding: halves.second, as: UTF8.self)
    _ = try ChatTemplate(source, file: "input.jinja").prompt(
      user: message, specialTexts: ["bos_token": "<s>", "eos_token": "</s>"])
  }

  /// A pattern of a tokenizer, and, behind a NUL, a text that it cuts; also as one of Python's and
  /// one of C++'s, on a name.
  package static let pattern = ParserEntry("pattern") { (input) throws(Fault) in
    let halves = input.halves
    let pattern = String(decoding: halves.first, as: UTF8.self)
    let text = halves.second.isEmpty ? sampleText : String(decoding: halves.second, as: UTF8.self)
    let python = try refused { () throws(Fault) in
      var steps = stepLimit
      return try RegularExpression(python: pattern).matches(startOf: text, steps: &steps)
    }
    let ecmaScript = try refused { () throws(Fault) in
      var steps = stepLimit
      return try RegularExpression(ecmaScript: pattern).matches(within: text, steps: &steps)
    }
    let bytes = Array(text.utf8)
    var end = 0
    var budget = MatchingBudget(steps: stepLimit)
    try RegularExpression(pattern).forEachMatch(
      in: bytes, pieces: [0..<bytes.count], within: &budget
    ) { _, match in
      precondition(match.lowerBound >= end && match.upperBound <= bytes.count, "\(match)")
      end = match.upperBound
    }
    if let fault = python.fault ?? ecmaScript.fault { throw fault }
  }

  /// A search that may take as many as in earnest would leave time for few inputs.
  private static let stepLimit = 100_000

  /// All tensors of a network, where they are few enough for many inputs a second.
  static func list(_ config: ModelConfig) {
    if config.storedLayers * config.routedExperts <= 1024 { _ = config.expectedTensors() }
    _ = NativeConfig(config)
  }

  /// Takes a text to ids and back.
  static func use(_ tokenizer: Tokenizer, on text: String) throws(Fault) {
    let ids = try tokenizer.encode(text, addingSpecialTokens: true)
    precondition(tokenizer.decode(ids) != nil, "ids that stand for nothing")
    if tokenizer.chatTemplate != nil {
      _ = try refused { () throws(Fault) in try tokenizer.encode(chat: "Hello") }
    }
  }

  /// Letters, digits, marks, spaces, line ends, and characters of one to four bytes.
  static let sampleText =
    "Hello world, it's  3 x 1415 \u{4F60}\u{597D}\t(a_b)\r\n\n e\u{301}\u{1F600} <s>"

  /// Tensors of shards, from which the reader takes what no key says.
  private static let nativeTensors: [NativeSource.Whole] = [
    ("model.embed_tokens.weight", ElementType.bf16, [288, 80]),
    ("lm_head.weight", .bf16, [288, 80]),
    ("model.layers.0.mlp.gate_proj.weight", .f8E4M3, [152, 80]),
    ("model.layers.0.mlp.gate_proj.weight_scale_inv", .f32, [2, 1]),
    ("model.layers.3.enorm.weight", .bf16, [80]),
  ].compactMap { name, type, dimensions in
    Shape(dimensions).map { NativeSource.Whole(name: ExactText(name), type: type, shape: $0) }
  }

  /// The config of a network with every kind of module.
  private static let smallNetwork: JSONObject = [
    "model_type": .string("deepseek_v3"), "vocab_size": .integer(288),
    "hidden_size": .integer(80), "intermediate_size": .integer(152),
    "moe_intermediate_size": .integer(24), "num_hidden_layers": .integer(3),
    "num_nextn_predict_layers": .integer(1), "first_k_dense_replace": .integer(1),
    "num_attention_heads": .integer(4), "q_lora_rank": .integer(56),
    "kv_lora_rank": .integer(48), "qk_nope_head_dim": .integer(24),
    "qk_rope_head_dim": .integer(16), "v_head_dim": .integer(20),
    "n_routed_experts": .integer(8), "n_shared_experts": .integer(1),
    "num_experts_per_tok": .integer(3), "n_group": .integer(2), "topk_group": .integer(1),
  ]
}
