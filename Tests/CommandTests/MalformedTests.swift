import Foundation
import Support
import Testing

/// One malformed checkpoint per rule, made by `scripts/make malformed`.
@Suite struct MalformedTests {
  static let folder = Repository.samples + "/malformed"
  static let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()

  @Test func everyRuleOfTheContractHasASample() {
    let rules = [
      "missing-tensor", "unexpected-tensor", "wrong-shape", "wrong-type", "missing-scale",
      "orphan-scale", "wrong-scale-shape", "missing-shard", "truncated-shard", "index-mismatch",
      "duplicate-tensor", "mtp-mismatch-absent", "mtp-mismatch-undeclared", "non-finite",
      "shared-copy-differs", "metadata-mismatch",
    ]
    #expect(Set(rules).subtracting(MalformedTests.names).isEmpty)
  }

  @Test(arguments: names)
  func validateFindsTheFaultAndNothingElse(name: String) throws {
    let path = "\(MalformedTests.folder)/\(name)"
    let text = String(decoding: try contents(path + "/expected.json"), as: UTF8.self)
    let expected = try JSONDocument(text)
    let deep = (expected["deep"] as? Bool) == true ? ["--deep"] : []
    let run = try FathomProcess(["validate", path, "--format", "json"] + deep)
    let report = try JSONDocument(run.output)
    let findings = report.list("findings")
    guard let rule = expected.string("rule") else {
      #expect(run.status == 0)
      #expect(findings.isEmpty)
      return
    }
    #expect(findings.count == 1, "\(run.output)")
    let finding = try #require(findings.first)
    #expect(finding.string("rule") == rule)
    #expect(finding.string("tensor") == expected.string("tensor"))
    #expect(finding.string("severity") == expected.string("severity"))
    let isError = expected.string("severity") == "error"
    #expect(report.string("verdict") == (isError ? "invalid" : "valid"))
    #expect(run.status == (isError ? 1 : 0))
    if !deep.isEmpty {
      let shallow = try FathomProcess("validate", path)
      #expect(shallow.status == 0, "headers alone cannot show \(rule)")
    }
  }

  @Test func missingExpertsAreOneFinding() throws {
    let run = try FathomProcess(
      "validate", MalformedTests.folder + "/missing-tensor", "--format", "json")
    let finding = try #require(try JSONDocument(run.output).list("findings").first)
    #expect(finding.integer("count") == 9)
    #expect(finding.integer("experts") == 3)
  }

  @Test func whatIsNoCheckpointIsRefusedByInspect() throws {
    for name in ["missing-shard", "truncated-shard", "index-mismatch", "index-mismatch-lies"] {
      let run = try FathomProcess("inspect", "\(MalformedTests.folder)/\(name)")
      #expect(run.status == (name == "missing-shard" ? 66 : 65), "\(name): \(run.messages)")
      #expect(run.output.isEmpty)
      #expect(run.messages.split(separator: "\n").count == 1)
    }
  }
}
