import Conversion
import Dialects
import Formats
import Foundation
import Models
import Platform
import Support
import Tensors
import Testing
import Tiles
import Weights

/// What a plan promises is what a run writes.
@Suite struct PlanTests {
  static let recipes: [Recipe] = [
    Recipe(), Recipe(weights: .bf16), Recipe(weights: .fp8), Recipe(weights: .bf16, mtp: .drop),
    Recipe(weights: .named("f32"), shardLimit: 100_000), Recipe(shardLimit: 1),
    Recipe(weights: .fp8, blockSize: BlockSize(rows: 32, columns: 64), scaleFormat: .ue8m0),
  ]

  @Test(arguments: ["tiny-fp8", "tiny-bf16", "tiny-tied", "tiny-e8m0"], recipes.indices)
  func everyFileHasThePlannedSize(name: String, recipe index: Int) throws {
    var recipe = PlanTests.recipes[index]
    if name.hasPrefix("tiny-fp8") || name == "tiny-e8m0" {
      (recipe.blockSize, recipe.scaleFormat) = (nil, nil)
    }
    let conversion = try Conversions(sample(name), recipe)
    let files = try conversion.allFiles()
    let planned = conversion.plan.files.map { ($0.name.text, $0.byteCount) }
    #expect(files.mapValues(\.count) == Dictionary(uniqueKeysWithValues: planned))
    #expect(conversion.plan.byteCount == conversion.result.bytesWritten)
    // The reader checks the index against the headers, and the headers against the sizes.
    let found = try Checkpoint(path: conversion.output).inventory
    #expect(found.tensors.count == conversion.plan.tensors.count)
    for (number, file) in conversion.plan.layout.files.enumerated() {
      #expect(found.shards[number].name == file.name)
      for (tensor, offset) in zip(file.tensors, file.offsets) {
        let entry = conversion.plan.layout.entries[tensor]
        let stored = try #require(found[entry.name])
        #expect(stored.offset == offset && stored.shard == number)
        #expect(stored.type == entry.type && stored.shape == entry.shape)
      }
    }
  }

  @Test(arguments: [
    ("tiny-fp8", Recipe(weights: .bf16)), ("tiny-bf16", Recipe(weights: .fp8)),
    ("tiny-fp8-block32", Recipe()),
  ])
  func bytesDependOnNeitherThreadsNorMemory(name: String, recipe: Recipe) throws {
    let expected = try Conversions(
      sample(name), recipe, resources: Resources(threads: 1)
    ).files()
    for (threads, memory) in [(2, 256_000_000), (5, 256_000_000), (1, 400_000), (3, 1_000_000)] {
      let files = try Conversions(
        sample(name), recipe, resources: Resources(threads: threads, memory: memory)
      ).files()
      #expect(differences(files, expected).isEmpty, "\(threads) threads, \(memory) bytes")
    }
  }

  /// Matrices of several tiles, cut between rows, and within a row that is longer than a tile.
  @Test func dequantizedBytesDoNotDependOnWhereTensorsAreCut() throws {
    let workspace = try Workspace()
    try Conversions.writeModel(
      to: workspace, like: "tiny-bf16", hiddenSize: 64, intermediateSize: 40_000)
    let source = try Conversions(workspace.path, Recipe(weights: .fp8)).moved(to: workspace)
    let expected = try Conversions(source, Recipe(weights: .bf16)).files()
    for memory in [330_000, 390_000] {
      let again = try Conversions(
        source, Recipe(weights: .bf16), resources: Resources(threads: 2, memory: memory))
      #expect(again.plan.buffers.tileBytes < 40_000 * 2)
      #expect(try differences(again.files(), expected).isEmpty, "\(memory) bytes")
    }
  }

  /// Matrices of several tiles, cut between bands of blocks.
  @Test func quantizedBytesDoNotDependOnWhereTensorsAreCut() throws {
    let workspace = try Workspace()
    try Conversions.writeModel(
      to: workspace, like: "tiny-bf16", hiddenSize: 256, intermediateSize: 10_000)
    let expected = try Conversions(workspace.path, Recipe(weights: .fp8))
    let band = 128 * 10_000 * 2
    #expect(expected.plan.buffers.tileBytes > band)
    let again = try Conversions(
      workspace.path, Recipe(weights: .fp8), resources: Resources(threads: 2, memory: 5 * band))
    #expect(again.plan.buffers.tileBytes == band)
    #expect(try differences(again.files(), expected.files()).isEmpty)
    let fault = #expect(throws: Fault.self) {
      try Conversions(
        workspace.path, Recipe(weights: .fp8), resources: Resources(threads: 1, memory: 4 * band))
    }
    #expect(fault?.kind == .usage)
  }

  @Test func bytesDoNotDependOnTheSourcesOrderAndSharding() throws {
    let whole = try Conversions(sample("tiny-fp8"), Recipe(weights: .bf16)).files()
    let sharded = try Conversions(sample("tiny-fp8"), Recipe(shardLimit: 50_000))
    #expect(sharded.plan.layout.files.count > 20)
    let again = try Conversions(sharded.output, Recipe(weights: .bf16)).files()
    #expect(differences(again, whole).isEmpty)
    let source = try tensors(of: sample("tiny-fp8"))
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "tiny-fp8")
    for name in try workspace.names("tiny-fp8") where name.contains("safetensors") {
      try FileManager.default.removeItem(atPath: "\(model)/\(name)")
    }
    // One file in the opposite order of names.
    let order = source.keys.sorted().reversed()
    let fixture = SafetensorsFixture(
      order.compactMap { source[$0]?.tensor }.map { ($0.name.text, $0.type, $0.shape.dimensions) })
    let bytes = fixture.header + order.flatMap { source[$0]?.bytes ?? [] }
    try workspace.write("tiny-fp8/model.safetensors", bytes)
    let reversed = try Conversions(model, Recipe(weights: .bf16)).files()
    #expect(differences(reversed, whole).isEmpty)
  }

  /// The bytes themselves say which files of an output are files of the source.
  @Test(arguments: [
    (Recipe(shardLimit: 300_000), 0...0), (Recipe(shardLimit: 250_000), 1...99),
    (Recipe(mtp: .drop, shardLimit: 300_000), 1...99),
    (Recipe(weights: .named("f32"), shardLimit: 300_000), 1...99), (Recipe(), 1...99),
  ])
  func filesThatStayAsTheyAreAreKnown(recipe: Recipe, others: ClosedRange<Int>) throws {
    let first = try Conversions(sample("tiny-bf16"), Recipe(shardLimit: 300_000))
    let source = try SourceModel(path: first.output, threads: 2)
    let inventory = source.checkpoint.inventory
    let again = try Conversions(first.output, recipe)
    let shards = try inventory.shards.map { try contents("\(first.output)/\($0.name)") }
    #expect(shards.count > 2)
    var changed = 0
    for file in again.plan.layout.files {
      let start = file.header.count
      let tail = try contents("\(again.output)/\(file.name)").dropFirst(start)
      let same = shards.firstIndex { $0.count == file.byteCount && $0.dropFirst(start) == tail }
      #expect(again.plan.shardShared(by: file, of: inventory) == same, "\(file.name)")
      changed += same == nil ? 1 : 0
    }
    #expect(others.contains(changed), "\(changed) of \(again.plan.layout.files.count) changed")
  }

  /// Of the same size and with the same tensors, two of them each where the output has the other.
  @Test func aFileInAnotherOrderIsNoFileOfTheOutput() throws {
    let workspace = try Workspace()
    let model = try Conversions(sample("tiny-bf16"), Recipe()).moved(to: workspace)
    let path = "\(model)/model.safetensors"
    let names = (0...1).map { Array("layers.1.mlp.experts.\($0).gate_proj.weight".utf8) }
    var bytes = try contents(path)
    let places = try names.map { try #require(bytes.firstRange(of: $0)) }
    for (place, name) in zip(places, names.reversed()) { bytes.replaceSubrange(place, with: name) }
    try workspace.write("moved/model.safetensors", bytes)
    let again = try Conversions(model, Recipe())
    let source = try SourceModel(path: model, threads: 1)
    let file = try #require(again.plan.layout.files.first)
    #expect(file.byteCount == bytes.count)
    #expect(again.plan.shardShared(by: file, of: source.checkpoint.inventory) == nil)
    let (found, expected) = try (again.tensors(), tensors(of: model))
    #expect(found.mapValues(\.bytes) == expected.mapValues(\.bytes))
  }

  @Test func memoryIsBoundedByThePlan() throws {
    let source = try SourceModel(path: sample("tiny-fp8"), threads: 1)
    for threads in [1, 2, 64, 1024] {
      let plan = try Plan(
        source, recipe: Recipe(weights: .bf16),
        resources: Resources(threads: threads, memory: 64_000_000))
      #expect(plan.buffers.byteCount <= 64_000_000)
      #expect(plan.buffers.threads <= threads && plan.buffers.slots > plan.buffers.threads)
    }
    let fault = #expect(throws: Fault.self) {
      try Plan(source, recipe: Recipe(), resources: Resources(threads: 1, memory: 1000))
    }
    #expect(fault?.kind == .usage)
  }

  @Test func reasonsAreGivenForEachTensor() throws {
    let source = try SourceModel(path: sample("tiny-bf16"), threads: 1)
    let plan = try Plan(source, recipe: Recipe(weights: .fp8))
    func planned(_ name: String) throws -> PlannedTensor {
      try #require(plan.tensors.first { $0.entry.name == ExactText(name) })
    }
    let kept = [
      "lm_head.weight", "model.embed_tokens.weight", "model.layers.1.mlp.gate.weight",
      "model.layers.0.input_layernorm.weight", "model.norm.weight",
    ]
    for name in kept { #expect(try planned(name).operation == .copy) }
    let bias = try planned("model.layers.1.mlp.gate.e_score_correction_bias")
    #expect(bias.entry.type == .f32)
    #expect(bias.reason.contains("routing"))
    for name in ["self_attn.kv_a_proj_with_mqa", "self_attn.o_proj", "mlp.shared_experts.up_proj"] {
      let weight = try planned("model.layers.1.\(name).weight")
      let scales = try planned("model.layers.1.\(name).weight_scale_inv")
      #expect(weight.entry.type == .f8E4M3 && scales.entry.type == .f32)
      #expect(scales.source == weight.source)
    }
    #expect(plan.tensors.allSatisfy { !$0.reason.isEmpty })
  }
}
