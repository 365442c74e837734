import Conversion
import Dialects
import Formats
import Inspection
import Models
import Platform
import Support
import Tensors
import Testing
import Weights

/// GGUF files as they were before llama.cpp split `kv_b_proj`, and with keys that came later.
@Suite struct LegacyGGUFTests {
  /// How `kv_b_proj` stands in a file.
  enum Layout: String, CaseIterable {
    /// Whole, as before the split.
    case whole
    /// Whole beside its halves, as files for ik_llama.cpp have it.
    case beside
    /// In halves with the heads one below the other.
    case flat
    /// Whole beside such halves.
    case flatBeside
    /// Whole, with the half of the keys alone beside it.
    case oneHalf

    var hasWhole: Bool { self != .flat }
    func has(half name: ExactText) -> Bool {
      switch self {
      case .whole: false
      case .oneHalf: name.contains("attn_k_b")
      default: true
      }
    }
    var isFlat: Bool { self == .flat || self == .flatBeside }
  }

  /// Writes an F32 GGUF file of a sample in the old layout.
  private func writeLegacy(
    _ name: String, to workspace: Workspace, without keys: [String], layout: Layout = .whole
  ) throws -> String {
    let plain = try Conversions(sample(name), Recipe(weights: WeightStorage.named("f32")))
    let gguf = try GGUFModel(
      path: Conversions(sample(name), try GGUFConversionTests.recipe("f32"))
        .moved(to: workspace))
    var metadata = gguf.files.metadata
    let config = gguf.config
    for key in keys + ["attention.key_length_mla", "attention.value_length_mla"] {
      metadata["deepseek2.\(key)"] = nil
    }
    metadata["deepseek2.attention.head_count_kv"] = .uint32(UInt32(config.heads))
    metadata["deepseek2.attention.key_length"] = .uint32(UInt32(config.queryHeadSize))
    metadata["deepseek2.attention.value_length"] = .uint32(UInt32(config.valueHeadSize))
    var entries: [OutputLayout.Entry] = []
    var data: [[UInt8]] = []
    func add(_ name: String, _ tensor: StoredTensor, _ bytes: [UInt8]) throws {
      entries.append(
        try #require(
          OutputLayout.Entry(name: ExactText(name), type: tensor.type, shape: tensor.shape)))
      data.append(bytes)
    }
    let joint = try plain.tensors()
    for var tensor in gguf.files.inventory.tensors {
      let isValues = tensor.name.contains("attn_v_b")
      if let layer = DeepSeek2Names.layerIndex(of: tensor.name), isValues, layout.hasWhole {
        let matrix = try #require(joint["model.layers.\(layer).self_attn.kv_b_proj.weight"])
        try add("blk.\(layer).attn_kv_b.weight", matrix.tensor, matrix.bytes)
      }
      if isValues || tensor.name.contains("attn_k_b") {
        guard layout.has(half: tensor.name) else { continue }
        let dimensions = tensor.shape.dimensions
        if layout.isFlat {
          let flat = try #require(Shape([dimensions[0] * dimensions[1], dimensions[2]]))
          tensor = try #require(tensor.seen(as: tensor.type, flat))
        }
      }
      let buffer = try gguf.files.inventory.read(tensor)
      try add(tensor.name.text, tensor, withExtendedLifetime(buffer) { Array(buffer.bytes) })
    }
    let file = try GGUFWriterLayout.layout(
      entries, metadata: metadata, name: "old.gguf", division: .limit(.max)
    ).files[0]
    var bytes = file.header
    for (index, offset) in zip(file.tensors, file.offsets) {
      bytes += [UInt8](repeating: 0, count: offset - bytes.count) + data[index]
    }
    return try workspace.write(
      "old.gguf", bytes + [UInt8](repeating: 0, count: file.byteCount - bytes.count))
  }

  @Test(arguments: ["tiny-fp8", "tiny-no-qlora"], Layout.allCases)
  func theOldLayoutIsRead(name: String, layout: Layout) throws {
    let workspace = try Workspace()
    let old = try writeLegacy(name, to: workspace, without: [], layout: layout)
    let recipe = Recipe(weights: WeightStorage.named("f32"))
    let found = try Conversions(old, recipe)
    let expected = try Conversions(sample(name), recipe).tensors()
    let tensors = try found.tensors()
    #expect(Set(tensors.keys) == Set(expected.keys))
    for (name, tensor) in expected { #expect(tensors[name]?.bytes == tensor.bytes, "\(name)") }
    #expect(try GGUFModel(path: old).notes.isEmpty)
    let findings = try Validation(path: old, deep: true, threads: 1).findings
    #expect(findings.allSatisfy { $0.severity == .warning }, "\(findings)")
    let hasBoth = layout == .beside || layout == .flatBeside
    // What llama.cpp cannot load is another matter.
    let ofTensors = findings.filter { $0.rule != .metadataMismatch }
    #expect(ofTensors.map(\.rule) == (hasBoth ? [.unexpectedTensor] : []), "\(findings)")
  }

  /// Values in the types of llama.cpp that have no writer here.
  @Test(arguments: [(ElementType.q10, 128), (.q20, 64)])
  func typesThatAreReadAlone(type: ElementType, columns: Int) throws {
    let workspace = try Workspace()
    let shape = try #require(Shape([2, columns]))
    let entry = try #require(OutputLayout.Entry(name: "x", type: type, shape: shape))
    let file = try GGUFWriterLayout.layout(
      [entry], metadata: Metadata(), name: "x.gguf", division: .limit(.max)
    ).files[0]
    // Scales 2 and −0.5, and every code in its place.
    let rows: [[UInt8]] = [[0x00, 0x40], [0x00, 0xB8]].map { scale in
      scale + (0..<16).map { UInt8(truncatingIfNeeded: $0 * 37 + 5) }
    }
    let bytes = file.header + [UInt8](repeating: 0, count: file.offsets[0] - file.header.count)
    let path = try workspace.write(
      "x.gguf",
      bytes + rows.joined()
        + [UInt8](repeating: 0, count: file.byteCount - file.offsets[0] - 36))
    let inventory = try GGUFFiles(path: path).inventory
    let values = try Assembly(inventory.tensors[0]).values(rows: 0..<2, from: inventory)
    let numbers = UnsafeRawBufferPointer(values.bytes).bindMemory(to: Float.self)
    for (row, scale) in [Float(2), -0.5].enumerated() {
      for column in 0..<columns {
        let bits = type == .q10 ? 1 : 2
        let byte = rows[row][2 + column * bits / 8]
        let code = Int(byte) >> (column * bits % 8) & (1 << bits - 1)
        let expected = type == .q10 ? (code == 1 ? scale : -scale) : Float(code - 1) * scale
        #expect(numbers[row * columns + column] == expected)
      }
    }
    withExtendedLifetime(values) {}
  }

  @Test func missingKeysAreNoted() throws {
    let workspace = try Workspace()
    let old = try writeLegacy(
      "tiny-fp8", to: workspace,
      without: ["expert_group_count", "expert_group_used_count", "expert_gating_func"])
    let model = try GGUFModel(path: old)
    #expect(model.notes.count == 2)
    #expect(model.notes.contains { $0.contains("expert_gating_func") })
    #expect(model.config.expertGroups == 1)
  }

  /// A key that a file may lack, another value than its default for it, and what is assumed.
  struct OptionalKey: CustomTestStringConvertible, Sendable {
    let name: String
    let other: MetadataValue
    let isDefault: @Sendable (ModelConfig) -> Bool
    var testDescription: String { name }
  }

  /// What llama.cpp's loader takes where a file is silent; 0 is its own mark for a scale that is not
  /// there.
  static let optionalKeys = [
    OptionalKey(name: "expert_weights_scale", other: .float32(7.5)) {
      $0.routedScalingFactor == 1
    },
    OptionalKey(name: "expert_weights_norm", other: .bool(true)) { !$0.normalizeExpertWeights },
    OptionalKey(name: "expert_shared_count", other: .uint32(3)) { $0.sharedExperts == 0 },
    OptionalKey(name: "leading_dense_block_count", other: .uint32(2)) { $0.firstDenseLayers == 0 },
    OptionalKey(name: "nextn_predict_layers", other: .uint32(1)) { $0.mtpLayers == 0 },
    OptionalKey(name: "rope.freq_base", other: .float32(50_000)) { $0.ropeTheta == 10_000 },
    OptionalKey(name: "rope.scaling.type", other: .string("yarn")) { $0.yarn == nil },
    OptionalKey(name: "rope.scaling.yarn_beta_fast", other: .float32(40)) {
      $0.yarn?.betaFast == 32
    },
    OptionalKey(name: "rope.scaling.yarn_beta_slow", other: .float32(2)) {
      $0.yarn?.betaSlow == 1
    },
    OptionalKey(name: "rope.scaling.yarn_log_multiplier", other: .float32(0.07)) {
      $0.yarn?.attentionFactor == nil && $0.yarn?.mscaleAllDimensions == 1
        && $0.yarn?.mscale == nil
    },
    OptionalKey(name: "rope.scaling.original_context_length", other: .uint32(77)) {
      $0.yarn?.originalContextLength == $0.contextLength
    },
    OptionalKey(name: "attention.q_lora_rank", other: .uint32(72)) { $0.queryRank == nil },
    OptionalKey(name: "attention.layer_norm_rms_epsilon", other: .float32(1e-5)) {
      $0.rmsNormEpsilon == 1e-6
    },
  ]

  @Test(arguments: optionalKeys)
  func anAbsentKeyIsReadAsItsDefault(key: OptionalKey) throws {
    let workspace = try Workspace()
    let gguf = try GGUFModel(
      path: Conversions(sample("tiny-fp8"), try GGUFConversionTests.recipe("f32"))
        .moved(to: workspace))
    let names = Set(gguf.files.inventory.tensors.map(\.name))
    var metadata = gguf.files.metadata
    for key in Self.optionalKeys { metadata["deepseek2.\(key.name)"] = key.other }
    func config() throws -> ModelConfig {
      let read = try DeepSeek2Config(metadata, names: names, file: "old.gguf")
      return try ModelConfig(json: read.json, file: "old.gguf")
    }
    #expect(try !key.isDefault(config()))
    metadata["deepseek2.\(key.name)"] = nil
    #expect(try key.isDefault(config()))
    guard key.name == "expert_weights_scale" else { return }
    metadata["deepseek2.\(key.name)"] = .float32(0)
    #expect(try key.isDefault(config()))
  }

  @Test(arguments: ["block_count", "attention.head_count", "rope.dimension_count"])
  func whatIsNeededIsAskedFor(key: String) throws {
    let workspace = try Workspace()
    let old = try writeLegacy("tiny-bf16", to: workspace, without: [key])
    #expect(throws: Fault.self) { try GGUFModel(path: old) }
  }
}
