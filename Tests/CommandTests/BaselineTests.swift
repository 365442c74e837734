import Foundation
import Support
import Testing

/// `fathom verify --record`, and baselines in the place of a reference.
@Suite struct BaselineTests {
  let workspace: Workspace
  let sample = Repository.samples + "/tiny-fp8"

  init() throws { workspace = try Workspace() }

  private func tokens() throws -> String {
    let ids = (0..<3).map { row in (0..<40).map { (row * 101 + $0 * $0 * 7) % 288 } }
    return try workspace.write("tokens.json", "\(ids)".utf8)
  }

  private func record(_ model: String, _ options: String...) throws -> String {
    let path = workspace.path("baseline")
    let run = try FathomProcess(
      ["verify", "--record", model, "--tokens", try tokens(), "-o", path, "--overwrite"] + options)
    #expect(run.status == 0, "\(run.messages)")
    return path
  }

  private func report(_ arguments: String..., status: Int32 = 0) throws -> JSONDocument {
    try verifyDocument(arguments, status: status)
  }

  @Test(arguments: ["tiny-fp8", "tiny-mtp2", "tiny-no-qlora", "tiny-tied"])
  func aModelEqualsItsBaseline(sample: String) throws {
    let path = Repository.samples + "/" + sample
    let report = try report(try record(path), path, "--max-kl", "0", "--min-top1", "1")
    #expect(report.integer("main", "tokens") == 120)
    #expect(report.number("main", "klMax") == 0)
    #expect(report.list("layers").allSatisfy { $0.number("hiddenNmse") == 0 })
    #expect(report.list("layers").allSatisfy { ($0.number("routerAgreement") ?? 1) == 1 })
  }

  @Test(arguments: ["bf16", "q8_0", "q2_k"], ["8", "64", "288"])
  func itSaysWhatTheReferenceWouldSay(quant: String, keep: String) throws {
    let candidate = workspace.path(quant == "bf16" ? "candidate" : "candidate.gguf")
    let target = quant == "bf16" ? "hf" : "gguf"
    let run = try FathomProcess("convert", sample, candidate, "--to", target, "--quant", quant)
    #expect(run.status == 0, "\(run.messages)")
    let baseline = try report(try record(sample, "--keep", keep), candidate)
    let direct = try report(sample, candidate, "--tokens", try tokens())
    for head in ["main", "mtp"] {
      for key in ["top1Agreement", "perplexityReference", "perplexityCandidate"] {
        #expect(baseline.number(head, key) == direct.number(head, key))
      }
      let exact = direct.number(head, "klMean") ?? .nan
      let found = baseline.number(head, "klMean") ?? .nan
      let error = baseline.number(head, "klInterval", "standardError") ?? .nan
      #expect((baseline.number(head, "klInterval", "lower") ?? .nan) <= exact + 1e-12)
      #expect((baseline.number(head, "klInterval", "upper") ?? .nan) >= exact - 1e-12)
      #expect(abs(found - exact) <= 4 * error + 1e-9)
      let ratio = (baseline.number(head, "nmse") ?? .nan) / (direct.number(head, "nmse") ?? 0)
      #expect(abs(ratio - 1) < 0.25)
    }
    for (estimate, layer) in zip(baseline.list("layers"), direct.list("layers")) {
      let ratio = (estimate.number("hiddenNmse") ?? .nan) / (layer.number("hiddenNmse") ?? 0)
      #expect(abs(ratio - 1) < 0.25)
      // 120 tokens are fewer than are watched.
      #expect(estimate.number("routerAgreement") == layer.number("routerAgreement"))
    }
  }

  @Test func neitherThreadsNorFormatChangeIt() throws {
    let first = try contents(try record(sample, "--threads", "1"))
    #expect(try contents(record(sample, "--threads", "3")) == first)
    #expect(try contents(record(sample, "--mtp", "drop")).count < first.count)
    #expect(try report(workspace.path("baseline"), sample)["mtp"] == nil)
  }

  @Test func aKeyOfTheConfigIsNamedWithoutTheReference() throws {
    let baseline = try record(Repository.samples + "/" + PlantedFault.sample)
    let editor = try SampleEditor(PlantedFault.sample, in: workspace)
    try editor.set("routed_scaling_factor", 1.0)
    let report = try report(baseline, editor.path, "--max-kl", "1e-3", status: 1)
    #expect(
      report.list("configDifferences").map { $0.string("name") } == ["routed_scaling_factor"])
  }

  /// Files that were recorded when baselines were called fixtures: the sample is one of them.
  @Test func aFileThatWasRecordedAsAFixtureIsReadAndReplaced() throws {
    let recorded = try contents(Repository.samples + "/ci/tiny-trained.baseline")
    #expect(recorded.starts(with: "FATHOMFX".utf8))
    let model = Repository.samples + "/tiny-trained"
    let results = try ["v3.fixture", "v3.baseline"].map { name in
      let run = try FathomProcess("verify", try workspace.write(name, recorded), model)
      #expect(run.status == 0, "\(run.messages)")
      return run.output.replacing(workspace.path(name), with: "NAME")
    }
    #expect(results[0] == results[1])
    let command = [
      "verify", "--record", sample, "--tokens", try tokens(), "-o", workspace.path("v3.fixture"),
    ]
    #expect(try FathomProcess(command).status == 73)
    #expect(try FathomProcess(command + ["--overwrite"]).status == 0)
    let written = try contents(workspace.path("v3.fixture"))
    let recordedAnew = try contents(record(sample))
    #expect(written == recordedAnew && written.starts(with: "FATHOMFX".utf8))
  }

  @Test func aModelOfAnotherSizeIsRefused() throws {
    let run = try FathomProcess(
      "verify", try record(sample), Repository.samples + "/tiny-bf16")
    #expect(run.status == 65 && run.messages.contains("hidden_size"), "\(run.messages)")
  }

  @Test func whatIsNotFiniteIsNotRecorded() throws {
    let copy = try workspace.copy(sample: PlantedFault.sample)
    try SafetensorsView(copy + "/model.safetensors").overwrite(
      "model.norm.weight", with: [0, 0, 0xC0, 0x7F])
    let path = workspace.path("baseline")
    let run = try FathomProcess(
      "verify", "--record", copy, "--tokens", try tokens(), "-o", path)
    #expect(run.status == 65 && run.messages.contains("not finite"), "\(run.messages)")
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  @Test func aCandidateThatIsNotFiniteFails() throws {
    let baseline = try record(Repository.samples + "/" + PlantedFault.sample)
    let copy = try workspace.copy(sample: PlantedFault.sample)
    try SafetensorsView(copy + "/model.safetensors").overwrite(
      "model.norm.weight", with: [0, 0, 0xC0, 0x7F])
    let report = try report(baseline, copy, status: 1)
    #expect(report["main", "klMean"] is NSNull)
    #expect((report.integer("main", "nonFinite") ?? 0) > 0)
  }

  @Test func anOutputThatExistsIsKept() throws {
    let path = try workspace.write("baseline", [1])
    let run = try FathomProcess(
      "verify", "--record", sample, "--tokens", try tokens(), "-o", path)
    #expect(run.status == 73)
    #expect(try contents(path) == [1])
  }

  @Test(arguments: [
    ["--record", "MODEL", "MODEL", "--tokens", "TOKENS", "-o", "OUT"],
    ["--record", "MODEL", "-o", "OUT"], ["--record", "MODEL", "--tokens", "TOKENS"],
    ["--record", "MODEL", "--tokens", "TOKENS", "-o", "OUT", "--max-kl", "1"],
    ["--record", "MODEL", "--tokens", "TOKENS", "-o", "OUT", "--keep", "0"],
    ["MODEL"], ["BASELINE", "MODEL", "--tokens", "TOKENS"], ["BASELINE", "MODEL", "--isolate"],
    ["BASELINE", "MODEL", "--blame"], ["BASELINE", "MODEL", "--max-layer-own-nmse", "1"],
  ])
  func wrongUsageIsRefused(arguments: [String]) throws {
    let baseline = try record(sample)
    let places = [
      "MODEL": sample, "TOKENS": try tokens(), "OUT": workspace.path("new"), "BASELINE": baseline,
    ]
    let run = try FathomProcess(["verify"] + arguments.map { places[$0] ?? $0 })
    #expect(run.status == 64, "\(run.messages)")
    #expect(!FileManager.default.fileExists(atPath: workspace.path("new")))
  }

  @Test func aDamagedBaselineIsRefusedInOneLine() throws {
    let path = try record(sample)
    for change in [0..<1, 9..<10, 200..<201] {
      var bytes = try contents(path)
      for place in change { bytes[place] ^= 0xFF }
      let broken = try workspace.write("broken", bytes)
      let run = try FathomProcess("verify", broken, sample)
      #expect(run.status == 65, "\(run.messages)")
      #expect(run.messages.split(separator: "\n").count == 1 && run.messages.contains("broken"))
    }
  }
}
