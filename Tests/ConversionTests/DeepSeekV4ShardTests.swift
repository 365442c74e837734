import Conversion
import Dialects
import Formats
import Models
import Platform
import Support
import Tensors
import Testing
import Weights

/// DeepSeek-V4 in the shards of its own code; parts of several are `FullSizeTests`'.
@Suite struct DeepSeekV4ShardTests {
  private func recipe(_ shards: Int) -> Recipe {
    Recipe(target: .deepSeek(shards: shards), outputName: "out")
  }

  /// The published tensors with their bytes, but for the first half of the output in BF16 and the
  /// experts' codes under the name that torch has for them.
  @Test func theShardHasThePublishedTensors() throws {
    let conversion = try Conversions(DeepSeekV4GGUFTests.model, recipe(1))
    #expect(try conversion.workspace.names("out").contains("model0-mp1.safetensors"))
    var original = try ConversionTests.tensors(of: DeepSeekV4GGUFTests.model)
    let storage = try #require(WeightStorage.named("bf16"))
    let decoded = try Conversions(DeepSeekV4GGUFTests.model, Recipe(weights: storage)).tensors()
    let shard = try SafetensorsView(conversion.output + "/model0-mp1.safetensors")
    let entries = Dictionary(
      uniqueKeysWithValues: conversion.plan.tensors.map { ($0.entry.name.text, $0.entry) })
    #expect(shard.header.count == entries.count)
    for (name, dimensions) in shard.header {
      let found = original.removeValue(forKey: name)
      let stored = try #require(found, "\(name)")
      let (bytes, type) = (try shard.bytes(of: name), entries[name]?.type)
      if name.hasSuffix("wo_a.weight") {
        #expect(type == .bf16 && bytes == decoded[name]?.bytes, "\(name)")
        continue
      }
      #expect(bytes == stored.bytes, "\(name)")
      var shape = stored.tensor.shape.dimensions
      let isCode = name.contains(".experts.") && name.hasSuffix(".weight")
      if isCode { shape[1] *= 2 }
      #expect(type == (isCode ? .f4 : stored.tensor.type), "\(name)")
      #expect(dimensions == shape, "\(name)")
    }
    #expect(original.keys.allSatisfy { $0.hasSuffix("wo_a.scale") } && original.count == 4)
  }

  @Test func theConfigHasTheKeysOfItsCode() throws {
    let config = try Conversions(DeepSeekV4GGUFTests.model, recipe(1)).config()
    let wanted: [(String, JSONValue)] = [
      ("dim", 32), ("n_hash_layers", 1), ("n_mtp_layers", 1), ("head_dim", 16),
      ("rope_head_dim", 4), ("expert_dtype", "fp4"), ("dtype", "fp8"), ("scale_fmt", "ue8m0"),
      ("original_seq_len", 64), ("compress_ratios", .array([0, 4, 128, 0])), ("o_groups", 2),
      ("hc_mult", 2), ("score_func", "sqrtsoftplus"),
    ]
    for (key, value) in wanted { #expect(config[key] == value, "\(key)") }
    #expect(config["rope_factor"]?.number == 16 && config["norm_eps"]?.number == 1e-6)
  }

  /// What would be cut is refused, and so is reading what was written.
  @Test func whatIsNotMadeIsRefused() throws {
    let source = try SourceModel(path: DeepSeekV4GGUFTests.model, threads: 1)
    #expect(throws: Fault.self) {
      try Plan(source, recipe: recipe(2), resources: Resources(threads: 1))
    }
    let conversion = try Conversions(DeepSeekV4GGUFTests.model, recipe(1))
    let fault = try #require(throws: Fault.self) {
      try SourceModel(path: conversion.output, threads: 1)
    }
    #expect(fault.description.contains("written and not read"), "\(fault)")
  }
}
