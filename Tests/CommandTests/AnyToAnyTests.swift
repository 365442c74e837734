import Foundation
import Support
import Testing

/// Every format from every format, by the one way there is: what comes out is a valid model, `diff`
/// finds no more than the target's own error, and `verify` runs both.
@Suite struct AnyToAnyTests {
  /// A format with a type of weights.
  struct Form: Sendable, CustomTestStringConvertible {
    let name: String
    /// The options of `convert` that write it.
    let options: [String]
    /// Least signal to noise that its type leaves of Gaussian weights, in dB; nil where it holds
    /// every value of its kind of source.
    var noise: Double?
    /// Whether it holds F32 as it is; forms without noise hold BF16.
    var isExact = false

    var testDescription: String { name }

    /// A name for the output that suits the format.
    func output(_ prefix: String) -> String {
      "\(prefix)-\(name)" + (options[0] == "gguf" ? ".gguf" : "")
    }
  }

  /// 4 bits with groups of 32 leave about 20 dB, 8 bits about 45; formats with 3 bits of mantissa 30.
  static let forms = [
    Form(name: "hf-f32", options: ["hf", "--quant", "f32"], isExact: true),
    Form(name: "hf-bf16", options: ["hf", "--quant", "bf16"]),
    Form(name: "hf-fp8", options: ["hf", "--quant", "fp8"], noise: 28),
    Form(name: "gguf-bf16", options: ["gguf", "--quant", "bf16", "--allow-requantize"]),
    Form(
      name: "gguf-q4_k_m", options: ["gguf", "--quant", "q4_k_m", "--allow-requantize"], noise: 16),
    Form(name: "mlx-bf16", options: ["mlx", "--quant", "bf16"]),
    Form(name: "mlx-4bit", options: ["mlx", "--quant", "4bit", "--group-size", "32"], noise: 16),
    Form(
      name: "mlx-swift-8bit", options: ["mlx", "--quant", "8bit", "--layout", "mlx-swift"],
      noise: 40),
    Form(
      name: "ct-fp8-block", options: ["compressed-tensors", "--quant", "fp8-block"], noise: 28),
    Form(name: "deepseek", options: ["deepseek", "--mp", "1", "--quant", "bf16"]),
    Form(name: "ct-int4", options: ["compressed-tensors", "--quant", "int4-g32"], noise: 14),
  ]

  static let sample = Repository.samples + "/tiny-trained"

  private func run(_ arguments: [String]) throws -> FathomProcess {
    let run = try FathomProcess(arguments)
    #expect(run.status == 0, "\(arguments.joined(separator: " ")): \(run.messages)\(run.output)")
    return run
  }

  @Test(arguments: forms)
  func goesToAllOthers(from: Form) throws {
    let workspace = try Workspace()
    // BF16 numbers, so that what holds BF16 holds all of them. No MTP layer: a mix gives its copy of
    // the head another type than the head, and what differs is no copy.
    let plain = workspace.path("plain")
    _ = try run([
      "convert", AnyToAnyTests.sample, plain, "--to", "hf", "--quant", "bf16", "--mtp", "drop",
    ])
    let source = workspace.path(from.output("from"))
    _ = try run(["convert", plain, source, "--to"] + from.options)
    for form in AnyToAnyTests.forms {
      let output = workspace.path(form.output("to"))
      _ = try run(["convert", source, output, "--to"] + form.options)
      _ = try run(["validate", output, "--deep"])
      let isLossless = form.isExact || form.noise == nil && from.noise == nil
      let difference = try JSONDocument(
        run(["diff", source, output, "--format", "json"]).output)
      let compared = try #require(difference.integer("totals", "compared"))
      #expect(compared >= 38)
      if isLossless {
        #expect(difference.integer("totals", "identical") == compared, "\(form.name)")
      } else {
        // Where codes of two kinds meet the noise of both adds up; BF16 rounds to 8 bits.
        let least = (form.noise ?? 50) - (from.noise == nil ? 0 : 3)
        for tensor in difference.list("tensors") {
          let noise = tensor.number("sqnrDb") ?? .infinity
          #expect(noise >= least, "\(form.name): \(tensor.string("name") ?? "")")
        }
      }
      _ = try run(["verify", source, output, "--max-kl", isLossless ? "0" : "2"])
      guard isLossless else { continue }
      // And back: the very files that the way started with.
      let back = workspace.path(from.output("back"))
      _ = try run(["convert", output, back, "--to"] + from.options + ["--overwrite"])
      let round = try JSONDocument(run(["diff", source, back, "--format", "json"]).output)
      #expect(round.integer("totals", "identical") == compared || from.noise != nil)
    }
  }
}
