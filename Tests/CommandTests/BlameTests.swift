import Foundation
import Support
import Testing

/// Faults that conversions are known for, planted one at a time: each is caught by a limit, and
/// `--blame` names what is wrong first.
@Suite struct BlameTests {
  let workspace: Workspace
  let reference = Repository.samples + "/" + PlantedFault.sample

  init() throws { workspace = try Workspace() }

  private func verify(
    _ candidate: String, status: Int32 = 1, _ options: String...
  ) throws -> JSONDocument {
    try verifyDocument([reference, candidate, "--blame"] + options, status: status)
  }

  @Test(arguments: PlantedFault.ofConfig + PlantedFault.ofWeights)
  func aPlantedFaultIsNamedFirst(fault: PlantedFault) throws {
    let editor = try SampleEditor(PlantedFault.sample, in: workspace)
    try fault.plant(editor)
    let report = try verify(editor.path, "--max-kl", "1e-6")
    #expect(report.string("verdict") == "fail")
    let first = try #require(report.list("blame").first)
    #expect(fault.expected.contains(first.string("name") ?? ""), "\(report["blame"] ?? "")")
    #expect((first.number("klMean") ?? 0) > 1e-6)
  }

  @Test func exchangedExpertsAreRecognized() throws {
    let editor = try SampleEditor(PlantedFault.sample, in: workspace)
    try PlantedFault.exchangeExperts(editor)
    let hints = try verify(editor.path, status: 0).list("blame").compactMap { $0.string("hint") }
    #expect(hints.contains { $0.contains("experts.2 ") && $0.contains("expert 5") })
    #expect(hints.contains { $0.contains("experts.5 ") && $0.contains("expert 2") })
  }

  /// Rounding the bias tips only tokens at the edge, so it takes many to see one: then KL, the
  /// router's agreement and the blame all show it.
  @Test func aCorrectionBiasInBF16IsNamedFirst() throws {
    let editor = try SampleEditor(PlantedFault.sample, in: workspace)
    try PlantedFault.roundBias(editor)
    let ids = (0..<16).map { sequence in (0..<256).map { (sequence * 7919 + $0 * $0 * 31) % 288 } }
    let tokens = try workspace.write("tokens.json", "\(ids)".utf8)
    let report = try verify(
      editor.path, "--tokens", tokens, "--max-kl", "0", "--min-router-agreement", "1")
    #expect(
      report.list("thresholds").allSatisfy { $0["holds"] as? Bool == false },
      "\(report["thresholds"] ?? "")")
    let first = try #require(report.list("blame").first)
    #expect(first.string("name") == PlantedFault.bias && (first.number("klMean") ?? 0) > 0)
  }

  /// Where no token is tipped the tensor is named all the same, with nothing added.
  @Test func aDifferenceWithoutEffectIsListed() throws {
    let editor = try SampleEditor(PlantedFault.sample, in: workspace)
    try editor.change(PlantedFault.bias) { matrix in
      matrix[0][0][0] ^= 1
    }
    let blame = try verify(editor.path, status: 0, "--max-kl", "0").list("blame")
    #expect(blame.count == 1 && blame.first?.number("klMean") == 0)
    #expect(
      blame.first?.string("name") == PlantedFault.bias)
  }

  /// The same fault under the noise of a quantized candidate.
  @Test func aPlantedFaultStandsOutOfQuantization() throws {
    let editor = try SampleEditor(PlantedFault.sample, in: workspace)
    try PlantedFault.transposeBlock(editor)
    let file = workspace.path("candidate.gguf")
    let run = try FathomProcess(
      "convert", editor.path, file, "--to", "gguf", "--quant", "q8_0")
    #expect(run.status == 0, "\(run.messages)")
    let blame = try verify(file, status: 0).list("blame")
    #expect(blame.first?.string("name") == PlantedFault.experts + "3.down_proj.weight")
    #expect(blame.count > 1)
  }

  @Test(arguments: [
    ("rope.scaling.yarn_log_multiplier", Float(0.05).bitPattern), ("expert_gating_func", 1),
    ("expert_weights_scale", Float(1).bitPattern),
  ])
  func aPlantedKeyOfAGGUFFileIsNamedFirst(key: String, value: UInt32) throws {
    let file = workspace.path("candidate.gguf")
    let run = try FathomProcess("convert", reference, file, "--to", "gguf", "--quant", "bf16")
    #expect(run.status == 0, "\(run.messages)")
    try GGUFPatch.set("deepseek2." + key, bytes: PlantedFault.bytes(value), in: file)
    let report = try verify(file, "--max-kl", "1e-3")
    #expect(report.list("blame").first?.string("name") == "deepseek2." + key)
    #expect((report.list("blame").first?.number("klMean") ?? 0) > 1e-3)
    #expect(report.list("configDifferences").map { $0.string("name") } == ["deepseek2." + key])
  }

  @Test func aModelBlamesNothingOfItself() throws {
    let report = try verify(reference, status: 0)
    #expect(report["blame"] is [Any] && report.list("blame").isEmpty)
    #expect(report.list("configDifferences").isEmpty)
  }

  @Test func theCountLimitsTheRows() throws {
    let other = workspace.path("other")
    let run = try FathomProcess(
      "convert", reference, other, "--to", "hf", "--quant", "bf16")
    #expect(run.status == 0, "\(run.messages)")
    let few = try verify(other, status: 0, "--blame-count", "2").list("blame")
    let many = try verify(other, status: 0, "--blame-count", "50").list("blame")
    #expect(few.count == 2 && many.count == 50)
    // Neither threads nor what is tried at once change a number.
    let slow = try verify(
      other, status: 0, "--blame-count", "50", "--threads", "1", "--memory",
      Sanitizer.keepsMemory ? "64MB" : "256MB")
    #expect(slow.list("blame").map { $0.string("name") } == many.map { $0.string("name") })
    #expect(slow.list("blame").map { $0.number("klMean") } == many.map { $0.number("klMean") })
  }
}
