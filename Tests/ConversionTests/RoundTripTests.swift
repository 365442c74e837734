import Conversion
import Dialects
import Formats
import Models
import Platform
import Support
import Tensors
import Testing
import Weights

/// FP8 → BF16 → FP8: what comes back.
@Suite struct RoundTripTests {
  /// A block of one FP8 weight, before and after.
  private struct Block {
    /// The largest code without its sign: 0x7E is 448, 0x76 is 224.
    let largest: UInt8
    let hasEqualCodes: Bool
    let hasEqualScale: Bool
  }

  private func roundTrip(_ name: String, _ recipe: Recipe) throws -> [Block] {
    let size = try #require(try SourceModel(path: sample(name), threads: 1).config.fp8?.blocks)
    let plain = try Conversions(sample(name), Recipe(weights: .bf16))
    let back = try Conversions(plain.output, recipe)
    let before = try tensors(of: sample(name))
    let after = try tensors(of: back.output)
    var blocks: [Block] = []
    for (name, (tensor, codes)) in before where tensor.type == .f8E4M3 {
      let new = try #require(after[name]?.bytes)
      let scaleName = ExpectedTensor.scaleName(for: ExactText(name)).text
      let scales = try #require(before[scaleName]?.bytes)
      let newScales = try #require(after[scaleName]?.bytes)
      let (rows, columns) = (tensor.shape.dimensions[0], tensor.shape.dimensions[1])
      var grid = 0
      for top in stride(from: 0, to: rows, by: size.rows) {
        for left in stride(from: 0, to: columns, by: size.columns) {
          let right = min(columns, left + size.columns)
          let runs = (top..<min(rows, top + size.rows)).map {
            $0 * columns + left..<$0 * columns + right
          }
          blocks.append(
            Block(
              largest: runs.map { codes[$0].map { $0 & 0x7F }.max() ?? 0 }.max() ?? 0,
              hasEqualCodes: runs.allSatisfy { codes[$0] == new[$0] },
              hasEqualScale: scales[4 * grid..<4 * grid + 4] == newScales[4 * grid..<4 * grid + 4]))
          grid += 1
        }
      }
    }
    return blocks
  }

  /// With F32 scales BF16 rounds each product by up to 2⁻⁹, the largest one too, from which the new
  /// scale follows: it differs by as much. Codes come back all the same where the block used ±448,
  /// as blocks that were quantized this way do: neighbouring codes are 1/16 apart or more, far
  /// beyond both roundings. A block that used smaller codes alone gets larger ones.
  @Test(arguments: ["tiny-fp8", "tiny-fp8-block32", "tiny-mtp2"])
  func codesComeBackWhereTheLargestIsUsed(name: String) throws {
    let size = try #require(try SourceModel(path: sample(name), threads: 1).config.fp8?.blocks)
    let blocks = try roundTrip(
      name,
      Recipe(
        weights: .fp8, blockSize: BlockSize(rows: size.rows, columns: size.columns)))
    let full = blocks.filter { $0.largest == 0x7E }
    #expect(full.count == blocks.count && blocks.count > 200)
    #expect(full.allSatisfy { $0.hasEqualCodes })
    #expect(blocks.contains { !$0.hasEqualScale })
  }

  /// BF16 holds the product of a code and a power of two exactly, so the values come back. Codes and
  /// scale do where the block used a code above 224. Where 224 is the largest (rounded down from at
  /// most 232), half the scale serves as well: the codes are those of twice the value.
  @Test func powersOfTwoLoseNothing() throws {
    let recipe = Recipe(weights: .fp8, scaleFormat: .ue8m0)
    let blocks = try roundTrip("tiny-ue8m0", recipe)
    let upper = blocks.filter { $0.largest > 0x76 }
    #expect(upper.count > 50 && upper.count < blocks.count)
    #expect(upper.allSatisfy { $0.hasEqualCodes && $0.hasEqualScale })
    let plain = try Conversions(sample("tiny-ue8m0"), Recipe(weights: .bf16))
    let back = try Conversions(plain.output, recipe)
    let again = try Conversions(back.output, Recipe(weights: .bf16))
    #expect(try differences(tensors(of: again.output), tensors(of: plain.output)).isEmpty)
  }
}
