import Conversion
import Dialects
import Formats
import Foundation
import Mixes
import Models
import Platform
import Support
import Tensors
import Testing

/// Recipe files: types by name and kind of layer.
@Suite struct RecipeFileTests {
  private func read(_ text: String) throws -> RecipeFile<ElementType> {
    let workspace = try Workspace()
    try workspace.write("recipe.json", Array(text.utf8))
    return try RecipeFile<ElementType>(path: workspace.path("recipe.json"))
  }

  private func plan(_ gguf: GGUFRecipe) throws -> [String: PlannedTensor] {
    let source = try SourceModel(path: sample("tiny-tied"), threads: 1)
    let plan = try Plan(
      source, recipe: Recipe(target: .gguf(gguf), outputName: "out", mtp: .keep))
    return Dictionary(uniqueKeysWithValues: plan.tensors.map { ($0.entry.name.text, $0) })
  }

  @Test func theSamplesDoWhatTheySay() throws {
    let file = try RecipeFile<ElementType>(
      path: Repository.samples + "/recipes/experts-iq4_nl-attention-q8_0.json")
    let tensors = try plan(GGUFRecipe(nil).adding(file))
    #expect(tensors["blk.1.ffn_up_exps.weight"]?.entry.type == .iq4NL)
    #expect(tensors["blk.1.ffn_up_exps.weight"]?.reason == "rule blk.*_exps.weight")
    #expect(tensors["blk.1.attn_q_a.weight"]?.entry.type == .q80)
    // MTP's experts too, since its rule stands first.
    let mtp = try #require(tensors.keys.first { $0.hasSuffix(".nextn.eh_proj.weight") })
    let layer = mtp.dropLast("nextn.eh_proj.weight".count)
    #expect(tensors[mtp]?.entry.type == .q80)
    #expect(tensors[layer + "ffn_up_exps.weight"]?.entry.type == .q80)
    #expect(tensors["blk.1.ffn_gate_inp.weight"]?.entry.type == .f32)
  }

  @Test(arguments: ["main", "mtp", "dense", "moe"])
  func kindsOfLayers(kind: String) throws {
    let rules = #"[{"layers": "\#(kind)", "type": "f16"}]"#
    let file = try read(#"{"schema": "fathom.recipe/1", "default": "bf16", "rules": \#(rules)}"#)
    let tensors = try plan(GGUFRecipe(nil).adding(file))
    let found = Set(
      tensors.values.filter { $0.entry.type == .f16 }.compactMap {
        Int($0.entry.name.split(separator: ".")[1].text)
      })
    let config = try SourceModel(path: sample("tiny-tied"), threads: 1).config
    let (main, dense) = (
      config.layers, Set((0...config.layers).filter { !config.hasExperts(layer: $0) })
    )
    let expected: [String: Set<Int>] = [
      "main": Set(0..<main), "mtp": [main], "dense": dense,
      "moe": Set(0...main).subtracting(dense),
    ]
    #expect(found == expected[kind])
    #expect(tensors["token_embd.weight"]?.entry.type == .bf16)
  }

  @Test func rulesStandBeforeAMix() throws {
    let file = try read(
      #"{"schema": "fathom.recipe/1", "rules": [{"match": "*.attn_kv_a_mqa.*", "type": "q5_1"}]}"#)
    let tensors = try plan(GGUFRecipe(.q40).adding(file))
    #expect(tensors["blk.0.attn_kv_a_mqa.weight"]?.entry.type == .q51)
    #expect(tensors["blk.0.attn_q_a.weight"]?.entry.type == .q40)
    // Beside a plain type they hold too, where llama-quantize's own would not.
    let plain = try plan(GGUFRecipe(.bf16).adding(file))
    #expect(plain["blk.0.attn_kv_a_mqa.weight"]?.entry.type == .q51)
    #expect(plain["blk.0.attn_q_a.weight"]?.entry.type == .bf16)
    // The command's rules come first.
    let rule = try TensorTypeRule(parsing: "attn_kv_a_mqa=q8_0")
    let both = try plan(GGUFRecipe(.q40, tensorTypes: [rule]).adding(file))
    #expect(both["blk.0.attn_kv_a_mqa.weight"]?.entry.type == .q80)
  }

  @Test(arguments: [("nvfp4", 39), ("q4_k", 15), ("q8_0", 7), ("mxfp4", 38), ("f16", 1)])
  func theFileTypeIsThatOfMostTensors(type: String, id: UInt32) throws {
    // What no block of 64 divides, since NVFP4 has no fallback.
    let rules = ["*attn*", "*down*"].map { #"{"match": "\#($0)", "type": "bf16"}"# }
    let text = #""default": "\#(type)", "rules": [\#(rules.joined(separator: ", "))]"#
    let file = try read(#"{"schema": "fathom.recipe/1", \#(text)}"#)
    let conversion = try Conversions(
      sample("tiny-tied"),
      Recipe(target: .gguf(try GGUFRecipe(nil).adding(file)), outputName: "out"))
    let metadata = try GGUFFiles(path: conversion.output).metadata
    #expect(metadata["general.file_type"] == .uint32(id))
  }

  @Test(arguments: [
    "[]", "{}", #"{"schema": "fathom.recipe/2"}"#,
    #"{"schema": "fathom.recipe/1", "defalt": "q4_0"}"#,
    #"{"schema": "fathom.recipe/1", "default": "q4_k_m"}"#,
    #"{"schema": "fathom.recipe/1", "default": 4}"#,
    #"{"schema": "fathom.recipe/1", "rules": {}}"#,
    #"{"schema": "fathom.recipe/1", "rules": [{"type": "q4_0"}]}"#,
    #"{"schema": "fathom.recipe/1", "rules": [{"match": "*"}]}"#,
    #"{"schema": "fathom.recipe/1", "rules": [{"match": "*", "type": "iq2_k"}]}"#,
    #"{"schema": "fathom.recipe/1", "rules": [{"layers": "61", "type": "q4_0"}]}"#,
    #"{"schema": "fathom.recipe/1", "rules": [{"match": "*", "type": "q4_0", "layer": "mtp"}]}"#,
  ])
  func whatIsNoRecipeIsRefused(text: String) throws {
    let fault = try #require(throws: Fault.self) { try read(text) }
    #expect(fault.kind == .malformed && fault.file != nil && fault.expected != nil)
    #expect(try !JSONSchema(named: "recipe").faults(in: JSONDocument(text)).isEmpty)
  }

  /// Searches with a thousand groups write some megabytes.
  @Test func largeRecipesAreRead() throws {
    let text = #"{"schema": "fathom.recipe/1", "default": "q8_0"}"#
    #expect(try read(text + String(repeating: " ", count: 6 << 20)).base == .q80)
    let fault = try #require(throws: Fault.self) {
      try read(text + String(repeating: " ", count: RecipeSize.most))
    }
    #expect(fault.kind == .malformed && fault.expected == "at most 16777216 bytes")
  }

  private func mlx(_ text: String) throws -> RecipeFile<MLXStorage> {
    let workspace = try Workspace()
    try workspace.write("recipe.json", Array(text.utf8))
    return try RecipeFile<MLXStorage>(path: workspace.path("recipe.json"))
  }

  @Test func modulesOfMLXGetTheirSettings() throws {
    let text = #"""
      {"schema": "fathom.recipe/1", "target": "mlx", "default": "4bit", "rules": [
        {"match": "*.mlp.switch_mlp.down_proj", "layers": "main", "type": "6bit-g32"},
        {"match": "lm_head", "type": "f16"}, {"layers": "dense", "type": "mxfp8"},
        {"match": "*layernorm", "type": "8bit"}, {"layers": "mtp", "type": "8bit"}]}
      """#
    #expect(try JSONSchema(named: "recipe").faults(in: JSONDocument(text)).isEmpty)
    let recipe = try MLXRecipe(nil).adding(mlx(text))
    let model = try Conversions(sample("tiny-trained"), Recipe(target: .mlx(recipe), mtp: .drop))
    let config = try model.config()
    func setting(_ module: String?) throws -> [String] {
      guard case .object(let section)? = config["quantization"] else { return [] }
      guard let module else {
        return ["group_size", "bits", "mode"].map { section[$0]?.text(indent: nil) ?? "" }
      }
      guard case .object(let own)? = section[module] else { return [] }
      return ["group_size", "bits", "mode"].map { own[$0]?.text(indent: nil) ?? "" }
    }
    #expect(try setting(nil) == ["64", "4", "\"affine\""])
    #expect(
      try setting("model.layers.1.mlp.switch_mlp.down_proj") == ["32", "6", "\"affine\""])
    #expect(try setting("model.layers.0.mlp.up_proj") == ["32", "8", "\"mxfp8\""])
    #expect(try setting("model.layers.1.mlp.switch_mlp.up_proj").isEmpty, "has the default")
    let tensors = Dictionary(
      uniqueKeysWithValues: model.plan.tensors.map { ($0.entry.name.text, $0) })
    #expect(tensors["lm_head.weight"]?.entry.type == .f16)
    #expect(tensors["lm_head.weight"]?.reason == "rule lm_head: stored in F16")
    #expect(model.plan.unheeded.count == 2)
    #expect(model.plan.unheeded.first?.contains("*layernorm") == true)
    #expect(model.plan.unheeded.last?.contains("in the layers that it speaks of") == true)
    #expect(throws: Fault.self) { try MLXRecipe(MLXStorage(named: "8bit")).adding(mlx(text)) }
    // Nothing but the rules is asked for where neither names a type for the rest.
    let rules = #"[{"match": "*.o_proj", "type": "5bit"}]"#
    let alone = try MLXRecipe(nil).adding(
      mlx(#"{"schema": "fathom.recipe/1", "target": "mlx", "rules": \#(rules)}"#))
    let plan = try Conversions(sample("tiny-trained"), Recipe(target: .mlx(alone))).plan
    let codes = plan.tensors.filter { $0.entry.storedType == .u32 }
    #expect(!codes.isEmpty && codes.allSatisfy { $0.entry.name.hasSuffix(".o_proj.weight") })
  }

  @Test(arguments: [
    "4bit-g33", "4bit-64", "7bit", "mxfp4-g64", "bf16-g64", "q4_k", "4bit-g", "4bit-g+64", "",
  ])
  func whatIsNoTypeOfMLXIsRefused(type: String) throws {
    let text = #"{"schema": "fathom.recipe/1", "target": "mlx", "default": "\#(type)"}"#
    let fault = try #require(throws: Fault.self) { try mlx(text) }
    #expect(fault.kind == .malformed && fault.file != nil)
    guard type != "q4_k" else { return }
    #expect(try !JSONSchema(named: "recipe").faults(in: JSONDocument(text)).isEmpty)
  }

  private func compressed(_ rules: String, base: String) throws -> CompressedMix {
    let text =
      #"{"schema": "fathom.recipe/1", "target": "compressed-tensors", "#
      + #""default": "\#(base)", "rules": [\#(rules)]}"#
    #expect(try JSONSchema(named: "recipe").faults(in: JSONDocument(text)).isEmpty)
    let workspace = try Workspace()
    try workspace.write("recipe.json", Array(text.utf8))
    let file = try RecipeFile<CompressedMix.Storage>(path: workspace.path("recipe.json"))
    return try CompressedMix(file, rest: nil)
  }

  @Test func modulesOfCompressedTensorsGetTheirSchemes() throws {
    let mix = try compressed(
      #"""
      {"match": "*.experts.*", "layers": "moe", "type": "int4-g32"},
      {"match": "*.o_proj", "type": "nvfp4"}, {"match": "*.mlp.down_proj", "type": "plain"},
      {"match": "lm_head", "type": "nvfp4"}
      """#, base: "fp8-channel")
    let model = try Conversions(
      sample("tiny-trained"), Recipe(target: .compressedMix(mix)))
    let types = Dictionary(
      uniqueKeysWithValues: model.plan.tensors.map { ($0.entry.name.text, $0.entry.type) })
    let layer = "model.layers.1"
    #expect(types["\(layer).mlp.experts.0.up_proj.weight_packed"] == .u4)
    #expect(types["\(layer).self_attn.o_proj.weight_packed"] == .f4)
    #expect(types["model.layers.0.mlp.down_proj.weight"] == .bf16)
    #expect(types["model.layers.0.mlp.up_proj.weight"] == .f8E4M3)
    #expect(types["\(layer).mlp.shared_experts.up_proj.weight"] == .f8E4M3)
    // Loaders quantize no head, so that no rule is about it.
    #expect(types["lm_head.weight"] == .bf16)
    #expect(model.plan.unheeded.count == 1 && model.plan.unheeded[0].contains("lm_head"))
    guard case .object(let section)? = try model.config()["quantization_config"],
      case .object(let groups)? = section["config_groups"]
    else {
      Issue.record("has no groups")
      return
    }
    #expect(groups.keys.count == 3 && section["format"] == .string("mixed-precision"))
    #expect(section["ignore"]?.text(indent: nil).contains(#"mlp\\.down_proj$"#) == true)
  }

  @Test func expertsOfALayerHaveOneScheme() throws {
    let mix = try compressed(#"{"match": "*.experts.1.*", "type": "nvfp4"}"#, base: "int4-g32")
    let fault = try #require(throws: Fault.self) {
      try Conversions(sample("tiny-trained"), Recipe(target: .compressedMix(mix)))
    }
    #expect(fault.kind == .usage && fault.tensor?.text.contains("experts.1.") == true)
    let workspace = try Workspace()
    let text = #"{"schema": "fathom.recipe/1", "target": "compressed-tensors"}"#
    let file = try RecipeFile<CompressedMix.Storage>(
      path: workspace.write("recipe.json", text.utf8))
    #expect(throws: Fault.self) { try CompressedMix(file, rest: nil) }
    let rest = CompressedRecipe(named: "int4-g32")
    #expect(try CompressedMix(file, rest: rest).base.recipeName == "int4-g32")
    let experts = CompressedRecipe(named: "int4-g32-experts")
    #expect(throws: Fault.self) { try CompressedMix(file, rest: experts) }
  }

  @Test func aRecipeForAnotherFormatIsRefused() throws {
    for text in [
      #"{"schema": "fathom.recipe/1"}"#, #"{"schema": "fathom.recipe/1", "target": "gguf"}"#,
    ] {
      #expect(try #require(throws: Fault.self) { try mlx(text) }.kind == .usage)
    }
    let text = #"{"schema": "fathom.recipe/1", "target": "mlx", "default": "4bit"}"#
    #expect(try #require(throws: Fault.self) { try read(text) }.kind == .usage)
  }

  @Test func oneDefaultIsNeeded() throws {
    let without = try read(#"{"schema": "fathom.recipe/1"}"#)
    #expect(throws: Fault.self) { try GGUFRecipe(nil).adding(without) }
    let with = try read(#"{"schema": "fathom.recipe/1", "default": "q4_0"}"#)
    #expect(throws: Fault.self) { try GGUFRecipe(.q80).adding(with) }
  }

  @Test func samplesKeepTheSchema() throws {
    let folder = Repository.samples + "/recipes"
    let names = try FileManager.default.contentsOfDirectory(atPath: folder)
    #expect(!names.isEmpty)
    for name in names {
      let text = String(decoding: try contents("\(folder)/\(name)"), as: UTF8.self)
      #expect(try JSONSchema(named: "recipe").faults(in: JSONDocument(text)).isEmpty, "\(name)")
      #expect(try !read(text).rules.isEmpty)
    }
  }
}
