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

/// A finite number that a type cannot hold stops a conversion, where torch makes it infinite; what is
/// stored as infinite stays so.
@Suite struct OverflowTests {
  static let name = "model.layers.1.self_attn.q_a_proj.weight"
  /// `--to`, `--quant`, a stored number, and whether it fits.
  static let cases: [(target: String, type: String, value: Float, fits: Bool)] = [
    ("hf", "f16", 65519, true), ("hf", "f16", 65520, false), ("hf", "f16", -70000, false),
    ("hf", "bf16", 3.39e38, true), ("hf", "bf16", 3.4e38, false),
    ("hf", "f16", .infinity, true), ("hf", "bf16", -.infinity, true),
    ("mlx", "f16", 65519, true), ("mlx", "f16", 70000, false),
    ("deepseek", "f16", 65519, true), ("deepseek", "f16", 70000, false),
  ]

  private func recipe(_ target: String, _ type: String) throws -> Recipe {
    switch target {
    case "mlx": return Recipe(target: .mlx(MLXRecipe(try MLXStorage(named: type))))
    case "deepseek":
      return Recipe(target: .deepSeek(shards: 1), weights: WeightStorage.named(type))
    default: return Recipe(weights: WeightStorage.named(type))
    }
  }

  @Test(arguments: cases)
  func noFiniteNumberBecomesInfinite(
    target: String, type: String, value: Float, fits: Bool
  ) throws {
    let workspace = try Workspace()
    let editor = try SampleEditor("tiny-tied", in: workspace)
    // Beside it stands what may be infinite: that alone stops nothing.
    try editor.change(Self.name) {
      $0[0][1] = Float.infinity.bytes
      $0[0][2] = Float.nan.bytes
      $0[3][5] = value.bytes
    }
    let model = try SourceModel(path: editor.path, threads: 1)
    let stored = try #require(model.checkpoint.inventory[ExactText(Self.name)])
    let width = stored.shape.dimensions[1]
    let made: ExactText =
      target == "deepseek" ? "layers.1.attn.wq_a.weight" : ExactText(Self.name)
    let convert = { try Conversions(editor.path, try recipe(target, type)) }
    guard fits else {
      let fault = #expect(throws: Fault.self) { try convert() }
      #expect(fault?.kind == .malformed)
      #expect(fault?.tensor == made)
      #expect(fault?.offset == UInt64(stored.offset + 4 * (3 * width + 5)))
      let message = "row 3, column 5 overflows as \(type.uppercased())"
      #expect(fault?.message.contains(message) == true, "\(fault?.message ?? "")")
      return
    }
    // DeepSeek's tensors are read under the names of their files too.
    let found = try convert().tensors().filter { ExactText($0.key).hasSuffix(made) }
    let bytes = try #require(found.values.first?.bytes)
    #expect(found.count == 1)
    let infinity: UInt16 = type == "f16" ? 0x7C00 : 0x7F80
    func bits(_ element: Int) -> UInt16 {
      UInt16(bytes[2 * element]) | UInt16(bytes[2 * element + 1]) << 8
    }
    #expect(bits(1) == infinity, "what is stored as infinite stays so")
    #expect(bits(2) & 0x7FFF > infinity)
    #expect(bits(3 * width + 5) & 0x7FFF == (value.isFinite ? infinity - 1 : infinity))
  }

  /// The product of a code and its scale is beyond all that F32 holds.
  @Test(arguments: ["bf16", "f16", "f32"])
  func noProductWithAScaleBecomesInfinite(type: String) throws {
    let workspace = try Workspace()
    let path = try workspace.copy(sample: "tiny-fp8")
    let name = "model.layers.1.self_attn.q_a_proj.weight"
    let inventory = try SourceModel(path: path, threads: 1).checkpoint.inventory
    let scales = try #require(inventory[ExactText(name + "_scale_inv")])
    let file = inventory.shards[scales.shard].file.path
    let handle = try #require(FileHandle(forUpdatingAtPath: file))
    try handle.seek(toOffset: UInt64(scales.offset))
    try handle.write(contentsOf: Data(Float(3e38).bytes))
    try handle.close()
    let fault = #expect(throws: Fault.self) { try Conversions(path, try recipe("hf", type)) }
    #expect(fault?.kind == .malformed && fault?.tensor == ExactText(name))
    #expect(fault?.message.contains("overflows as \(type.uppercased())") == true)
    let weight = try #require(inventory[ExactText(name)])
    let offset = try #require(fault?.offset)
    #expect((weight.offset..<weight.offset + weight.byteCount).contains(Int(offset)))
  }
}

extension Float {
  fileprivate var bytes: [UInt8] { withUnsafeBytes(of: bitPattern.littleEndian) { Array($0) } }
}
