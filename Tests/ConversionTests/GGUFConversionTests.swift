import Conversion
import Dialects
import Formats
import Foundation
import Mixes
import Models
import Naming
import Platform
import Support
import Tensors
import Testing
import Weights

/// `--to gguf` beside llama.cpp's converter and quantizer, whose answers are fixtures of
/// `scripts/make gguf-fixtures`, and back.
@Suite struct GGUFConversionTests {
  static func fixture(_ name: String) throws -> JSONValue {
    let path = Repository.root + "/Tests/ConversionTests/Fixtures/\(name).json"
    return try JSONValue(parsing: contents(path), file: path)
  }

  static func keys(_ value: JSONValue?) -> [String] {
    if case .object(let object)? = value { object.keys } else { [] }
  }

  static let fileSamples = (try? keys(fixture("gguf-files"))) ?? []
  static let models = (try? keys(fixture("gguf-types"))) ?? []

  static func recipe(
    _ type: String, mtp: Recipe.MTP = .keep, shardLimit: Int? = nil, requantize: Bool = false
  ) throws -> Recipe {
    let fileType = try GGUFFileType(named: type)
    return Recipe(
      target: .gguf(GGUFRecipe(fileType, allowsRequantizing: requantize)), outputName: "out",
      mtp: mtp, shardLimit: shardLimit)
  }

  @Test func thereAreFixtures() {
    #expect(GGUFConversionTests.fileSamples.count >= 7 && GGUFConversionTests.models.count >= 5)
  }

  /// The whole file, metadata and tokenizer included, as the two peers make it.
  @Test(arguments: fileSamples)
  func filesAreThePeers(name: String) throws {
    let expected = try Self.fixture("gguf-files")[name]
    for type in Self.keys(expected) {
      let conversion = try Conversions(sample(name), try Self.recipe(type, mtp: .drop))
      #expect(
        .string(SHA256.digits(try conversion.file())) == expected?[type], "\(type)")
    }
  }

  /// Each tensor's type as llama-quantize chooses it.
  @Test(arguments: models)
  func typesAreThePeers(name: String) throws {
    let model = try #require(try Self.fixture("gguf-types")[name])
    let config = try ModelConfig(json: try #require(model["config"]), file: name)
    for type in Self.keys(model["types"]) {
      guard case .string(let runs)? = model["types"]?[type] else { continue }
      let expected = runs.split(separator: " ").flatMap { run -> [Substring] in
        let parts = run.split(separator: "*")
        return Array(repeating: parts[0], count: parts.count > 1 ? Int(parts[1]) ?? 0 : 1)
      }
      let tensors = config.deepSeek2Tensors()
      #expect(tensors.count == expected.count)
      let mix = try TypeMix(
        GGUFRecipe(try GGUFFileType(named: type)),
        tensors: tensors.map {
          TypeMix.Tensor(name: $0.name, extents: $0.shape.dimensions.reversed(), type: .f32)
        },
        model: TypeMix.Model(
          blockCount: config.storedLayers, expertCount: config.routedExperts,
          headCount: config.heads))
      for ((tensor, choice), expected) in zip(zip(tensors, mix.choices), expected) {
        #expect(choice.tensor.name == tensor.name)
        #expect(choice.type.rawValue == expected, "\(type) \(tensor.name): \(choice.reason)")
        #expect(
          (tensor.fixedTypeInGGUF(of: config) != nil) == choice.reason.contains("never"))
      }
    }
  }

  @Test func bytesDoNotDependOnThreadsOrMemory() throws {
    let recipe = try Self.recipe("q8_0")
    let expected = try Conversions(sample("tiny-fp8"), recipe).file()
    for resources in [
      Resources(threads: 1, memory: 400_000), Resources(threads: 3, memory: 1_000_000),
    ] {
      let other = try Conversions(sample("tiny-fp8"), recipe, resources: resources)
      #expect(try other.file() == expected)
    }
  }

  @Test func splitsHoldTheSame() throws {
    let whole = try Conversions(sample("tiny-fp8"), try Self.recipe("bf16"))
    let parts = try Conversions(sample("tiny-fp8"), try Self.recipe("bf16", shardLimit: 500_000))
    let names = try parts.workspace.names()
    #expect(names.count > 2 && names == parts.plan.files.map(\.name.text))
    // One of them is the manifest.
    #expect(names[0] == String(format: "out-00001-of-%05d.gguf", names.count - 1))
    let one = try GGUFFiles(path: whole.output)
    let set = try GGUFFiles(path: parts.workspace.path(names[1]))
    #expect(set.metadata == one.metadata)
    #expect(try bytes(of: set.inventory) == bytes(of: one.inventory))
    for name in names {
      #expect(throws: Fault.self) {
        try WorkFolder(
          for: OutputPath(parts.output, overwrite: false), form: .files([ExactText(name)])
        )
        .requireFree()
      }
    }
  }

  /// A GGUF file in a type that loses nothing gives the checkpoint back, MTP layers included.
  @Test(arguments: Repository.deepSeekV3Samples)
  func backToHuggingFace(name: String) throws {
    let type = name == "tiny-bf16" || name == "tiny-no-qlora" ? "bf16" : "f32"
    let storage = try #require(WeightStorage.named(type))
    let direct = try Conversions(sample(name), Recipe(weights: storage))
    let gguf = try Conversions(sample(name), try Self.recipe(type))
    let back = try Conversions(gguf.output, Recipe(weights: storage))
    let (expected, found) = try (direct.tensors(), back.tensors())
    #expect(Set(expected.keys) == Set(found.keys))
    for (name, tensor) in expected {
      #expect(found[name]?.bytes == tensor.bytes, "\(name)")
      #expect(found[name]?.tensor.shape == tensor.tensor.shape)
    }
    let source = try SourceModel(path: direct.output, threads: 1).config
    let config = try SourceModel(path: back.output, threads: 1).config
    // YaRN's two multipliers are one key there, and the samples have them alike.
    #expect(config == source)
  }

  @Test func aQuantizedFileIsNotQuantizedAgainUnasked() throws {
    let eight = try Conversions(sample("tiny-tied"), try Self.recipe("q8_0"))
    #expect(throws: Fault.self) { try Conversions(eight.output, try Self.recipe("q4_0")) }
    let again = try Conversions(eight.output, try Self.recipe("q4_0", requantize: true))
    let types = Set(again.plan.tensors.map(\.entry.type))
    #expect(types.contains(.q40))
    // From numbers, a detour over a file gives the same as one step.
    let plain = try Conversions(sample("tiny-tied"), try Self.recipe("f32"))
    let detour = try Conversions(plain.output, try Self.recipe("q8_0"))
    #expect(try detour.file() == eight.file())
  }

  @Test func whatCannotBeIsRefused() throws {
    #expect(throws: Fault.self) {
      try Conversions(sample("tiny-fp8"), try Self.recipe("f16", mtp: .only))
    }
    let gguf = try Conversions(sample("tiny-tied"), try Self.recipe("q8_0"))
    #expect(throws: Fault.self) { try Conversions(gguf.output, Recipe()) }
  }

  /// Quantizing starts from values, whatever they are put together from.
  @Test func aFileOfNumbersBecomesTheFP8ThatItsSourceBecomes() throws {
    let plain = try Conversions(sample("tiny-bf16"), try Self.recipe("f32"))
    let direct = try Conversions(sample("tiny-bf16"), Recipe(weights: .fp8)).tensors()
    let detour = try Conversions(plain.output, Recipe(weights: .fp8)).tensors()
    #expect(Set(detour.keys) == Set(direct.keys))
    let codes = direct.filter { $0.value.tensor.type == .f8E4M3 }
    #expect(codes.keys.contains { $0.hasSuffix("kv_b_proj.weight") })
    for name in codes.keys.flatMap({ [$0, ExpectedTensor.scaleName(for: ExactText($0)).text] }) {
      #expect(detour[name]?.bytes == direct[name]?.bytes, "\(name)")
    }
  }

  private func bytes(of inventory: Inventory) throws -> [String: [UInt8]] {
    var bytes: [String: [UInt8]] = [:]
    for tensor in inventory.tensors {
      let buffer = try inventory.read(tensor)
      bytes[tensor.name.text] = withExtendedLifetime(buffer) { Array(buffer.bytes) }
    }
    return bytes
  }
}
