import Support
import Testing

/// What was asked for and cannot be is said.
@Suite struct AskedAndStoredTests {
  private let workspace: Workspace
  private let sample = Repository.samples + "/tiny-bf16"

  init() throws { workspace = try Workspace() }

  @Test(arguments: ["hf", "mlx", "deepseek", "compressed-tensors"], [".gguf", ".safetensors"])
  func aFolderIsNotNamedLikeAFile(target: String, ending: String) throws {
    let run = try FathomProcess("convert", sample, workspace.path("x" + ending), "--to", target)
    #expect(run.status == 64 && run.messages.contains(ending), "\(run.messages)")
    #expect(try workspace.names().isEmpty)
  }

  @Test func aGGUFFileOfAnotherNameIsWarnedOf() throws {
    for (name, isWarned) in [("x", true), ("y.gguf", false)] {
      let run = try FathomProcess(
        "convert", sample, workspace.path(name), "--to", "gguf", "--quant", "f16")
      #expect(run.status == 0, "\(run.messages)")
      #expect(run.messages.contains("does not end in .gguf") == isWarned, "\(run.messages)")
    }
  }

  /// As recipes that `fathom recipe` writes have a rule for every tensor.
  @Test func aDefaultThatNoTensorIsLeftForIsNoFault() throws {
    let recipe = try workspace.write(
      "recipe.json",
      #"{"schema": "fathom.recipe/1", "default": "q8_0", "rules": [{"match": "*", "type": "q4_k"}]}"#
        .utf8)
    for (name, isWarned) in [("tiny-bf16", true), ("tiny-trained", false)] {
      let run = try FathomProcess(
        "convert", "\(Repository.samples)/\(name)", workspace.path("x.gguf"), "--to", "gguf",
        "--recipe", recipe, "--mtp", "drop", "--dry-run")
      #expect(run.status == 0, "\(run.messages)")
      let isSaid = run.output.contains("no tensor could be stored in Q8_0:")
      #expect(isSaid == isWarned, "\(name) \(run.output.suffix(600))")
    }
  }

  /// The rows of one sample are no whole number of blocks, those of the other are.
  @Test(arguments: [
    ("gguf", "q4_k_m", "Q4_K"), ("mlx", "4bit", "4bit"),
    ("compressed-tensors", "int4-g128", "int4-g128"),
  ])
  func aTypeThatNothingCouldTakeIsNamed(target: String, quant: String, type: String) throws {
    for (name, isWarned) in [("tiny-bf16", true), ("tiny-trained", false)] {
      let run = try FathomProcess(
        "convert", "\(Repository.samples)/\(name)", workspace.path("x.y"), "--to", target,
        "--quant", quant, "--mtp", "drop", "--dry-run")
      #expect(run.status == 0, "\(run.messages)")
      let words = "no tensor could be stored in \(type):"
      #expect(run.output.contains(words) == isWarned, "\(name) \(run.output.suffix(600))")
    }
  }
}
