import Conversion
import Dialects
import Formats
import Foundation
import Models
import Platform
import Support
import Tensors
import Testing
import Weights

/// What a recipe changes besides the numbers: layers, config, files beside the weights.
@Suite struct RecipeTests {
  private func layers(_ conversion: Conversions) throws -> Set<String> {
    Set(
      try tensors(of: conversion.output).keys.map { name in
        name.split(separator: ".").prefix(3).joined(separator: ".")
      }.filter { $0.hasPrefix("model.layers.") })
  }

  @Test func mtpLayersAreKeptDroppedOrAlone() throws {
    let all = try tensors(of: sample("tiny-mtp2"))
    let source = try SourceModel(path: sample("tiny-mtp2"), threads: 1).config
    let mtp = Set((0..<source.mtpLayers).map { "model.layers.\(source.layers + $0)" })
    #expect(mtp.count == 2)
    let kept = try Conversions(sample("tiny-mtp2"), Recipe())
    #expect(try tensors(of: kept.output).count == all.count)
    #expect(try kept.config()["num_nextn_predict_layers"] == .integer(2))
    let dropped = try Conversions(sample("tiny-mtp2"), Recipe(mtp: .drop))
    #expect(try layers(dropped) == layers(kept).subtracting(mtp))
    #expect(try dropped.config()["num_nextn_predict_layers"] == .integer(0))
    let only = try Conversions(sample("tiny-mtp2"), Recipe(mtp: .only))
    #expect(try layers(only) == mtp)
    #expect(try only.config()["num_nextn_predict_layers"] == .integer(2))
    #expect(only.result.warnings.count == 1)
    #expect(try tensors(of: only.output).count + tensors(of: dropped.output).count == all.count)
    let fault = #expect(throws: Fault.self) {
      try Conversions(sample("tiny-no-qlora"), Recipe(mtp: .only))
    }
    #expect(fault?.kind == .malformed)
  }

  /// A recipe's quantization section and dtype; everything else stays, in its order.
  @Test(arguments: Repository.deepSeekV3Samples)
  func configKeepsAllOtherKeys(name: String) throws {
    for storage in WeightStorage.all {
      let conversion = try Conversions(sample(name), Recipe(weights: storage))
      let before = try Checkpoint(path: sample(name)).config
      guard case .object(var expected) = before, case .object(let after) = try conversion.config()
      else { throw CocoaError(.coderInvalidValue) }
      if storage.type != .f8E4M3 {
        expected["quantization_config"] = nil
        let key = expected["dtype"] == nil ? "torch_dtype" : "dtype"
        expected[key] = .string(try #require(storage.dataTypeName))
      } else if expected["quantization_config"]?["quant_method"] != .string("fp8") {
        expected["quantization_config"] = after["quantization_config"]
      }
      #expect(after.keys == expected.keys)
      #expect(after == expected)
      let config = try ModelConfig(json: .object(after), file: "config.json")
      #expect((config.fp8 != nil) == (storage.type == .f8E4M3))
      let written = try tensors(of: conversion.output)
      for tensor in config.expectedTensors() {
        let found = try #require(written[tensor.name.text]?.tensor)
        #expect(found.shape == tensor.shape)
        #expect((found.type == .f8E4M3) == (tensor.storage == .fp8))
      }
      #expect(written.count == config.expectedTensors().count)
    }
  }

  @Test func theQuantizationSectionIsDeepSeeks() throws {
    let plain = try Conversions(sample("tiny-bf16"), Recipe(weights: .fp8)).config()
    let text = """
      {"activation_scheme":"dynamic","fmt":"e4m3","quant_method":"fp8",\
      "weight_block_size":[128,128]}
      """
    #expect(plain["quantization_config"]?.text(indent: nil) == text)
    let recipe = Recipe(
      weights: .fp8, blockSize: BlockSize(rows: 64, columns: 32), scaleFormat: .ue8m0)
    let other = try Conversions(sample("tiny-bf16"), recipe).config()
    #expect(other["quantization_config"]?["scale_fmt"] == .string("ue8m0"))
    #expect(
      other["quantization_config"]?["weight_block_size"] == .array([.integer(64), .integer(32)]))
  }

  @Test func anFP8SourceIsNotQuantizedTwice() throws {
    let source = try tensors(of: sample("tiny-fp8"))
    let copy = try Conversions(sample("tiny-fp8"), Recipe(weights: .fp8))
    #expect(try differences(tensors(of: copy.output), source).isEmpty)
    for recipe in [
      Recipe(weights: .fp8, blockSize: BlockSize(rows: 64, columns: 64)),
      Recipe(weights: .fp8, scaleFormat: .ue8m0),
    ] {
      let fault = #expect(throws: Fault.self) { try Conversions(sample("tiny-fp8"), recipe) }
      #expect(fault?.kind == .usage)
    }
  }

  @Test func sideFilesAreCopiedAndPrivateOnesAreNot() throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "tiny-fp8")
    try workspace.write("tiny-fp8/LICENSE", "free".utf8)
    try workspace.write("tiny-fp8/chat_template.jinja", [])
    try workspace.write("tiny-fp8/.hidden", [1])
    try workspace.write("tiny-fp8/pytorch_model.bin", [1])
    try workspace.write("tiny-fp8/inference/model.py", [1])
    try workspace.write("secret", "key".utf8)
    for (link, target) in [
      ("out.json", "../secret"), ("gone.txt", "nowhere"), ("NOTICE", "LICENSE"),
    ] {
      try FileManager.default.createSymbolicLink(
        atPath: "\(model)/\(link)", withDestinationPath: target)
    }
    let conversion = try Conversions(model, Recipe(weights: .bf16))
    #expect(
      try conversion.workspace.names("out") == [
        "LICENSE", "NOTICE", "chat_template.jinja", "config.json", "fathom-manifest.json",
        "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
      ])
    #expect(try contents(conversion.output + "/NOTICE") == Array("free".utf8))
    #expect(
      try contents(conversion.output + "/tokenizer.json") == contents(model + "/tokenizer.json"))
    for name in ["out.json", "gone.txt", "inference"] {
      #expect(conversion.result.warnings.contains { $0.contains(name) })
    }
  }

  @Test func linksOfTheHuggingFaceCacheAreFollowed() throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "tiny-fp8")
    let cache = workspace.path("models--x/snapshots/0123")
    try FileManager.default.createDirectory(atPath: cache, withIntermediateDirectories: true)
    for name in try workspace.names("tiny-fp8") {
      try workspace.write("models--x/blobs/\(name)-blob", contents("\(model)/\(name)"))
      try FileManager.default.createSymbolicLink(
        atPath: "\(cache)/\(name)", withDestinationPath: "../../blobs/\(name)-blob")
    }
    let plain = try Conversions(model, Recipe(weights: .bf16)).files()
    #expect(try differences(Conversions(cache, Recipe(weights: .bf16)).files(), plain).isEmpty)
  }

  @Test func tensorsThatTheConfigDoesNotImplyAreCarriedAlong() throws {
    let path = sample("malformed/unexpected-tensor")
    var recipe = Recipe(weights: .bf16)
    recipe.ignoresUnknown = true
    let conversion = try Conversions(path, recipe)
    let source = try tensors(of: path)
    let written = try tensors(of: conversion.output)
    #expect(conversion.result.warnings.contains { $0.contains("carried along") })
    let implied = Set(
      try SourceModel(path: path, threads: 1).config.expectedTensors().map(\.name.text))
    let extra = source.keys.filter { !implied.contains($0) }
    #expect(!extra.isEmpty)
    #expect(Set(extra).isDisjoint(with: differences(written, source)))
  }
}
