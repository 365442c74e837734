import Support
import Testing

/// Every matrix of every network is in a quantized checkpoint: one whose rows are no whole groups stays
/// as it is, and loaders are told.
@Suite struct UnfittingRowsTests {
  @Test(
    arguments: Repository.networkSamples,
    [["compressed-tensors", "nvfp4"], ["compressed-tensors", "int4-g64"], ["modelopt", "nvfp4"]])
  func nothingIsLeftOut(sample: String, target: [String]) throws {
    let workspace = try Workspace()
    let output = workspace.path("out")
    let run = try FathomProcess(
      "convert", Repository.samples + "/" + sample, output, "--to", target[0], "--quant", target[1])
    #expect(run.status == 0, "\(run.messages)")
    let validation = try FathomProcess("validate", output, "--deep")
    #expect(validation.output.contains(" 0 errors"), "\(validation.output)")
  }

  /// Other parts of a model, such as its vision tower, are plain too, and loaders are told.
  @Test(
    arguments: ["tiny-kimi-k25", "tiny-mistral4"],
    [("compressed-tensors", "re:.*vision_tower\\..*"), ("modelopt", "*vision_tower.*")])
  func otherPartsAreLeftOut(sample: String, target: (name: String, pattern: String)) throws {
    let workspace = try Workspace()
    let output = workspace.path("out")
    let run = try FathomProcess(
      "convert", Repository.samples + "/" + sample, output, "--to", target.name, "--quant",
      "nvfp4")
    #expect(run.status == 0, "\(run.messages)")
    let written = try SampleTensors(folder: output)
    let section = try #require(
      written.config["quantization_config"] as? [String: Any]
        ?? (written.config["text_config"] as? [String: Any])?["quantization_config"]
        as? [String: Any])
    let ignored = try #require(section["ignore"] as? [String])
    #expect(ignored.contains(target.pattern), "\(ignored)")
    #expect(ignored.count { $0.contains("project") } == 1, "\(ignored)")
    #expect(written.tensors.contains { $0.key.contains("vision_tower") && $0.value.type == "BF16" })
  }
}
