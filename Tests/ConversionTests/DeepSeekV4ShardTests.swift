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

  /// What would be cut is refused.
  @Test func whatWouldBeCutIsRefused() throws {
    let source = try SourceModel(path: DeepSeekV4GGUFTests.model, threads: 1)
    #expect(throws: Fault.self) {
      try Plan(source, recipe: recipe(2), resources: Resources(threads: 1))
    }
  }

  /// Every tensor with its bits: what shards divide and pack, and the codes of FP8 of what they have
  /// in BF16, where the largest of them stands in every block.
  @Test(arguments: [1, 2])
  func theSourceComesBack(shards: Int) throws {
    let workspace = try Workspace()
    try SmallFlash.write(to: workspace)
    let dealt = try Conversions(workspace.path, recipe(shards))
    let source = try SourceModel(path: workspace.path, threads: 1)
    let read = try SourceModel(path: dealt.output, threads: 1)
    #expect(read.format == .native && read.notes.isEmpty)
    #expect(dealt.plan.lost.isEmpty, "\(dealt.plan.lost)")
    let back = try Conversions(dealt.output, Recipe())
    #expect(try differences(back.tensors(), ConversionTests.tensors(of: workspace.path)).isEmpty)
    #expect(try SourceModel(path: back.output, threads: 1).config == source.config)
    let again = try Conversions(dealt.output, recipe(3 - shards)).files()
    let direct = try Conversions(workspace.path, recipe(3 - shards)).files()
    #expect(differences(again, direct).isEmpty)
  }

  /// Half the largest code as the largest of a block: codes come back doubled with half the scale,
  /// which are the same numbers.
  @Test func otherCodesMeanTheSameNumbers() throws {
    let workspace = try Workspace()
    try SmallFlash.write(to: workspace, largest: 0x76)
    let dealt = try Conversions(workspace.path, recipe(2))
    let back = try Conversions(dealt.output, Recipe())
    let changed = try differences(back.tensors(), ConversionTests.tensors(of: workspace.path))
    #expect(changed.count == 8 && changed.allSatisfy { $0.contains(".wo_a.") }, "\(changed)")
    let f32 = Recipe(weights: WeightStorage.named("f32"))
    #expect(
      try differences(
        Conversions(back.output, f32).tensors(), Conversions(workspace.path, f32).tensors()
      ).isEmpty)
  }

  /// What no code of FP8 means stops the conversion instead of being rounded.
  @Test func numbersThatWereNeverFP8AreNotRounded() throws {
    let workspace = try Workspace()
    try SmallFlash.write(to: workspace)
    let dealt = try Conversions(workspace.path, recipe(2))
    let shard = try SafetensorsView(dealt.output + "/model1-mp2.safetensors")
    var bytes = try shard.bytes(of: "layers.1.attn.wo_a.weight")
    // The last bit of a BF16 mantissa in row 3 of the second shard's 128.
    bytes[2 * (3 * 128 + 5)] ^= 1
    try shard.overwrite("layers.1.attn.wo_a.weight", with: bytes)
    let fault = try #require(throws: Fault.self) { try Conversions(dealt.output, Recipe()) }
    #expect(fault.tensor == "layers.1.attn.wo_a.weight" && fault.kind == .malformed, "\(fault)")
    #expect(fault.found == "another one in row 131", "\(fault)")
    let plain = try Conversions(dealt.output, Recipe(weights: WeightStorage.named("bf16")))
    #expect(plain.plan.tensors.contains { $0.entry.name == "layers.1.attn.wo_a.weight" })
  }

  /// A config in Hugging Face's keys beside the shards does as well, which says nothing of BF16.
  @Test func configsMayBeOfEitherKind() throws {
    let workspace = try Workspace()
    try SmallFlash.write(to: workspace)
    let dealt = try Conversions(workspace.path, recipe(2))
    let own = try SourceModel(path: dealt.output, threads: 1)
    try dealt.workspace.write("out/config.json", SmallFlash.config.utf8)
    let other = try SourceModel(path: dealt.output, threads: 1)
    #expect(own.config == other.config)
    #expect(other.config.fp8?.excludedModules.count == 4)
    let back = try Conversions(dealt.output, Recipe())
    #expect(try differences(back.tensors(), ConversionTests.tensors(of: workspace.path)).isEmpty)
  }

  /// A layer that predicts may be left out, and the config says so.
  @Test func theMTPLayerMayBeLeftOut() throws {
    let workspace = try Workspace()
    try SmallFlash.write(to: workspace)
    var dropping = recipe(2)
    dropping.mtp = .drop
    let dealt = try Conversions(workspace.path, dropping)
    #expect(try dealt.config()["n_mtp_layers"] == 0)
    let read = try SourceModel(path: dealt.output, threads: 1)
    #expect(read.config.mtpLayers == 0 && read.notes.isEmpty, "\(read.notes)")
  }
}
