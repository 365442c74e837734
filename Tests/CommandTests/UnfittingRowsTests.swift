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
}
