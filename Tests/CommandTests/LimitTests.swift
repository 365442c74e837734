import Foundation
import Support
import Testing

/// Limits of `verify` that no measurement could break or keep, and recipes that no tensor heeds.
@Suite struct LimitTests {
  let workspace: Workspace
  private static let sample = Repository.samples + "/tiny-bf16"

  init() throws { workspace = try Workspace() }

  private func verify(_ options: [String]) throws -> FathomProcess {
    try FathomProcess(["verify", LimitTests.sample, LimitTests.sample] + options)
  }

  static let options = [
    "max-kl", "max-nmse", "max-layer-nmse", "max-layer-own-nmse", "max-perplexity-ratio",
    "min-top1", "min-router-agreement", "mtp-max-kl", "mtp-min-top1", "mtp-max-nmse",
    "mtp-max-perplexity-ratio",
  ]

  @Test(arguments: options, ["nan", "inf", "-inf", "-1"])
  func whatIsNoLimitIsRefused(option: String, value: String) throws {
    let run = try verify(["--\(option)=\(value)"])
    #expect(run.status == 64 && run.output.isEmpty)
    #expect(run.messages.contains("--\(option)"), "\(run.messages)")
  }

  @Test(arguments: [
    #"{"main": {"max-kl": -1}}"#, #"{"main": {"min-top1": -0.1}}"#,
    #"{"layers": {"max-nmse": -0.5}}"#,
    #"{"mtp": {"max-perplexity-ratio": -1}}"#, #"{"layers": {"min-router-agreement": -1}}"#,
    "{}", #"{"main": {}}"#, #"{"main": {}, "mtp": {}, "layers": {}}"#, #"{"$schema": "x"}"#,
  ])
  func filesWithoutALimitAreRefused(text: String) throws {
    let path = try workspace.write("limits.json", text.utf8)
    let run = try verify(["--thresholds", path])
    #expect(run.status == 64 && run.output.isEmpty)
    #expect(run.messages.contains("limits.json") && run.messages.contains("no limit"))
    #expect(run.messages.split(separator: "\n").count == 1)
  }

  @Test(arguments: [#"{"main": {"max-kl": NaN}}"#, #"{"main": {"max-kl": 1e999}}"#, ""])
  func whatIsNoNumberIsMalformed(text: String) throws {
    let path = try workspace.write("limits.json", text.utf8)
    #expect(try verify(["--thresholds", path]).status == 65)
  }

  @Test(arguments: [[], ["--stats"], ["--format", "json"]])
  func aPatternOfInspectThatMatchesNothingIsRefused(more: [String]) throws {
    let run = try FathomProcess(["inspect", LimitTests.sample, "--tensors", "nosuch*"] + more)
    #expect(run.status == 64 && run.output.isEmpty && run.messages.contains("matches no tensor"))
  }

  // MARK: Recipes

  private func convert(_ options: [String]) throws -> FathomProcess {
    try FathomProcess(
      ["convert", LimitTests.sample, workspace.path("o.gguf"), "--to", "gguf", "--overwrite"]
        + options)
  }

  private func recipe(_ rule: String) throws -> String {
    try workspace.write(
      "r.json", #"{"schema": "fathom.recipe/1", "rules": [\#(rule)]}"#.utf8)
  }

  @Test(arguments: [
    #"{"match": "blk.*.ffn_dwn_exps.weight", "type": "q4_0"}"#,
    #"{"match": "output.weight", "layers": "moe", "type": "q4_0"}"#,
    #"{"match": "model.layers.*", "type": "q4_0"}"#,
  ])
  func aRuleThatMatchesNothingIsSaid(rule: String) throws {
    let options = ["--quant", "q8_0", "--recipe", try recipe(rule)]
    let run = try convert(options)
    #expect(run.status == 0)
    #expect(run.messages.contains("warning: the rule "), "\(run.messages)")
    #expect(run.messages.contains("matches no tensor"))
    let dry = try convert(options + ["--dry-run"])
    #expect(dry.status == 0 && dry.output.contains("matches no tensor"))
    for more in [[], ["--dry-run"]] {
      let strict = try convert(options + ["--strict"] + more)
      #expect(strict.status == 64 && strict.output.isEmpty)
      #expect(strict.messages.contains("matches no tensor"))
    }
  }

  @Test func patternsOfTheCommandAreRulesToo() throws {
    let options = ["--quant", "q8_0", "--tensor-type"]
    let run = try convert(options + ["nosuch=q4_0"])
    #expect(run.status == 0 && run.messages.contains("the rule nosuch=q4_0 matches no tensor"))
    #expect(try convert(options + ["nosuch=q4_0", "--strict"]).status == 64)
    let heeded = try convert(options + ["ffn_down=q4_0", "--strict"])
    #expect(heeded.status == 0 && !heeded.messages.contains("matches no"), "\(heeded.messages)")
    let plain = try convert(["--quant", "f16", "--tensor-type", "ffn_down=q4_0"])
    #expect(plain.status == 0 && plain.messages.contains("change nothing in a file of F16"))
    // From a GGUF file it is the same.
    let again = try FathomProcess(
      "convert", workspace.path("o.gguf"), workspace.path("p.gguf"), "--to", "gguf", "--quant",
      "q8_0", "--tensor-type", "nosuch=q4_0")
    #expect(again.status == 0 && again.messages.contains("the rule nosuch=q4_0 matches no tensor"))
  }

  @Test(arguments: [
    "deepseek2.block_count=str:x", "deepseek2.expert_used_count=int:0",
    "tokenizer.ggml.tokens=str:x", "deepseek2.attention.head_count=bool:true",
  ])
  func overridesThatNoReaderTakesAreRefused(text: String) throws {
    let run = try convert(["--quant", "q8_0", "--override-kv", text])
    #expect(run.status == 64, "\(run.messages)")
    #expect(try !workspace.names().contains("o.gguf"))
  }

  @Test func overridesThatComputedKeysAreRefused() throws {
    for key in ["split.count=int:2", "split.no=int:0", "general.architecture=str:llama"] {
      let run = try convert(["--quant", "q8_0", "--override-kv", key])
      #expect(run.status == 64 && run.messages.contains("override-kv"), "\(run.messages)")
    }
  }
}
