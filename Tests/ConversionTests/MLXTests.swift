import Conversion
import Dialects
import Formats
import Foundation
import Models
import Naming
import Platform
import Support
import Tensors
import Testing
import Weights

/// MLX models against what mlx-lm writes and decodes: `scripts/make mlx-fixtures`.
@Suite struct MLXTests {
  static let source = "tiny-trained"

  /// A line of the fixture: the recipe (mlx-lm has no MTP layers), a hash of the tensors, and one of them decoded.
  struct Known: Sendable, CustomTestStringConvertible {
    let kind: String
    let group: Int
    let stored: String
    let decoded: String
    var testDescription: String { "\(kind) \(group)" }

    var recipe: Recipe {
      get throws {
        let isAffine = kind.hasSuffix("bit")
        return Recipe(
          target: .mlx(
            MLXRecipe(try MLXStorage(named: kind, groupSize: isAffine ? group : nil))),
          mtp: .drop)
      }
    }
  }

  static let known: [Known] = {
    let path = Repository.root + "/Tests/ConversionTests/Fixtures/mlx.txt"
    let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    return text.split(separator: "\n").map { line in
      let words = line.split(separator: " ").map(String.init)
      return Known(
        kind: words[0], group: Int(words[1]) ?? 0, stored: words[2], decoded: words[3])
    }
  }()

  /// The hash that the fixture has.
  private func digest(_ folder: String) throws -> String {
    var bytes: [UInt8] = []
    for (name, tensor) in try tensors(of: folder).sorted(by: { $0.key < $1.key }) {
      let type = tensor.tensor.type.rawValue
      bytes += Array("\(name) \(type) \(tensor.tensor.shape)\n".utf8) + tensor.bytes
    }
    return SHA256.digits(bytes)
  }

  @Test func theFixtureHasAllKinds() {
    // From FP8, mlx-lm rounds to BF16 on the way to the two others.
    #expect(
      Set(MLXTests.known.map(\.kind)).union(["f16", "f32"]) == Set(MLXStorage.all.map(\.name)))
  }

  @Test(arguments: known)
  func tensorsAreThoseOfMLXAndDecodeAlike(known: Known) throws {
    let model = try Conversions(sample(MLXTests.source), try known.recipe)
    #expect(try digest(model.output) == known.stored)
    // Under the same names, each matrix put together from what is stored and taken apart again.
    let plain = Recipe(target: .mlx(MLXRecipe(try MLXStorage(named: "f32"))))
    let decoded = try Conversions(model.output, plain)
    #expect(try digest(decoded.output) == known.decoded)
  }

  @Test(arguments: ["4bit", "mxfp8"])
  func codesAreMovedAndNeverDecoded(kind: String) throws {
    let recipe = Recipe(target: .mlx(MLXRecipe(try MLXStorage(named: kind))))
    let first = try Conversions(sample(MLXTests.source), recipe)
    let again = try Conversions(first.output, Recipe(target: .mlx(MLXRecipe(nil))))
    #expect(try differences(again.tensors(), first.tensors()).isEmpty)
    #expect(try again.config()["quantization"] == first.config()["quantization"])
    let codes = again.plan.tensors.filter { $0.entry.storedType == .u32 }
    #expect(!codes.isEmpty)
    #expect(codes.allSatisfy { [.copied, .carried].contains($0.treatment) })
    // An affine model that others are to be quantized in keeps what it has, as mlx-lm does.
    let other = try Conversions(
      first.output, Recipe(target: .mlx(MLXRecipe(try MLXStorage(named: "8bit")))))
    let name = "model.layers.1.mlp.switch_mlp.up_proj.weight"
    #expect(try other.tensors()[name]?.bytes == first.tensors()[name]?.bytes)
  }

  @Test func bytesDependOnNeitherThreadsNorMemory() throws {
    let recipe = Recipe(target: .mlx(MLXRecipe(try MLXStorage(named: "6bit", groupSize: 32))))
    let expected = try Conversions(sample(MLXTests.source), recipe)
    for (threads, memory) in [(1, 256_000_000), (3, 8_000_000)] {
      let found = try Conversions(
        sample(MLXTests.source), recipe, resources: Resources(threads: threads, memory: memory))
      #expect(try differences(found.files(), expected.files()).isEmpty)
    }
  }

  @Test func theLayoutOfSwiftHasTheJointMatrix() throws {
    let recipe = MLXRecipe(try MLXStorage(named: "4bit", groupSize: 32), layout: .mlxSwift)
    let model = try Conversions(sample(MLXTests.source), Recipe(target: .mlx(recipe)))
    let names = try model.tensors().keys
    #expect(names.contains("model.layers.0.self_attn.kv_b_proj.scales"))
    #expect(!names.contains { $0.contains("embed_q") || $0.contains("unembed_out") })
    // What is whole there is what its halves are elsewhere, decoded.
    let plain = Recipe(target: .mlx(MLXRecipe(try MLXStorage(named: "f32"))))
    let direct = Recipe(weights: WeightStorage.named("f32"))
    let name = "model.layers.0.self_attn.kv_b_proj.weight"
    let decoded = try Conversions(model.output, plain)
    let halves = try Conversions(decoded.output, direct).tensors()[name]
    let whole = try Conversions(model.output, direct).tensors()[name]
    #expect(halves?.bytes == whole?.bytes && whole != nil)
  }

  @Test func mtpLayersStayUnlessTheyAreDropped() throws {
    let recipe = Recipe(target: .mlx(MLXRecipe(try MLXStorage(named: "bf16"))))
    let kept = try Conversions(sample("tiny-fp8"), recipe)
    let config = try SourceModel(path: kept.output, threads: 1).config
    #expect(config.mtpLayers == 1)
    #expect(kept.result.warnings.contains { $0.contains("mlx-lm refuses MTP layers") })
    var dropping = recipe
    dropping.mtp = .drop
    let dropped = try Conversions(sample("tiny-fp8"), dropping)
    #expect(try dropped.config()["num_nextn_predict_layers"] == .integer(0))
    #expect(!dropped.result.warnings.contains { $0.contains("MTP") })
    // Back again, it is the checkpoint that the direct way gives.
    let direct = try Conversions(sample("tiny-fp8"), Recipe(weights: .bf16))
    let back = try Conversions(kept.output, Recipe(weights: .bf16))
    #expect(try differences(back.tensors(), direct.tensors()).isEmpty)
  }

  /// mlx-lm's converter leaves MTP layers out, and what the config says of them in.
  @Test func absentMTPLayersAreNotMissed() throws {
    let workspace = try Workspace()
    var recipe = Recipe(target: .mlx(MLXRecipe(nil)))
    recipe.mtp = .drop
    let folder = try Conversions(sample("tiny-fp8"), recipe).moved(to: workspace)
    try edit(folder) { $0["num_nextn_predict_layers"] = .integer(1) }
    let source = try SourceModel(path: folder, threads: 1)
    #expect(source.config.mtpLayers == 0 && source.declaredConfig.mtpLayers == 1)
    let back = try Conversions(folder, Recipe(weights: .bf16))
    #expect(try back.config()["num_nextn_predict_layers"] == .integer(0))
  }

  /// A packed sample whose config is changed.
  private func edit(_ folder: String, _ change: (inout JSONObject) -> Void) throws {
    let path = folder + "/config.json"
    guard case .object(var config) = try JSONValue(parsing: contents(path), file: path) else {
      throw CocoaError(.coderInvalidValue)
    }
    change(&config)
    try Data(JSONValue.object(config).text().utf8).write(to: URL(fileURLWithPath: path))
  }

  @Test(arguments: [
    ("lm_head", #"{"group_size":128,"bits":4}"#, "does not fit its weight"),
    ("lm_head", #"{"group_size":64,"bits":8}"#, "does not fit its weight"),
    ("lm_head", #"{"group_size":64,"bits":7}"#, "is packed in a way"),
    ("lm_head", #"{"group_size":32,"bits":4,"mode":"mxfp4"}"#, "does not fit its weight"),
    ("lm_head", #"{"group_size":32,"bits":4,"mode":"fancy"}"#, "quantization.lm_head.mode"),
    ("lm_head", #"{"group_size":0,"bits":4}"#, "quantization.lm_head.group_size"),
    ("lm_head", "false", "is packed in a way"),
    ("group_size", "1000000", "quantization.group_size"),
  ])
  func settingsThatDoNotFitAreRefused(key: String, value: String, part: String) throws {
    let workspace = try Workspace()
    let recipe = Recipe(target: .mlx(MLXRecipe(try MLXStorage(named: "4bit"))))
    let folder = try Conversions(sample(MLXTests.source), recipe).moved(to: workspace)
    let json = try JSONValue(parsing: Array("{\"x\":\(value)}".utf8), file: "value")["x"]
    try edit(folder) { config in
      guard case .object(var section)? = config["quantization"] else { return }
      section[key] = json
      config["quantization"] = .object(section)
    }
    let fault = #expect(throws: Fault.self) {
      try Conversions(folder, Recipe(weights: .bf16))
    }
    #expect(fault?.kind == .malformed)
    #expect("\(fault.map { "\($0)" } ?? "")".contains(part), "\(fault.map { "\($0)" } ?? "")")
  }

  @Test func whatMLXDoesNotHaveIsRefused() throws {
    #expect(throws: Fault.self) { try MLXStorage(named: "7bit") }
    #expect(throws: Fault.self) { try MLXStorage(named: "4bit", groupSize: 48) }
    #expect(throws: Fault.self) { try MLXStorage(named: "mxfp4", groupSize: 64) }
    var only = Recipe(target: .mlx(MLXRecipe(nil)))
    only.mtp = .only
    #expect(throws: Fault.self) { try Conversions(sample("tiny-fp8"), only) }
  }
}
