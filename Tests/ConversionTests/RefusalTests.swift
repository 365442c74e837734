import Conversion
import Dialects
import Formats
import Foundation
import Models
import Platform
import Support
import Tensors
import Testing

/// What cannot be converted, and what goes wrong on the way: a fault, and nothing left behind.
@Suite struct RefusalTests {
  private func expectNothing(
    _ workspace: Workspace, besides names: [String], _ kind: Fault.Kind, _ part: String,
    _ body: () throws -> Void
  ) throws {
    let fault = #expect(throws: Fault.self) { try body() }
    #expect(fault?.kind == kind, "\(fault.map { "\($0)" } ?? "")")
    #expect(fault.map { "\($0)".contains(part) } ?? false, "\(fault.map { "\($0)" } ?? "")")
    #expect(try workspace.names() == names)
  }

  @Test(arguments: [
    ("missing-scale", "down_proj.weight\": has no scales"), ("missing-tensor", "is missing"),
    ("wrong-shape", "wrong shape"),
    ("wrong-scale-shape", "weight_scale_inv\": has the wrong shape"),
    ("orphan-scale", "scales no FP8 weight"),
    ("truncated-shard", "short"), ("index-mismatch", "outside its folder"),
    ("index-mismatch-lies", "is not where the index says"),
  ])
  func malformedSources(name: String, part: String) throws {
    let workspace = try Workspace()
    try expectNothing(workspace, besides: [], .malformed, part) {
      let source = try SourceModel(path: sample("malformed/\(name)"), threads: 1)
      let plan = try Plan(source, recipe: Recipe(weights: .bf16))
      _ = try plan.run(
        from: source, to: OutputPath(workspace.path("out"), overwrite: false))
    }
  }

  @Test func layersThatAreNotAskedForNeedNotBeThere() throws {
    let path = sample("malformed/mtp-mismatch-absent")
    let conversion = try Conversions(path, Recipe(weights: .bf16, mtp: .drop))
    #expect(try conversion.config()["num_nextn_predict_layers"] == .integer(0))
  }

  @Test func aDeclaredMTPLayerThatIsNotThereIsSaid() throws {
    let conversion = try Conversions(
      sample("malformed/mtp-mismatch-absent"), Recipe(weights: .bf16))
    #expect(try conversion.config()["num_nextn_predict_layers"] == .integer(0))
    #expect(conversion.result.warnings.contains { $0.contains("declares 1 MTP layer and nothing") })
  }

  @Test func undeclaredMTPLayersAreConvertedLikeDeclaredOnes() throws {
    let path = sample("malformed/mtp-mismatch-undeclared")
    let conversion = try Conversions(path, Recipe(weights: .bf16))
    #expect(conversion.result.warnings.contains { $0.contains("declares 0 MTP layers") })
    #expect(try tensors(of: conversion.output).values.allSatisfy { $0.tensor.type != .f8E4M3 })
  }

  /// A plan is made, then the source changes under it.
  private func run(
    _ name: String, _ recipe: Recipe, _ kind: Fault.Kind, _ part: String,
    change: (String) throws -> Void
  ) throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: name)
    let source = try SourceModel(path: model, threads: 1)
    let plan = try Plan(source, recipe: recipe)
    try change(model)
    try expectNothing(workspace, besides: [name], kind, part) {
      _ = try plan.run(from: source, to: OutputPath(workspace.path("out"), overwrite: false))
    }
  }

  @Test(arguments: [1, 2])
  func aSourceThatShrinks(shard: Int) throws {
    let file = "model-0000\(shard)-of-00003.safetensors"
    try run("tiny-fp8", Recipe(weights: .bf16), .inputOutput, "\(file): tensor \"model.") {
      let handle = try #require(FileHandle(forWritingAtPath: "\($0)/\(file)"))
      try handle.truncate(atOffset: 100_000)
      try handle.close()
    }
  }

  @Test func aSourceThatIsWrittenTo() throws {
    try run("tiny-bf16", Recipe(), .malformed, "model.safetensors: changed while it was read") {
      let handle = try #require(FileHandle(forUpdatingAtPath: "\($0)/model.safetensors"))
      try handle.seek(toOffset: 500_000)
      try handle.write(contentsOf: Data([1]))
      try handle.close()
    }
  }

  @Test func aSideFileThatGrows() throws {
    try run(
      "tiny-bf16", Recipe(), .malformed,
      "tokenizer.json: is not the file any more that was looked at before"
    ) {
      let handle = try #require(FileHandle(forUpdatingAtPath: "\($0)/tokenizer.json"))
      try handle.seekToEnd()
      try handle.write(contentsOf: Data([1]))
      try handle.close()
    }
  }

  @Test func weightsThatFP8CannotScale() throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "tiny-bf16")
    let source = try SourceModel(path: model, threads: 1)
    let name = "model.layers.1.self_attn.o_proj.weight"
    let tensor = try #require(source.checkpoint.inventory[ExactText(name)])
    let handle = try #require(FileHandle(forUpdatingAtPath: model + "/model.safetensors"))
    try handle.seek(toOffset: UInt64(tensor.offset + 10))
    try handle.write(contentsOf: Data([0x80, 0x7F]))
    try handle.close()
    try expectNothing(workspace, besides: ["tiny-bf16"], .malformed, name) {
      let again = try SourceModel(path: model, threads: 1)
      let plan = try Plan(again, recipe: Recipe(weights: .fp8))
      _ = try plan.run(from: again, to: OutputPath(workspace.path("out"), overwrite: false))
    }
  }

  /// Weights and scales of blocks are F16 in a GGUF file: 65504 is the largest, and all below 65520
  /// is rounded to it. A scale of Q8_0 is a 127th of the largest weight.
  static let halves: [(type: String, value: Float, fits: Bool)] = [
    ("f16", 65504, true), ("f16", 65519, true), ("f16", 65520, false), ("f16", -65520, false),
    ("f16", 70000, false), ("q8_0", 8_319_008, true), ("q8_0", 8_320_913, true),
    ("q8_0", 8_321_040, false), ("q8_0", -1e7, false),
  ]

  @Test(arguments: halves)
  func whatF16CannotHoldIsRefused(type: String, value: Float, fits: Bool) throws {
    let workspace = try Workspace()
    let editor = try SampleEditor("tiny-tied", in: workspace)
    let name = "model.layers.1.self_attn.q_a_proj.weight"
    try editor.change(name) { $0[3][5] = value.bytes }
    let convert = { try Conversions(editor.path, try GGUFConversionTests.recipe(type)) }
    guard fits else {
      let fault = #expect(throws: Fault.self) { try convert() }
      #expect(fault?.kind == .malformed && fault?.tensor == "blk.1.attn_q_a.weight")
      #expect(fault?.message.contains("overflows as \(type.uppercased())") == true)
      return
    }
    let inventory = try GGUFModel(path: convert().moved(to: workspace)).files.inventory
    let tensor = try #require(inventory["blk.1.attn_q_a.weight"])
    #expect(tensor.type.rawValue == type.uppercased())
    let buffer = try inventory.read(tensor)
    let bytes = withExtendedLifetime(buffer) { Array(buffer.bytes) }
    // The element itself, or the scale of its block of 34 bytes: both are the largest number.
    let place = type == "f16" ? 2 * (3 * 64 + 5) : 3 * 2 * 34
    #expect(bytes[place] == 0xFF && bytes[place + 1] == 0x7B)
  }

  @Test func aPlaceThatIsTakenMeanwhile() throws {
    let workspace = try Workspace()
    let source = try SourceModel(path: sample("tiny-bf16"), threads: 1)
    let plan = try Plan(source, recipe: Recipe())
    let place = try OutputPath(workspace.path("out"), overwrite: false)
    try workspace.write("out/theirs", [1])
    // All the work was done by then: it is kept.
    let names = [".out.fathom-part", "out"]
    try expectNothing(workspace, besides: names, .cannotCreate, "meanwhile") {
      _ = try plan.run(from: source, to: place)
    }
    #expect(try workspace.names("out") == ["theirs"])
    try FileManager.default.removeItem(atPath: workspace.path("out"))
    let result = try plan.run(from: source, to: place, options: RunOptions(resumes: true))
    #expect(result.isResumed && result.bytesKept == plan.layout.files[0].byteCount)
    #expect(try workspace.names() == ["out"])
  }
}

extension Float {
  fileprivate var bytes: [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: bitPattern >> (8 * UInt32($0))) }
  }
}
