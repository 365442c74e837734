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

/// llama-quantize's options, beside what it makes of the same sample. Origin:
/// `scripts/make gguf-fixtures`, with a matrix of random importances.
@Suite struct GGUFOptionsTests {
  struct Run: CustomTestStringConvertible, Sendable {
    let type: String
    let options: [String]
    let tensors: String
    let file: String?
    var testDescription: String { ([type] + options).joined(separator: " ") }

    /// The options as a recipe.
    func recipe() throws -> GGUFRecipe {
      var recipe = GGUFRecipe(try GGUFFileType(named: type))
      var (parts, isIncluding): ([String], Bool) = ([], false)
      for (flag, word) in zip(options, options.dropFirst()) where flag.hasPrefix("--") {
        switch flag {
        case "--imatrix": recipe.importance = try GGUFOptionsTests.matrix(word)
        case "--tensor-type": recipe.tensorTypes.append(try TensorTypeRule(parsing: word))
        case "--override-kv": recipe.overrides.append(try MetadataOverride(parsing: word))
        default:
          parts.append(word)
          isIncluding = flag == "--include-weights"
        }
      }
      if isIncluding {
        recipe.importance?.include(onlyNamesContaining: parts)
      } else {
        recipe.importance?.exclude(namesContaining: parts)
      }
      return recipe
    }
  }

  static let fixtures = Repository.root + "/Tests/ConversionTests/Fixtures/"

  static func matrix(_ name: String) throws -> ImportanceMatrix {
    try ImportanceMatrix(path: fixtures + name)
  }

  static let runs = Result {
    let text = String(decoding: try contents(fixtures + "gguf-options.json"), as: UTF8.self)
    return try JSONDocument(text).list("runs").map { row in
      Run(
        type: try #require(row.string("type")), options: row["options"] as? [String] ?? [],
        tensors: try #require(row.string("tensors")), file: row.string("file"))
    }
  }

  private func convert(
    _ model: String, _ gguf: GGUFRecipe, mtp: Recipe.MTP = .drop, shardLimit: Int? = nil,
    resources: Resources = Resources(threads: 2)
  ) throws -> Conversions {
    try Conversions(
      model,
      Recipe(target: .gguf(gguf), outputName: "out", mtp: mtp, shardLimit: shardLimit),
      resources: resources)
  }

  /// SHA-256 of all tensors' bytes in the order of the file.
  private func digest(_ conversion: Conversions) throws -> String {
    let inventory = try GGUFFiles(path: conversion.output).inventory
    var bytes: [UInt8] = []
    for tensor in inventory.tensors.sorted(by: { $0.offset < $1.offset }) {
      let buffer = try inventory.read(tensor)
      withExtendedLifetime(buffer) { bytes += buffer.bytes }
    }
    return SHA256.digits(bytes)
  }

  @Test(arguments: try runs.get())
  func tensorsAreThePeers(run: Run) throws {
    let conversion = try convert(sample("tiny-trained"), run.recipe())
    #expect(try digest(conversion) == run.tensors)
    if let file = run.file { #expect(SHA256.digits(try conversion.file()) == file) }
  }

  @Test func thereAreRunsWithEveryOption() throws {
    let runs = try Self.runs.get()
    #expect(runs.count >= 40)
    // Each with a result of its own, but for an override that changes no type.
    #expect(Set(runs.map(\.tensors)).count >= runs.count - 1)
  }

  /// Rows that are weighed are never cut, however little memory there is.
  @Test func importanceDoesNotDependOnMemory() throws {
    let recipe = GGUFRecipe(.q40, importance: try Self.matrix("matrix.gguf"))
    let expected = try convert(sample("tiny-trained"), recipe).file()
    let small = try convert(
      sample("tiny-trained"), recipe, resources: Resources(threads: 1, memory: 330_000))
    #expect(try small.file() == expected)
    let metadata = try GGUFFiles(path: small.output).metadata
    #expect(metadata["quantize.imatrix.chunks_count"] == .uint32(11))
    #expect(metadata["quantize.imatrix.dataset"] == .string("some text.txt"))
    #expect(small.plan.warnings.contains { $0.contains("no entry in the importance matrix") })
  }

  @Test(arguments: [
    GGUFFileType.iq1S, .iq1M, .iq2XXS, .iq2XS, .iq2S, .iq2M, .iq3XXS, .q2KS,
  ])
  func typesThatNeedAMatrixAreRefusedWithoutOne(type: GGUFFileType) throws {
    // The matrix of the fixtures has no entry for attn_q_a.
    for matrix in [nil, try Self.matrix("matrix.gguf")] {
      let fault = try #require(throws: Fault.self) {
        _ = try convert(sample("tiny-trained"), GGUFRecipe(type, importance: matrix))
      }
      let isThere = matrix != nil
      #expect(fault.kind == .usage && fault.tensor != nil)
      #expect(fault.message.contains("needs an importance matrix as"))
      #expect(fault.found == (isThere ? "one without an entry for it" : "none"))
      #expect(fault.advice?.contains("--imatrix") == true)
      #expect(!isThere || fault.tensor?.text.contains("attn_q_a") == true)
    }
  }

  /// llama-quantize lets the embedding pass, and ends where it cannot quantize it.
  @Test(arguments: [ElementType.iq1S, .iq2XXS, .iq2XS, .iq2S, .iq3XXS, .iq1M])
  func anEmbeddingThatNeedsAMatrixIsRefusedWithoutOne(type: ElementType) throws {
    let recipe = GGUFRecipe(.q80, embeddingType: type)
    if [.iq1S, .iq2XXS, .iq2XS].contains(type) {
      let fault = try #require(throws: Fault.self) {
        _ = try convert(sample("tiny-trained"), recipe)
      }
      #expect(fault.kind == .usage && fault.tensor == "token_embd.weight")
    } else {
      let conversion = try convert(sample("tiny-trained"), recipe)
      let files = try withExtendedLifetime(conversion) { try GGUFFiles(path: conversion.output) }
      #expect(files.inventory["token_embd.weight"]?.type == type)
    }
  }

  @Test func aRecipeFileMayAskForTypesThatNeedAMatrix() throws {
    let rule = try TensorTypeRule(.glob("*ffn_down_exps*"), .iq2XXS)
    let recipe = GGUFRecipe(.q80, base: .q80, tensorTypes: [rule])
    let fault = try #require(throws: Fault.self) {
      _ = try convert(sample("tiny-trained"), recipe)
    }
    #expect(fault.kind == .usage && fault.tensor?.text.contains("ffn_down_exps") == true)
    var weighed = recipe
    weighed.importance = try Self.matrix("matrix.gguf")
    let conversion = try convert(sample("tiny-trained"), weighed)
    let files = try withExtendedLifetime(conversion) { try GGUFFiles(path: conversion.output) }
    let types = files.inventory.tensors.filter { $0.name.contains("ffn_down_exps") }.map(\.type)
    #expect(!types.isEmpty && Set(types) == [.iq2XXS])
  }

  @Test func aMatrixOfAnotherModelIsRefused() throws {
    let recipe = GGUFRecipe(.q40, importance: try Self.matrix("matrix.gguf"))
    let fault = try #require(throws: Fault.self) {
      _ = try convert(sample("tiny-no-qlora"), recipe)
    }
    #expect(fault.kind == .malformed && fault.tensor != nil && fault.offset != nil)
  }

  /// llama-quantize refuses them too, in copies as in what it quantizes.
  @Test(arguments: ["f32", "q8_0", "q4_0"], [Float.infinity, .nan])
  func whatIsNotFiniteIsRefused(type: String, value: Float) throws {
    let source = try convert(sample("tiny-tied"), GGUFRecipe(.f32))
    let files = try GGUFFiles(path: source.output)
    for name in ["blk.0.ffn_gate.weight", "output_norm.weight"] {
      let tensor = try #require(files.inventory[ExactText(name)])
      var bytes = try source.file()
      let place = tensor.offset + 4 * 9
      for byte in 0..<4 {
        bytes[place + byte] = UInt8(truncatingIfNeeded: value.bitPattern >> (8 * byte))
      }
      let path = try source.workspace.write("broken-\(name)-\(type).gguf", bytes)
      let fault = try #require(throws: Fault.self) {
        _ = try convert(path, GGUFRecipe(try GGUFFileType(named: type)), mtp: .keep)
      }
      #expect(fault.kind == .malformed && fault.tensor?.text == name && fault.file == path)
    }
  }

  @Test func splitsAreKept() throws {
    let parts = try convert(
      sample("tiny-fp8"), GGUFRecipe(.f32), mtp: .keep, shardLimit: 700_000)
    let names = try parts.workspace.names()
    #expect(names.count > 2)
    let first = parts.workspace.path(names[0])
    let kept = try convert(first, GGUFRecipe(.q40, keepsSplit: true), mtp: .keep)
    #expect(try kept.workspace.names() == names)
    let (before, after) = (
      try GGUFFiles(path: first).inventory,
      try GGUFFiles(path: kept.workspace.path(names[0])).inventory
    )
    #expect(before.tensors.count == after.tensors.count)
    for tensor in after.tensors { #expect(before[tensor.name]?.shard == tensor.shard) }
    // Without a type the splits become one file, in which nothing has changed.
    let joined = try convert(first, GGUFRecipe(nil), mtp: .keep)
    let whole = try convert(sample("tiny-fp8"), GGUFRecipe(.f32), mtp: .keep)
    #expect(try joined.file() == whole.file())
    #expect(throws: Fault.self) { try convert(sample("tiny-fp8"), GGUFRecipe(nil)) }
    #expect(throws: Fault.self) {
      try convert(sample("tiny-fp8"), GGUFRecipe(.q40, keepsSplit: true))
    }
  }
}
