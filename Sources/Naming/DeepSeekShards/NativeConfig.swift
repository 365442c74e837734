package import Models
package import Platform

/// A network's config in DeepSeek's own keys, those of `ModelArgs` in its `inference/model.py`.
///
/// That class takes no other keys, so that what it has no key for is lost.
package struct NativeConfig: Sendable {
  /// The document.
  package let json: JSONValue
  /// What the keys cannot say of the network, a line each; DeepSeek's code computes with its own
  /// values there.
  package let lost: [String]
  /// What the tensors still show and DeepSeek's code does not take, a line each.
  package let warnings: [String]

  /// Positions that DeepSeek's code makes room for where the config does not say.
  static let usualLength = 16384
  /// The rows and columns of an FP8 block that it has built in.
  static let blockSize = 128

  /// Writes a config down.
  package init(_ config: ModelConfig) {
    guard config.v4 == nil else {
      json = .object(V4Shards.config(config))
      lost = LoaderLimit.lines(LoaderLimit.nativeKeysOfV4, for: config)
      warnings = LoaderLimit.lines(LoaderLimit.nativeStorage, for: config)
      return
    }
    var object = JSONObject()
    for row in NativeKey.rows {
      if let value = row.value(config) { object[row.name] = value }
    }
    json = .object(object)
    lost = LoaderLimit.lines(LoaderLimit.nativeKeys, for: config)
    warnings = LoaderLimit.lines(LoaderLimit.nativeCode, for: config)
  }

  /// Keys of a document of this kind that the reader passes over: `ModelArgs` has no others, so that
  /// they are another network's.
  package static func unknown(in document: JSONValue) -> [UnknownKey] {
    guard case .object(let object) = document else { return [] }
    let known =
      V4Shards.isConfig(document)
      ? V4Shards.keys : Set(NativeKey.rows.map(\.name)).union(["max_batch_size"])
    return object.keys.compactMap { name in
      guard !known.contains(name), let value = object[name], value != .null else { return nil }
      return UnknownKey(
        name: name, value: value.text(indent: nil),
        meaning: nil)
    }
  }
}

/// A key of `ModelArgs`.
struct NativeKey: Sendable {
  /// Its name.
  let name: String
  /// Hugging Face's key with the same meaning; nil where several make it up.
  let huggingFace: String?
  /// What `ModelArgs` has where a config lacks it.
  let usual: JSONValue
  /// What a config says there; nil leaves it out.
  let value: @Sendable (ModelConfig) -> JSONValue?

  private init(
    _ name: String, _ huggingFace: String? = nil, usual: JSONValue,
    value: @escaping @Sendable (ModelConfig) -> JSONValue?
  ) {
    self.name = name
    self.huggingFace = huggingFace
    self.usual = usual
    self.value = value
  }

  /// A key that Hugging Face's has too; nil for a value that is the same.
  private init(
    _ key: ConfigKey, _ value: (@Sendable (ModelConfig) -> JSONValue?)? = nil
  ) {
    guard let native = key.native else { preconditionFailure("\(key.name) is no key of ModelArgs") }
    self.init(native.name, key.name, usual: native.usual, value: value ?? key.value)
  }

  /// The keys in the order of DeepSeek's own files.
  static let rows = shared + indexer

  private static let shared: [NativeKey] = [
    NativeKey("max_seq_len", usual: .integer(NativeConfig.usualLength)) { $0.nativeLength },
    NativeKey(.vocabSize), NativeKey(.hiddenSize), NativeKey(.intermediateSize),
    NativeKey(.expertSize), NativeKey(.layers), NativeKey(.firstDenseLayers), NativeKey(.heads),
    NativeKey(.experts), NativeKey(.sharedExperts) { .integer($0.sharedExperts) },
    NativeKey(.expertsPerToken), NativeKey(.expertGroups), NativeKey(.chosenGroups),
    NativeKey(.expertScale), NativeKey(.scoring) { .string($0.scoring.rawValue) },
    NativeKey("q_lora_rank", usual: .integer(0)) { .integer($0.queryRank ?? 0) },
    NativeKey(.keyValueRank),
    NativeKey(.nopeHeadSize), NativeKey(.ropeHeadSize), NativeKey(.valueHeadSize),
    NativeKey("original_seq_len", usual: .integer(4096)) {
      .integer($0.yarn?.originalContextLength ?? $0.contextLength)
    },
    NativeKey(.ropeTheta),
    NativeKey("rope_factor", usual: .integer(40)) { $0.yarn.map { .shortest($0.factor) } },
    NativeKey("beta_fast", usual: .integer(32)) { $0.yarn.map { .shortest($0.betaFast) } },
    NativeKey("beta_slow", usual: .integer(1)) { $0.yarn.map { .shortest($0.betaSlow) } },
    NativeKey("mscale", usual: .number(1)) {
      $0.yarn.map { .number($0.mscaleAllDimensions ?? 0) }
    },
    NativeKey("dtype", usual: .string("bf16")) { .string($0.fp8 == nil ? "bf16" : "fp8") },
    NativeKey("scale_fmt", usual: .null) {
      $0.fp8?.powerOfTwoScales == true ? .string("ue8m0") : nil
    },
  ]

  /// Keys that the code of DeepSeek-V3.2 has beside those.
  static let indexer: [NativeKey] = [
    NativeKey(.indexHeads), NativeKey(.indexHeadSize), NativeKey(.indexTopK),
  ]
}

extension ModelConfig {
  /// `max_seq_len`, which is how many positions DeepSeek's code makes room for and, beside
  /// `original_seq_len`, whether it extends the context; nil where its default does both right.
  fileprivate var nativeLength: JSONValue? {
    guard let yarn else {
      return contextLength < NativeConfig.usualLength ? .integer(contextLength) : nil
    }
    let original = yarn.originalContextLength
    let follows = yarn.factor * Double(original) == Double(contextLength)
    if follows, original < NativeConfig.usualLength { return nil }
    return .integer(max(contextLength, original + 1))
  }
}

extension JSONValue {
  /// A number that is written without a fraction where it has none.
  fileprivate static func shortest(_ value: Double) -> JSONValue {
    Int(exactly: value).map { .integer($0) } ?? .number(value)
  }
}
