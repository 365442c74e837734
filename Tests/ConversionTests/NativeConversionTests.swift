import Conversion
import Dialects
import Formats
import Mixes
import Models
import Platform
import Support
import Tensors
import Testing
import Weights

/// DeepSeek's model-parallel shards, out and in. Origin of the hashes: the steps of its `convert.py`
/// done with torch, by `scripts/make native-fixtures`; no tolerance, whole files are equal.
@Suite struct NativeConversionTests {
  /// Samples whose weights DeepSeek's shards can hold as they are.
  static let samples = Repository.deepSeekV3Samples.filter {
    !["tiny-int4", "tiny-mixed"].contains($0)
  }
  /// The same with numbers of shards that they divide into.
  static let cases: [(sample: String, shards: Int)] = samples.flatMap { sample in
    let shards =
      switch sample {
      case "tiny-eighths": [1, 2, 4, 8]
      case "tiny-bf16", "tiny-tied": [1, 2, 4]
      default: [1]
      }
    return shards.map { (sample, $0) }
  }

  private func answers(_ sample: String, _ part: String) throws -> [String: String] {
    let path = "\(Repository.root)/Tests/ConversionTests/Fixtures/native.json"
    let fixture = try JSONDocument(String(decoding: try contents(path), as: UTF8.self))
    let all = try #require(fixture.root as? [String: [String: [String: String]]])
    return try #require(all[sample]?[part])
  }

  private func conversion(
    _ sample: String, _ shards: Int, mtp: Recipe.MTP = .keep, weights: WeightStorage? = nil
  ) throws -> Conversions {
    try Conversions(
      ConversionTests.sample(sample),
      Recipe(target: .deepSeek(shards: shards), weights: weights, mtp: mtp))
  }

  @Test(arguments: cases)
  func filesAreThoseOfDeepSeeksScript(sample: String, shards: Int) throws {
    let expected = try answers(sample, "files").filter { $0.key.contains("-mp\(shards).") }
    #expect(expected.count == shards)
    for mtp in [Recipe.MTP.drop, .keep] {
      let files = try conversion(sample, shards, mtp: mtp).files()
      for (name, hash) in expected {
        #expect(files[name].map { SHA256.digits($0) } == hash, "\(name) with --mtp \(mtp)")
      }
      let others = files.keys.filter { $0.hasSuffix(".safetensors") && expected[$0] == nil }
      let hasMTP = try !answers(sample, "mtp").isEmpty && mtp == .keep
      #expect(
        others.sorted()
          == (hasMTP ? (0..<shards).map { "mtp\($0)-mp\(shards).safetensors" } : []))
      #expect(files["tokenizer.json"] != nil && files["config.json"] != nil)
    }
  }

  @Test(arguments: samples)
  func mtpTensorsHaveTheNamesOfTheirRule(sample: String) throws {
    let expected = try answers(sample, "mtp")
    let conversion = try conversion(sample, 1)
    guard !expected.isEmpty else { return }
    let file = try InputFile(path: conversion.output + "/mtp0-mp1.safetensors")
    guard case .header(let header) = try SafetensorsHeader.read(file, shard: 0) else {
      Issue.record("no header")
      return
    }
    #expect(Set(header.tensors.map(\.name.text)) == Set(expected.keys))
    for tensor in header.tensors {
      let bytes = try file.read(at: tensor.offset, count: tensor.byteCount)
      #expect(SHA256.digits(bytes) == expected[tensor.name.text], "\(tensor.name)")
    }
  }

  @Test(arguments: cases)
  func theSourceComesBack(sample: String, shards: Int) throws {
    let native = try conversion(sample, shards)
    let back = try Conversions(native.output, Recipe())
    #expect(
      try differences(tensors(of: back.output), tensors(of: ConversionTests.sample(sample))).isEmpty
    )
    let found = try SourceModel(path: back.output, threads: 2).config
    var expected = try SourceModel(path: ConversionTests.sample(sample), threads: 2).config
    // What DeepSeek's config cannot say is what its network has, and is said to be lost.
    let losses = [expected.rmsNormEpsilon != 1e-6, !expected.normalizeExpertWeights]
    #expect(native.plan.lost.count == losses.count { $0 }, "\(native.plan.lost)")
    expected.rmsNormEpsilon = 1e-6
    expected.normalizeExpertWeights = true
    #expect(found == expected)
  }

  /// From shards to other shards: as many give the same files, more or fewer those of the source.
  @Test(arguments: [(2, 8), (8, 2), (4, 4), (1, 4)])
  func shardsBecomeOtherShards(from: Int, to: Int) throws {
    let native = try conversion("tiny-eighths", from)
    let other = try Conversions(native.output, Recipe(target: .deepSeek(shards: to)))
    let direct = try conversion("tiny-eighths", to)
    #expect(try differences(other.files(), direct.files()).isEmpty)
    if from == to { #expect(other.plan.tensors.allSatisfy { $0.operation == .copy }) }
  }

  /// Types are decided as for Hugging Face checkpoints, and then dealt out.
  @Test(arguments: [
    ("tiny-eighths", "bf16"), ("tiny-eighths", "f32"), ("tiny-bf16", "fp8"), ("tiny-int4", "bf16"),
    ("tiny-mixed", "f32"),
  ])
  func otherTypesAreDealtOut(name: String, quant: String) throws {
    let weights = try #require(WeightStorage.named(quant))
    var recipe = Recipe(weights: weights)
    recipe.blockSize = quant == "fp8" ? BlockSize(rows: 2, columns: 4) : nil
    let plain = try Conversions(sample(name), recipe)
    recipe.target = .deepSeek(shards: 2)
    let native = try Conversions(sample(name), recipe)
    let back = try Conversions(native.output, Recipe())
    #expect(try differences(tensors(of: back.output), tensors(of: plain.output)).isEmpty)
  }

  /// Blocks of 32 that lie in two shards are decoded once for each.
  @Test func columnsAreCutOutOfBlocks() throws {
    let gguf = try Conversions(
      sample("tiny-eighths"),
      Recipe(target: .gguf(GGUFRecipe(try GGUFFileType(named: "q8_0"))), outputName: "out"))
    let f32 = Recipe(weights: WeightStorage.named("f32"))
    let plain = try Conversions(gguf.output, f32)
    let native = try Conversions(
      gguf.output, Recipe(target: .deepSeek(shards: 8), weights: f32.weights))
    #expect(native.plan.tensors.contains { $0.entry.shape.dimensions.last == 16 })
    let back = try Conversions(native.output, Recipe())
    #expect(try differences(tensors(of: back.output), tensors(of: plain.output)).isEmpty)
  }

  @Test(arguments: [1, 3])
  func bytesDependOnNeitherThreadsNorMemory(threads: Int) throws {
    let expected = try conversion("tiny-eighths", 4).files()
    let found = try Conversions(
      sample("tiny-eighths"), Recipe(target: .deepSeek(shards: 4)),
      resources: Resources(threads: threads, memory: 1_000_000)
    ).files()
    #expect(differences(found, expected).isEmpty)
  }

  @Test(arguments: [("tiny-eighths", 16), ("tiny-bf16", 8), ("tiny-fp8", 2), ("tiny-no-qlora", 2)])
  func whatWouldBeCutIsRefused(sample: String, shards: Int) throws {
    do {
      _ = try conversion(sample, shards)
      Issue.record("\(shards) shards were written")
    } catch let fault as Fault {
      #expect(fault.kind == .usage && fault.tensor != nil)
      #expect(fault.expected?.contains("--mp ") == true)
    }
  }
}
