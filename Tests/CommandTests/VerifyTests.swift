import Foundation
import Support
import Testing

/// `fathom verify` as its users see it.
@Suite struct VerifyTests {
  let workspace: Workspace
  /// F32, one MTP layer, one file.
  let sample = Repository.samples + "/tiny-tied"

  init() throws { workspace = try Workspace() }

  /// Runs the command and checks its JSON against the schema.
  private func report(
    _ arguments: String..., status: Int32 = 0
  ) throws -> JSONDocument {
    try verifyDocument(arguments, status: status)
  }

  @Test(arguments: Repository.sampleNames)
  func aModelEqualsItself(name: String) throws {
    let path = Repository.samples + "/" + name
    let report = try report(path, path, "--max-kl", "0", "--min-top1", "1", "--max-nmse", "0")
    #expect(report.string("verdict") == "pass")
    #expect(report.integer("main", "tokens") == 64)
    #expect(report.number("main", "klMax") == 0)
    #expect(report.list("thresholds").count == (report["mtp"] == nil ? 3 : 6))
    #expect(report.list("layers").allSatisfy { $0.number("hiddenNmse") == 0 })
  }

  /// A copy of the sample with one weight of a layer changed.
  private func changed(_ tensor: String, _ value: Float) throws -> String {
    let copy = try workspace.copy(sample: "tiny-tied")
    let view = try SafetensorsView(copy + "/model.safetensors")
    try view.overwrite(tensor, with: withUnsafeBytes(of: value) { Array($0) })
    return copy
  }

  @Test func aChangedWeightShowsFromItsLayerOn() throws {
    let copy = try changed("model.layers.1.self_attn.o_proj.weight", 9)
    let report = try report(
      sample, copy, "--max-kl", "1e-9", "--mtp-max-kl", "10", status: 1)
    #expect(report.string("verdict") == "fail")
    let layers = report.list("layers").compactMap { $0.number("hiddenNmse") }
    #expect(layers.count == 3 && layers[0] == 0 && layers[1] > 0 && layers[2] > 0)
    let outcomes = report.list("thresholds")
    #expect(outcomes.map { $0.string("name") } == ["max-kl", "mtp-max-kl"])
    #expect(outcomes.map { $0["holds"] as? Bool } == [false, true])
    #expect(outcomes[0].number("value") == report.number("main", "klMean"))
  }

  /// Each limit on both sides of what is measured, for the main model and for MTP.
  @Test(arguments: ["max-kl", "min-top1", "max-nmse", "max-perplexity-ratio"], ["", "mtp-"])
  func limitsHoldOnTheirSide(name: String, scope: String) throws {
    let copy = try changed("model.layers.1.self_attn.o_proj.weight", 3)
    let option = "--\(scope)\(name)"
    let isLeast = name == "min-top1"
    for (limit, holds) in [("0.0000000001", isLeast), ("1000", !isLeast)] {
      let report = try report(sample, copy, option, limit, status: holds ? 0 : 1)
      let outcomes = report.list("thresholds")
      let names = scope.isEmpty ? [name, "mtp-" + name] : [scope + name]
      #expect(outcomes.map { $0.string("name") } == names)
      #expect(outcomes.allSatisfy { $0["holds"] as? Bool == holds })
      #expect(report.string("verdict") == (holds ? "pass" : "fail"))
    }
  }

  /// A fault in the MTP layer alone is caught by the same limit.
  @Test func aLimitHoldsForMTPUnlessItHasItsOwn() throws {
    let copy = try changed("model.layers.2.enorm.weight", 9)
    let both = try report(sample, copy, "--max-kl", "0", status: 1)
    #expect(both.number("main", "klMax") == 0)
    #expect(both.list("thresholds").map { $0["holds"] as? Bool } == [true, false])
    _ = try report(sample, copy, "--max-kl", "0", "--mtp-max-kl", "100")
    _ = try report(sample, copy, "--max-kl", "0", "--mtp", "drop")
  }

  @Test func aLogitThatIsNoNumberFailsWithoutLimits() throws {
    let copy = try changed("model.norm.weight", .nan)
    let report = try report(sample, copy, status: 1)
    #expect(report.string("verdict") == "fail")
    #expect(report["main", "klMean"] is NSNull)
    #expect((report.integer("main", "nonFinite") ?? 0) > 0)
    let text = try FathomProcess("verify", sample, copy)
    #expect(text.status == 1 && text.output.contains("not finite"))
    // A limit that any number would keep.
    #expect(try self.report(sample, copy, "--max-kl", "1e9", status: 1)["verdict"] != nil)
  }

  @Test func whatOnlyOneModelHasIsNotCompared() throws {
    let without = workspace.path("without")
    let run = try FathomProcess("convert", sample, without, "--to", "hf", "--mtp", "drop")
    #expect(run.status == 0, "\(run.messages)")
    let report = try report(sample, without)
    #expect(report["mtp"] == nil)
    #expect(report["notes"].map { "\($0)" }?.contains("MTP") ?? false)
    #expect(try self.report(sample, without, "--mtp-max-kl", "9", status: 1)["mtp"] == nil)
    #expect(try self.report(sample, sample, "--mtp", "drop")["mtp"] == nil)
  }

  @Test func sequencesMayDifferInLength() throws {
    let tokens = try workspace.write("tokens.json", "[[0, 1, 2], [3], [4, 5]]".utf8)
    let report = try report(sample, sample, "--tokens", tokens)
    #expect(report.integer("main", "tokens") == 6)
    #expect(report.integer("mtp", "tokens") == 3)
  }

  @Test func modelsOfOtherSizesAreRefused() throws {
    let run = try FathomProcess("verify", sample, Repository.samples + "/tiny-bf16")
    #expect(run.status == 65)
    #expect(run.messages.contains("hidden_size"))
  }

  @Test func aReportGoesToAFileOnce() throws {
    let path = workspace.path("report.json")
    for status: Int32 in [0, 73] {
      let run = try FathomProcess(
        "verify", sample, sample, "--format", "json", "-o", path)
      #expect(run.status == status && run.output.isEmpty)
    }
    let text = String(decoding: try contents(path), as: UTF8.self)
    #expect(try JSONDocument(text).string("verdict") == "measured")
  }

  @Test func oneRunMakesSeveralReports() throws {
    let copy = try changed("model.layers.1.self_attn.o_proj.weight", 9)
    let files = ["junit", "html", "markdown", "json", "text"].map {
      ($0, workspace.path("r.\($0)"))
    }
    let options = files.flatMap { ["--report", "\($0)=\($1)"] }
    let run = try FathomProcess(
      ["verify", sample, copy, "--max-kl", "1e-9", "--format", "json"] + options)
    #expect(run.status == 1, "\(run.messages)")
    let texts = Dictionary(
      uniqueKeysWithValues: try files.map {
        ($0, String(decoding: try contents($1), as: UTF8.self))
      })
    #expect(texts["json"] == run.output)
    #expect(texts["text"]?.contains("FAILS: max-kl") ?? false)
    #expect(try XMLSchema(named: "junit").faults(in: texts["junit"] ?? "") == [])
    #expect(texts["markdown"]?.hasPrefix("### fathom verify: fail") ?? false)
    _ = try XMLSchema.parse(Data((texts["html"] ?? "").utf8))
    // The page wants each layer's own error, and so the other reports have it.
    #expect(try JSONDocument(run.output).list("layers").allSatisfy { $0["ownNmse"] != nil })
    let alone = try report(sample, copy)
    #expect(alone.list("layers").allSatisfy { $0["ownNmse"] == nil })
    // What exists is refused before anything is computed, and kept.
    let again = try FathomProcess(["verify", sample, copy] + options)
    #expect(again.status == 73 && again.output.isEmpty)
    #expect(try FathomProcess(["verify", sample, copy, "--overwrite"] + options).status == 0)
    #expect(try workspace.names().count == 1 + files.count)
  }

  @Test(arguments: ["junit", "html", "markdown"]) func everyFormatGoesToOutput(format: String)
    throws
  {
    for (limits, word) in [([], "measured, no limits given"), (["--max-kl", "0"], "pass ")] {
      let run = try FathomProcess(["verify", sample, sample, "--format", format] + limits)
      #expect(run.status == 0, "\(run.messages)")
      let starts = [
        "junit": "<?xml", "html": "<!DOCTYPE html>", "markdown": "### fathom verify: \(word)",
      ]
      #expect(run.output.hasPrefix(starts[format] ?? "?"))
      #expect(run.output.hasSuffix("\n"))
    }
  }

  /// Nothing passes where nothing was asked, in no form of report.
  @Test(arguments: ["text", "json", "junit", "html", "markdown"])
  func withoutLimitsIsMeasured(format: String) throws {
    let run = try FathomProcess("verify", sample, sample, "--format", format)
    #expect(run.status == 0, "\(run.messages)")
    #expect(run.output.contains("measured"))
    #expect(!run.output.contains("pass"), "\(run.output)")
    if format == "json" { #expect(try report(sample, sample).string("verdict") == "measured") }
  }

  @Test(arguments: [
    ["--report", "pdf=x"], ["--report", "junit"], ["--report", "junit="], ["--format", "xml"],
    ["--report", "junit=x", "--report", "html=x"], ["--report", "junit=x", "-o", "x"],
  ])
  func reportsThatCannotBeAreRefused(options: [String]) throws {
    #expect(try FathomProcess(["verify", sample, sample] + options).status == 64)
  }

  @Test func textFitsAScreen() throws {
    let run = try FathomProcess("verify", sample, sample)
    let lines = run.output.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count <= 40 && lines.allSatisfy { $0.count <= 100 + sample.count })
    #expect(run.output.contains("measured, no limits given: "))
  }

  @Test(arguments: ["nan", "inf", "x"]) func aLimitIsANumber(value: String) throws {
    #expect(try FathomProcess("verify", sample, sample, "--max-kl", value).status == 64)
  }

  /// What speculative decoding keeps of an MTP layer's drafts, on both sides of a limit.
  @Test func draftsAreHeldToALimit() throws {
    let copy = try changed("model.layers.2.eh_proj.weight", 40)
    let found = try report(sample, copy)
    let share = try #require(found.number("mtp", "acceptance", "candidate"))
    #expect(found.integer("mtp", "acceptance", "positions") == 63)
    for (limit, holds) in [(share, true), (share + 0.001, false)] {
      let limited = try report(
        sample, copy, "--min-mtp-acceptance", "\(limit)", status: holds ? 0 : 1)
      #expect(limited.list("thresholds").map { $0.string("name") } == ["min-mtp-acceptance"])
      #expect(limited.string("verdict") == (holds ? "pass" : "fail"))
    }
    // What is printed for people, of 63 positions, is a limit that holds.
    let text = try FathomProcess("verify", sample, copy).output
    let printed = try #require(text.firstMatch(of: /would choose: ([0-9.]+) %/)?.output.1)
    let percent = try #require(Double(printed))
    #expect(percent / 100 <= share && share < percent / 100 + 1e-4)
    let limited = try FathomProcess(
      "verify", sample, copy, "--min-mtp-acceptance", "\(percent / 100)")
    #expect(limited.status == 0, "\(limited.output)")
    let file = try workspace.write("limits.json", #"{"drafts": {"min-acceptance": 1.5}}"#.utf8)
    #expect(try report(sample, copy, "--thresholds", file, status: 1).string("verdict") == "fail")
  }

  /// Each of several candidates has the report that it has alone.
  @Test func severalCandidatesAreMeasuredAtOnce() throws {
    let copy = try changed("model.layers.1.self_attn.o_proj.weight", 9)
    let together = try report(sample, sample, copy, "--isolate", "--max-kl", "1e-9", status: 1)
    let reports = together.list("candidates")
    #expect(together.string("verdict") == "fail" && reports.count == 2)
    for (candidate, own) in zip([sample, copy], reports) {
      let alone = try report(
        sample, candidate, "--isolate", "--max-kl", "1e-9", status: candidate == copy ? 1 : 0)
      #expect((alone.root as? NSDictionary) == (own.root as? NSDictionary))
    }
    let text = try FathomProcess(["verify", sample, sample, copy, "--max-kl", "1e-9"])
    #expect(text.output.contains("fail: 1 of 2 candidates"))
    let page = try FathomProcess(["verify", sample, sample, copy, "--format", "html"])
    #expect(page.output.contains("id=\"c1-logits\"") && page.output.contains("size of the weights"))
    #expect(try FathomProcess(["verify", sample, sample, copy, "--blame"]).status == 64)
  }
}
