import Conversion
import Dialects
import Formats
import Platform
import Support
import Tensors
import Testing
import Tiles

/// Scales and offsets that are kept from the tiles of their codes.
@Suite struct KeptPartsTests {
  static let recipes: [(name: String, recipe: @Sendable () throws -> Recipe)] = [
    ("MLX affine", { try mlx("4bit", group: 32) }),
    ("MLX MXFP4", { try mlx("mxfp4", group: nil) }),
    ("compressed-tensors INT4 with zero points", { try compressed("int4-g32-asymmetric") }),
    ("compressed-tensors NVFP4", { try compressed("nvfp4") }),
  ]

  private static func mlx(_ kind: String, group: Int?) throws -> Recipe {
    Recipe(target: .mlx(MLXRecipe(try MLXStorage(named: kind, groupSize: group))))
  }

  private static func compressed(_ scheme: String) throws -> Recipe {
    let known: CompressedRecipe = try #require(CompressedRecipe(named: scheme))
    return Recipe(target: .compressed(.compressedTensors(known)))
  }

  /// What each tensor takes from the source in one reading.
  private func onceRead(_ plan: Plan) -> Int {
    plan.tensors.reduce(0) { sum, tensor in
      switch tensor.operation {
      case .quantize(_, .scales), .quantize(_, .offsets), .constant: sum
      default: sum + tensor.sources.reduce(0) { $0 + $1.byteCount }
      }
    }
  }

  @Test(arguments: recipes.indices)
  func bytesAreTheSameWhereNothingOrLittleIsKept(row: Int) throws {
    let (name, recipe) = KeptPartsTests.recipes[row]
    let all = try Conversions(sample("tiny-trained"), recipe(), resources: Resources(threads: 1))
    let expected = try all.files()
    // The least memory that the plan takes, as its fault says, leaves nothing for parts that wait.
    let source = try SourceModel(path: sample("tiny-trained"), threads: 1)
    let fault = #expect(throws: Fault.self) {
      try Plan(source, recipe: recipe(), resources: Resources(threads: 1, memory: 1))
    }
    let least = try #require(fault?.expected?.split(separator: " ").last.flatMap { Int($0) })
    var read = Int.max
    for spare in [0, 3000, 1 << 24] {
      let some = try Conversions(
        sample("tiny-trained"), recipe(),
        resources: Resources(threads: 1, memory: least + spare))
      #expect((some.plan.buffers.keptBytes > 0) == (spare > 0))
      #expect(try differences(some.files(), expected).isEmpty, "\(name), \(spare) bytes")
      // What is not kept has to be read again.
      #expect(some.result.bytesRead <= read, "\(name), \(spare) bytes")
      read = some.result.bytesRead
      if spare == 0 { #expect(read > all.result.bytesRead) }
    }
    #expect(read == all.result.bytesRead)
  }

  /// With room for all parts each weight is read once.
  @Test func weightsAreReadOnce() throws {
    var recipe = try KeptPartsTests.compressed("int8-channel")
    // What is small is read once more to be hashed.
    recipe.writesManifest = false
    let model = try Conversions(sample("tiny-bf16"), recipe, resources: Resources(threads: 1))
    let side = model.plan.files.filter { $0.kind == .side }
    #expect(
      model.result.bytesRead
        == onceRead(model.plan) + side.reduce(0) { $0 + $1.byteCount })
    #expect(model.plan.buffers.keptBytes > 0)
  }
}
