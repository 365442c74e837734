import Conversion
import Dialects
import Formats
import Mixes
import Models
import Naming
import Platform
import Support
import Tensors
import Testing
import Weights

/// DeepSeek-V4 as llama.cpp's `deepseek4`: what its converter and quantizer make of the fixture
/// (`scripts/make v4-fixtures`), and the way back.
@Suite struct DeepSeekV4GGUFTests {
  static let model = Repository.root + "/Tests/ReferenceTests/Fixtures/deepseek-v4"

  static func recipe(
    _ type: String? = nil, mtp: Recipe.MTP = .keep, requantize: Bool = false
  ) throws -> Recipe {
    let fileType = try type.map { name in try GGUFFileType(named: name) }
    return Recipe(
      target: .gguf(GGUFRecipe(fileType, allowsRequantizing: requantize)), outputName: "out",
      mtp: mtp)
  }

  /// Tensors of a file as the fixture has them: type, extents, the beginning of a hash.
  private func tensors(_ path: String) throws -> [String: String] {
    let files = try GGUFFiles(path: path)
    var found: [String: String] = [:]
    for tensor in files.inventory.tensors {
      let buffer = try files.inventory.read(tensor)
      let extents = tensor.shape.dimensions.reversed().map(String.init).joined(separator: "x")
      let hash = withExtendedLifetime(buffer) { SHA256.digits(buffer.bytes) }
      found[tensor.name.text] = "\(tensor.type.rawValue) \(extents) \(hash)"
    }
    return found
  }

  private func expectTensors(_ path: String, _ expected: JSONValue?) throws {
    let found = try tensors(path)
    #expect(Set(found.keys) == Set(GGUFConversionTests.keys(expected)))
    for (name, words) in found { #expect(expected?[name] == .string(words), "\(name)") }
  }

  private func expectMetadata(_ path: String, _ expected: JSONValue?) throws {
    var metadata = try GGUFFiles(path: path).metadata
    // Where there is no tokenizer, llama.cpp's loader takes the number of tokens from a key that its
    // converter does not write.
    #expect(metadata["deepseek4.vocab_size"] == .uint32(32))
    metadata["deepseek4.vocab_size"] = nil
    #expect(Set(metadata.keys) == Set(GGUFConversionTests.keys(expected)))
    for key in metadata.keys {
      let value = try #require(metadata[key])
      #expect(agree(value, expected?[key]), "\(key): \(value)")
    }
  }

  private func agree(_ value: MetadataValue, _ expected: JSONValue?) -> Bool {
    switch (value, expected) {
    case (.string(let text), .string(let other)?): return text == other
    case (.bool(let flag), .bool(let other)?): return flag == other
    case (.array(let array), .array(let others)?):
      return array.prefix(array.count).map(\.number) == others.map(\.number)
    default: return value.number != nil && value.number == expected?.number
    }
  }

  @Test func theFileIsTheConverters() throws {
    let expected = try GGUFConversionTests.fixture("gguf-v4")
    let conversion = try Conversions(Self.model, try Self.recipe())
    try expectTensors(conversion.output, expected["tensors"])
    try expectMetadata(conversion.output, expected["metadata"])
    let carried = conversion.plan.tensors.filter { $0.entry.type == .mxfp4 }
    #expect(carried.count == 9 && carried.allSatisfy { $0.treatment == .carried })
    let warnings = conversion.plan.warnings.joined(separator: "\n")
    for words in [
      "MTP layers are left out", "no chat template", "4 residual streams, and there are 2",
      "multiple of 64, as 8",
    ] {
      #expect(warnings.contains(words), "\(warnings)")
    }
  }

  @Test func theFileOfTheMTPLayerIsTheConverters() throws {
    let expected = try #require(try GGUFConversionTests.fixture("gguf-v4")["mtp"])
    let conversion = try Conversions(Self.model, try Self.recipe(mtp: .only))
    try expectTensors(conversion.output, expected["tensors"])
    try expectMetadata(conversion.output, expected["metadata"])
    // The layer, and nothing else, comes back from it.
    let storage = try #require(WeightStorage.named("f32"))
    let plain = try Conversions(Self.model, try Self.recipe("f32", mtp: .only))
    let back = try Conversions(plain.output, Recipe(weights: storage, mtp: .only)).tensors()
    let direct = try Conversions(Self.model, Recipe(weights: storage, mtp: .only)).tensors()
    #expect(Set(back.keys) == Set(direct.keys))
    for (name, tensor) in direct { #expect(back[name]?.bytes == tensor.bytes, "\(name)") }
  }

  @Test func whatIsMadeOfTheFileIsLlamaQuantizes() throws {
    let expected = try GGUFConversionTests.fixture("gguf-v4")
    let file = try Conversions(Self.model, try Self.recipe())
    let mixed = try Conversions(file.output, try Self.recipe("q4_k_m", requantize: true))
    try expectTensors(mixed.output, expected["requantized"])
    #expect(throws: Fault.self) { try Conversions(file.output, try Self.recipe("q4_k_m")) }
  }

  /// Codes of FP4 are carried wherever the type is theirs.
  @Test func expertsAreCarriedIntoAMixToo() throws {
    let (one, other) = try (
      Conversions(Self.model, try Self.recipe()),
      Conversions(Self.model, try Self.recipe("mxfp4_moe"))
    )
    let (own, mix) = try (tensors(one.output), tensors(other.output))
    #expect(mix["token_embd.weight"]?.hasPrefix("Q8_0 ") == true)
    #expect(mix["blk.0.ffn_gate_tid2eid.weight"] == own["blk.0.ffn_gate_tid2eid.weight"])
    let experts = own.keys.filter { $0.contains("_exps.") }
    #expect(experts.count == 9 && experts.allSatisfy { mix[$0] == own[$0] })
  }

  @Test func theWayBackGivesTheModel() throws {
    let storage = try #require(WeightStorage.named("f32"))
    let direct = try Conversions(Self.model, Recipe(weights: storage, mtp: .drop))
    let file = try Conversions(Self.model, try Self.recipe("f32"))
    let back = try Conversions(file.output, Recipe(weights: storage))
    let (expected, found) = try (direct.tensors(), back.tensors())
    #expect(Set(expected.keys) == Set(found.keys))
    for (name, tensor) in expected {
      #expect(found[name]?.tensor.type == tensor.tensor.type, "\(name)")
      #expect(found[name]?.bytes == tensor.bytes, "\(name)")
    }
    let (one, other) = try (
      ModelConfig(json: direct.config(), file: ""), ModelConfig(json: back.config(), file: "")
    )
    #expect(one.v4?.ratio(ofLayer: 2) == 128 && other.v4?.ratio(ofLayer: 2) == 128)
    #expect(one.yarn == other.yarn && one.ropeTheta == other.ropeTheta)
    #expect(other.v4?.hasFP4Experts == false && other.dataType == ElementType.f32)
    var (left, right) = (one.v4, other.v4)
    left?.hasFP4Experts = false
    right?.hasFP4Experts = false
    #expect(left == right)
  }

  /// Without anything asked for, FP4 goes out and back without a bit lost, and nothing else is rounded.
  @Test func expertsComeBackAsTheyWere() throws {
    let file = try Conversions(Self.model, try Self.recipe())
    let back = try Conversions(file.output, Recipe())
    let (original, found) = try (ConversionTests.tensors(of: Self.model), back.tensors())
    let storage = try #require(WeightStorage.named("f32"))
    let plain = try Conversions(file.output, Recipe(weights: storage)).tensors()
    var experts = 0
    for (name, tensor) in found {
      if name.contains(".experts.") {
        experts += 1
        let stored = try #require(original[name], "\(name)")
        #expect(tensor.tensor.type == stored.tensor.type && tensor.bytes == stored.bytes, "\(name)")
        #expect(tensor.tensor.shape == stored.tensor.shape, "\(name)")
      } else if tensor.tensor.type == .f32 {
        #expect(tensor.bytes == plain[name]?.bytes, "\(name)")
      } else {
        #expect(tensor.tensor.type == .i64 && tensor.bytes == original[name]?.bytes, "\(name)")
      }
    }
    // Codes and scales of three matrices of three experts in three layers.
    #expect(experts == 54)
    let carried = back.plan.tensors.filter { $0.treatment == .carried }
    #expect(carried.count { $0.entry.name.contains(".experts.") } == 54)
    #expect(back.plan.warnings.contains { $0.contains("decoded to F32") })
    let config = try ModelConfig(json: back.config(), file: "config.json")
    #expect(config.v4?.hasFP4Experts == true && config.dataType == .f32)
    #expect(config.expectedTensors().allSatisfy { $0.storage != .fp8 })
    // The way out again has the same blocks.
    let out = try Conversions(back.output, try Self.recipe())
    let (blocks, again) = try (tensors(file.output), tensors(out.output))
    for (name, words) in blocks where name.contains("_exps.") { #expect(again[name] == words) }
    let layer = try Conversions(Self.model, try Self.recipe(mtp: .only))
    let alone = try Conversions(layer.output, Recipe(mtp: .only)).tensors()
    let name = "mtp.0.ffn.experts.2.w2.weight"
    #expect(alone[name]?.bytes == original[name]?.bytes && alone[name]?.tensor.type == .i8)
    // Experts in other blocks have no such form.
    let mixed = try Conversions(Self.model, try Self.recipe("q4_0"))
    let fault = try #require(throws: Fault.self) { try Conversions(mixed.output, Recipe()) }
    #expect(fault.description.contains("--quant bf16"), "\(fault)")
  }

  /// What a file says of the fixture's network.
  private func networkMetadata() throws -> Metadata {
    let (before, after) = try SourceModel(path: Self.model, threads: 1).config.ggufMetadata
    var metadata = before
    metadata.merge(after)
    metadata["general.architecture"] = .string("deepseek4")
    metadata["deepseek4.vocab_size"] = .uint32(32)
    return metadata
  }

  /// Keys that are missing, of another type, or say what the network cannot be.
  @Test(
    arguments: [
      ("block_count", nil), ("attention.compress_ratios", nil), ("hash_layer_count", nil),
      ("attention.key_length", .string("16")), ("attention.value_length", .uint32(8)),
      ("attention.head_count_kv", .uint32(2)), ("expert_gating_func", .uint32(2)),
      ("expert_weights_norm", .bool(false)), ("expert_group_count", .uint32(2)),
      ("attention.compress_ratios", .array(MetadataArray(int32: [0, 4]))),
      ("attention.compress_ratios", .array(MetadataArray(int32: [0, 8, 128]))),
      ("swiglu_clamp_exp", .float32(0)), ("swiglu_clamp_shexp", .float32(7)),
      ("swiglu_clamp_exp", .array(MetadataArray(.fixed(.float32, [0, 0, 0, 0])))),
      ("rope.scaling.type", .string("linear")), ("rope.scaling.factor", nil),
      ("nextn_predict_layers", .uint32(4)), ("hyper_connection.epsilon", .string("x")),
    ] as [(String, MetadataValue?)])
  func keysAreChecked(key: String, value: MetadataValue?) throws {
    var metadata = try networkMetadata()
    metadata["deepseek4.nextn_predict_layers"] = nil
    func read() throws -> ModelConfig {
      let read = try GGUFConfig(metadata, names: [], file: "x.gguf")
      #expect(read.unknown.isEmpty)
      return try ModelConfig(json: read.json, file: "x.gguf")
    }
    #expect(try read().v4?.streams == 2)
    metadata["deepseek4." + key] = value
    let fault = try #require(throws: Fault.self) { try read() }
    // A ratio that no file has is named by the config, one bound by the first of its keys.
    let name = key.split(separator: ".").last.map(String.init) ?? ""
    #expect(fault.description.contains(name == "swiglu_clamp_shexp" ? "swiglu_clamp_exp" : name))
  }

  @Test func aKeyOfAnotherNetworkIsNamed() throws {
    var metadata = try networkMetadata()
    metadata["deepseek4.attention.kv_lora_rank"] = .uint32(16)
    let unknown = try GGUFConfig(metadata, names: [], file: "").unknown
    #expect(unknown.map(\.name) == ["deepseek4.attention.kv_lora_rank"])
  }

  /// llama-imatrix sums what the output's first half meets for each group of heads.
  @Test func sumsOfGroupsAreOnesOfTheMatrix() throws {
    let workspace = try Workspace()
    let entry = ImportanceOutput.Entry(name: "blk.0.attn_output_a.weight", sums: 4, parts: 1)
    let output = try ImportanceOutput(
      at: try OutputPath(workspace.path("m.gguf"), overwrite: false), [entry],
      source: ImportanceOutput.Source(datasets: [], chunks: 1, chunkSize: 8), format: .gguf)
    try output.write(entry, sums: [1, 2, 3, 4], tokens: [2])
    try output.commit()
    let matrix = try ImportanceMatrix(path: workspace.path("m.gguf"))
    let columns = try matrix.columns(of: entry.name, count: 2, addsGroups: true)
    #expect(try columns?.weights(ofMatrix: 0) == [1, 1.5])
    #expect(try matrix.columns(of: entry.name, count: 4)?.weights(ofMatrix: 0) == [0.5, 1, 1.5, 2])
    #expect(throws: Fault.self) { try matrix.columns(of: entry.name, count: 2) }
  }

  /// What a file cannot say, and what nobody asked types for, is refused before anything is written.
  @Test func whatCannotBeSaidIsRefused() throws {
    func refusal(_ recipe: Recipe, _ model: String = Self.model) throws -> String {
      let source = try SourceModel(path: model, threads: 1)
      return try #require(throws: Fault.self) {
        try Plan(source, recipe: recipe, resources: Resources(threads: 1))
      }.description
    }
    let rules = GGUFRecipe(nil, tensorTypes: [try TensorTypeRule(parsing: "ffn_down=q8_0")])
    #expect(
      try refusal(Recipe(target: .gguf(rules), outputName: "out")).contains("--quant beside"))
    let workspace = try Workspace()
    let storage = try #require(WeightStorage.named("f32"))
    let plain = try Conversions(Self.model, Recipe(weights: storage))
    let path = try plain.moved(to: workspace)
    #expect(try refusal(try Self.recipe(), path).contains("published checkpoints"))
    #expect(throws: Never.self) { try Conversions(path, try Self.recipe("q8_0")) }
    let source = try SourceModel(path: Self.model, threads: 1)
    guard
      case .object(var config) = try JSONValue(
        parsing: contents(path + "/config.json"), file: "config.json")
    else { throw Fault(.malformed, "is no object") }
    config["mlp_layer_types"] = .array(["moe", "hash_moe", "moe"])
    // A model of it, whose tables are where this one's are not, does not get so far.
    let changed = try ModelConfig(json: .object(config), file: "config.json")
    #expect(source.config.hashLayers == 1 && changed.hashLayers == nil)
  }
}
