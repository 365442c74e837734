import Conversion
import Models
import Platform
import Support
import Tensors
import Testing

/// Keys about an extended context beside those of llama.cpp's converter
/// (`scripts/make gguf-fixtures`).
@Suite struct YaRNKeyTests {
  static let cases: [String] = {
    let fixture = try? GGUFConversionTests.fixture("gguf-yarn")
    return GGUFConversionTests.keys(fixture?["cases"])
  }()

  private func config(_ name: String) throws -> (config: ModelConfig, answers: JSONValue) {
    let fixture = try GGUFConversionTests.fixture("gguf-yarn")
    let entry = try #require(fixture["cases"]?[name])
    guard case .string(let model)? = fixture["sample"] else { throw TestFault.noFixture }
    let path = sample(model) + "/config.json"
    guard case .object(var object) = try JSONValue(parsing: contents(path), file: path) else {
      throw TestFault.noFixture
    }
    object["rope_scaling"] = entry["rope_scaling"]
    let config = try ModelConfig(json: .object(object), file: name)
    return (config, try #require(entry["metadata"]))
  }

  private func metadata(_ config: ModelConfig) -> Metadata {
    let (before, after) = config.deepSeek2Metadata
    var metadata = before
    metadata.merge(after)
    return metadata
  }

  private enum TestFault: Error { case noFixture }

  @Test func thereAreCases() { #expect(YaRNKeyTests.cases.count == 5) }

  @Test(arguments: cases) func keysAreTheConverters(name: String) throws {
    let (config, answers) = try config(name)
    let metadata = metadata(config)
    let found = metadata.keys.filter { $0.hasPrefix("deepseek2.rope.scaling.") }
    #expect(Set(found) == Set(GGUFConversionTests.keys(answers)))
    for key in found {
      let value = try #require(metadata[key])
      switch answers[key] {
      case .integer(let number)?: #expect(value.number == Double(number), "\(key)")
      case .number(let number, _)?: #expect(value.number == number, "\(key)")
      case .string(let text)?: #expect(value.text == text, "\(key)")
      default: Issue.record("\(key) has no number and no text")
      }
    }
  }

  /// What llama.cpp's one multiplier says of both, read back.
  @Test(arguments: cases) func theyAreReadAsLlamaCppDoes(name: String) throws {
    let (config, _) = try config(name)
    var metadata = metadata(config)
    metadata["general.architecture"] = .string("deepseek2")
    let read = try DeepSeek2Config(metadata, names: [], file: name)
    let yarn = try #require(try ModelConfig(json: read.json, file: name).yarn)
    let expected = try #require(config.yarn)
    // Without the key llama.cpp scales sines and cosines as YaRN does, and the softmax as well.
    #expect(yarn.mscaleAllDimensions == expected.mscaleAllDimensions ?? 1)
    #expect(yarn.mscale == expected.mscaleAllDimensions)
    #expect(yarn.attentionFactor == nil)
    #expect(
      (yarn.factor, yarn.betaFast, yarn.betaSlow) as (Double, Double, Double)
        == (expected.factor, expected.betaFast, expected.betaSlow))
    #expect(yarn.originalContextLength == expected.originalContextLength)
  }

  /// YaRN that changes frequencies alone, as Mistral-Large-3 has it: for 0, and without the key,
  /// llama.cpp would scale sines, cosines and the softmax.
  @Test func frequenciesAloneAreChanged() throws {
    let base = try config(#require(YaRNKeyTests.cases.first)).config
    let usual = try #require(base.yarn)
    for multiplier in [0, nil] as [Double?] {
      var config = base
      config.yarn = ModelConfig.YaRN(
        factor: 36, originalContextLength: 8192, betaFast: 32, betaSlow: 1, mscale: multiplier,
        mscaleAllDimensions: multiplier, attentionFactor: 1, truncate: true)
      let key = "deepseek2.rope.scaling.yarn_log_multiplier"
      var metadata = metadata(config)
      #expect(metadata[key]?.number.map { $0 > 0 && $0 < 1e-9 } == true)
      metadata["general.architecture"] = .string("deepseek2")
      let json = try DeepSeek2Config(metadata, names: [], file: "x").json
      let yarn = try #require(try ModelConfig(json: json, file: "x").yarn)
      #expect(yarn.tableFactor == 1 && yarn.mscaleAllDimensions == 0)
      config.yarn = usual
      #expect(self.metadata(config)[key] != metadata[key])
    }
  }
}
