import Foundation
import Support
import Testing

/// What commands say of themselves, and to who mistypes.
@Suite struct HelpTests {
  @Test(arguments: [
    ("inspekt x", "fathom inspect"), ("convert a b --to ggfu", "--to gguf"),
    ("convert a b --to=MLXX", "--to mlx"),
    ("recipe a --to compresed-tensors", "compressed-tensors"),
    ("convert a b --to gguf --quant q4_km", "q4_k_m"),
    ("convert a b --to mlx --quant 4bits", "4bit"),
    ("convert a b --to hf --quant bf-61", "bf16"), ("types ggfu", "gguf"),
    ("convert a b --to compressed-tensors --quant int4_g218", "int4-g128"),
    ("inspect a --tensor", "--tensors"),
  ])
  func aSlipIsTakenForAWord(line: String, meant: String) throws {
    let run = try FathomProcess(line.split(separator: " ").map(String.init))
    #expect(run.status == 64)
    let words = run.messages.lowercased()
    #expect(words.contains("did you mean ") && words.contains(meant), "\(run.messages)")
  }

  @Test(arguments: ["hf", "gguf"]) func aWordIsNoSlip(target: String) throws {
    let run = try FathomProcess("convert", "nowhere", "out", "--to", target)
    #expect(run.status == 66 && !run.messages.contains("did you mean"), "\(run.messages)")
  }

  /// What must be given comes first: in the line that says how a command is used, and among options.
  @Test func theRequiredOptionComesFirst() throws {
    let help = try FathomProcess(["help", "convert"], environment: ["COLUMNS": "80"]).output
    let options = help.split(separator: "\n").filter { $0.hasPrefix("  --") || $0.hasPrefix("  -") }
    #expect(options.first?.hasPrefix("  --to <format>") == true)
    #expect(help.contains("USAGE: fathom convert <model> <output> --to <format>\n"))
  }

  /// How a command is used fits the narrowest window.
  @Test(arguments: [
    "inspect", "validate", "convert", "resume", "logits", "verify", "imatrix", "recipe", "diff",
    "hash", "pack", "unpack", "types", "edit", "fetch",
  ])
  func usageFitsAWindow(command: String) throws {
    let help = try FathomProcess(["help", command], environment: ["COLUMNS": "60"]).output
    let lines = help.split(separator: "\n", omittingEmptySubsequences: false)
    let start = try #require(lines.firstIndex { $0.hasPrefix("USAGE: fathom \(command) ") })
    let usage = lines[start...].prefix { !$0.isEmpty }
    #expect(usage.allSatisfy { $0.count <= 60 }, "\(usage)")
  }

  /// A device of 80 bytes is nobody's.
  @Test(arguments: ["8x80", "80", "8xGB", "0x80GB", "8x8x8GB"])
  func devicesHaveAUnit(text: String) throws {
    let run = try FathomProcess(
      "inspect", Repository.samples + "/tiny-tied", "--context", "8", "--devices", text)
    #expect(run.status == 64 && run.messages.contains("8x80GB"), "\(run.messages)")
  }
}
