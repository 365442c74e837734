import Conversion
import Dialects
import Formats
import Models
import Platform
import Support
import Tensors
import Testing
import Weights

/// Checkpoints in compressed-tensors' formats: what the library makes of the same weights, and codes
/// that are moved. The library itself is asked by `scripts/interop`.
@Suite struct CompressedTests {
  private static let schemes = [
    "fp8-channel", "int4-g32", "int4-g128-asymmetric", "int4-channel-asymmetric", "int8-channel",
    "int8-g64-asymmetric", "nvfp4", "mxfp4",
  ]

  private func recipe(_ name: String?, mtp: Recipe.MTP = .keep) throws -> Recipe {
    let compressed = try name.map { try #require(CompressedRecipe(named: $0)) }
    return Recipe(target: .compressed(.compressedTensors(compressed)), mtp: mtp)
  }

  /// Origin: `scripts/make conversion-fixtures`. FP8 weights are rounded to BF16 on the way, as
  /// by torch before the library has them.
  @Test(arguments: schemes)
  func everyTensorHasTheLibrarysBytes(scheme: String) throws {
    let path = "\(Repository.root)/Tests/ConversionTests/Fixtures/tiny-trained.json"
    let fixture = try JSONDocument(String(decoding: try contents(path), as: UTF8.self))
    let all = try #require(fixture.root as? [String: [String: String]])
    let expected = all.compactMapValues { $0["compressed \(scheme)"] }
    #expect(expected.count > 60)
    let found = try Conversions(sample("tiny-trained"), recipe(scheme)).tensors()
    #expect(Set(found.keys) == Set(expected.keys))
    for (tensor, hash) in expected {
      #expect(SHA256.digits(found[tensor]?.bytes ?? []) == hash, "\(tensor) as \(scheme)")
    }
  }

  @Test(arguments: schemes)
  func bytesDependOnNeitherThreadsNorMemory(scheme: String) throws {
    let recipe = try recipe(scheme)
    let expected = try Conversions(
      sample("tiny-trained"), recipe, resources: Resources(threads: 1)
    ).files()
    let files = try Conversions(
      sample("tiny-trained"), recipe, resources: Resources(threads: 3, memory: 3_000_000)
    ).files()
    #expect(differences(files, expected).isEmpty)
  }

  @Test(arguments: ["tiny-int4", "tiny-mixed"])
  func withoutATypeNothingChanges(name: String) throws {
    let kept = try Conversions(sample(name), recipe(nil))
    #expect(try differences(kept.tensors(), tensors(of: sample(name))).isEmpty)
    #expect(kept.plan.tensors.allSatisfy { $0.treatment == .copied })
    let path = sample(name) + "/config.json"
    #expect(try kept.config() == JSONValue(parsing: contents(path), file: path))
  }

  /// FP8 blocks keep codes and scales under other names, and come back as they were.
  @Test(arguments: ["tiny-fp8", "tiny-fp8-block32", "tiny-mtp2", "tiny-ue8m0"])
  func blocksAreMoved(name: String) throws {
    let moved = try Conversions(sample(name), recipe(nil))
    #expect(moved.plan.tensors.allSatisfy { $0.treatment == .copied })
    let before = try tensors(of: sample(name))
    let after = try moved.tensors()
    #expect(before.count == after.count)
    for (tensor, stored) in before {
      let other = tensor.replacing("weight_scale_inv", with: "weight_scale")
      #expect(after[other]?.bytes == stored.bytes, "\(tensor)")
    }
    let format: Recipe.ScaleFormat? = name == "tiny-ue8m0" ? .ue8m0 : nil
    let back = try Conversions(moved.output, Recipe(weights: .fp8, scaleFormat: format))
    #expect(try differences(back.tensors(), before).isEmpty)
    let path = sample(name) + "/config.json"
    #expect(try back.config() == JSONValue(parsing: contents(path), file: path))
  }

  /// Powers of two become F32, which the library reads.
  @Test func byteScalesAreCarried() throws {
    let moved = try Conversions(sample("tiny-e8m0"), recipe("fp8-block"))
    let scales = moved.plan.tensors.filter { $0.entry.name.hasSuffix("weight_scale") }
    #expect(!scales.isEmpty && scales.allSatisfy { $0.treatment == .carried })
    let f32 = Recipe(weights: .named("f32"))
    let expected = try Conversions(sample("tiny-e8m0"), f32).tensors()
    #expect(try differences(Conversions(moved.output, f32).tensors(), expected).isEmpty)
  }

  /// What another scheme is asked for is decoded, and the report says so.
  @Test func otherCodesAreQuantizedAnew() throws {
    let plan = try Conversions(sample("tiny-int4"), recipe("int4-g32")).plan
    let words = Dictionary(grouping: plan.tensors, by: \.treatment).mapValues(\.count)
    // Experts keep their codes, attention and dense layers get some, and shapes are stated.
    #expect(words[.copied, default: 0] > 72 && words[.quantized] == 18)
    #expect(words[.requantized] == nil)
    let other = try Conversions(sample("tiny-int4"), recipe("fp8-block-experts"))
    let experts = other.plan.tensors.filter { $0.entry.name.contains(".experts.") }
    #expect(!experts.isEmpty && experts.allSatisfy { $0.treatment == .requantized })
    #expect(other.plan.warnings.contains { $0.contains("grows") }, "\(other.plan.warnings)")
  }

  /// Groups of 128 do not divide most rows of this sample: their modules are on the ignore list, the
  /// experts' all together, and the output is what its config says.
  @Test func modulesWithoutWholeGroupsStay() throws {
    let output = try Conversions(sample("tiny-mixed"), recipe("int4-g64", mtp: .drop))
    let model = try SourceModel(path: output.output, threads: 1)
    let compressed = try #require(model.config.compressed)
    let ignored = compressed.ignored.map(\.text)
    #expect(ignored.contains(#"re:.*layers\.\d+\.mlp\.down_proj$"#), "\(ignored)")
    #expect(!ignored.contains(#"re:.*mlp\.experts\.\d+\..*"#))
    let narrow = try Conversions(sample("tiny-int4"), recipe("int4-g64"))
    let list = try SourceModel(path: narrow.output, threads: 1).config.compressed?.ignored
    #expect(list?.map(\.text).contains(#"re:.*mlp\.experts\.\d+\..*"#) == true)
  }

  @Test func whatHasNoCodesNeedsAType() throws {
    let source = try SourceModel(path: sample("tiny-bf16"), threads: 1)
    let fault = #expect(throws: Fault.self) { try Plan(source, recipe: recipe(nil)) }
    #expect(fault?.kind == .usage)
    #expect(CompressedRecipe(named: "int3-g32") == nil)
    #expect(CompressedRecipe(named: "INT4-G32-Experts")?.isForExperts == true)
  }
}
