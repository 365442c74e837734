import Foundation
import Support
import Testing

/// The manifests that `convert` writes, and `validate --manifest`.
@Suite struct ManifestTests {
  let workspace: Workspace
  static let model = Repository.samples + "/tiny-fp8"

  init() throws { workspace = try Workspace() }

  /// A conversion: where its output and manifest are, and its options.
  struct Target: CustomTestStringConvertible {
    let output: String
    var model: String?
    let manifest: String
    let options: [String]
    var testDescription: String { options.joined(separator: " ") }

    init(_ output: String, model: String? = nil, manifest: String, _ options: String...) {
      self.output = output
      self.model = model
      self.manifest = manifest
      self.options = ["--to"] + options
    }
  }

  private static let inFolder = "out/fathom-manifest.json"

  static let targets = [
    Target("out", manifest: inFolder, "hf"),
    Target("out", manifest: inFolder, "hf", "--quant", "bf16", "--max-shard-size", "500KB"),
    Target("out", manifest: inFolder, "hf", "--mtp", "drop"),
    Target(
      "out.gguf", manifest: "out.fathom-manifest.json", "gguf", "--quant", "q8_0"),
    Target(
      "out-00001-of-00003.gguf", model: "out.gguf", manifest: "out.fathom-manifest.json", "gguf",
      "--quant", "bf16", "--max-shard-size", "900KB"),
    Target("out", manifest: inFolder, "mlx", "--quant", "4bit", "--group-size", "32"),
    Target("out", manifest: inFolder, "deepseek", "--quant", "bf16", "--mp", "2"),
    Target("out", manifest: inFolder, "compressed-tensors", "--quant", "int4-g32"),
  ]

  private static let plain = targets[1]

  @discardableResult
  private func convert(
    _ target: Target, of model: String = model, in workspace: Workspace? = nil,
    _ more: [String] = [], status: Int32 = 0, mishap: Mishap? = nil
  ) throws -> FathomProcess {
    let workspace = workspace ?? self.workspace
    let run = try FathomProcess(
      ["convert", model, workspace.path(target.model ?? target.output)] + target.options + more,
      environment: mishap?.environment(below: workspace.path) ?? [:])
    #expect(run.status == status, "\(run.messages)")
    return run
  }

  private func hashes(_ model: String) throws -> JSONDocument {
    try JSONDocument(printedBy: ["hash", model], schema: "fathom.hash.2")
  }

  private func validate(
    _ model: String, _ more: [String] = ["--manifest"], status: Int32 = 0
  ) throws -> JSONDocument {
    try JSONDocument(
      printedBy: ["validate", model] + more, schema: "fathom.validate.1", status: status)
  }

  /// What `fathom hash` and a manifest both say of a tensor.
  private func rows(_ tensors: [JSONDocument]) -> [String: String] {
    Dictionary(
      uniqueKeysWithValues: tensors.map {
        let shape = ($0["shape"] as? [Int] ?? []).map(String.init).joined(separator: ",")
        return (
          $0.string("name") ?? "",
          "\($0.string("type") ?? "") [\(shape)] \($0.integer("bytes") ?? -1) "
            + ($0.string("hash") ?? "none")
        )
      })
  }

  @Test(arguments: targets)
  func hashesAreThoseOfTheFiles(target: Target) throws {
    try convert(target)
    let text = String(decoding: try contents(workspace.path(target.manifest)), as: UTF8.self)
    let manifest = try JSONDocument(text)
    #expect(try JSONSchema(named: "fathom.manifest.2").faults(in: manifest).isEmpty)
    let output = workspace.path(target.output)
    let made = try hashes(output)
    #expect(rows(manifest.list("output", "tensors")) == rows(made.list("tensors")))
    #expect(manifest.string("output", "checkpoint") == made.string("checkpoint"))
    let read = try hashes(ManifestTests.model)
    let used = manifest.list("source", "tensors").filter { $0.string("hash") != nil }
    #expect(rows(used).allSatisfy { rows(read.list("tensors"))[$0.key] == $0.value })
    #expect(manifest.list("source", "tensors").count == read.list("tensors").count)
    let isWhole = used.count == read.list("tensors").count
    #expect(
      manifest.string("source", "checkpoint") == (isWhole ? read.string("checkpoint") : nil))
    #expect(isWhole == !target.options.contains("drop"))
    #expect(manifest.string("source", "name") == "tiny-fp8")
    #expect(!text.contains(workspace.path) && !text.contains(Repository.root))
    // What the plan said: of MLX, that its loader leaves MTP out, or of other targets nothing.
    let plan = try convert(
      target, ["--dry-run", "--format", "json", "--overwrite"])
    #expect(
      manifest["notices"] as? [String] == (try JSONDocument(plan.output))["warnings"] as? [String])
    #expect(try validate(output).string("verdict") == "valid")
    let check = try FathomProcess(
      "hash", ManifestTests.model, "--check", workspace.path(target.manifest))
    #expect(check.status == 0, "\(check.output)")
  }

  @Test(arguments: targets)
  func neitherThreadsNorMemoryMatter(target: Target) throws {
    try convert(target)
    let other = try Workspace()
    try convert(target, in: other, ["--threads", "5", "--memory", "3MB"])
    #expect(try contents(other.path(target.manifest)) == contents(workspace.path(target.manifest)))
  }

  @Test(arguments: [targets[0], targets[1], targets[3], targets[4]], ["kill", "powercut"])
  func neitherDoInterruptions(target: Target, kind: String) throws {
    try convert(target)
    let expected = try contents(workspace.path(target.manifest))
    let watched = try Workspace()
    let often = ["--flush-every", "200KB"]
    let calls = try calls { environment in
      try FathomProcess(
        ["convert", ManifestTests.model, watched.path(target.model ?? target.output)]
          + target.options + often, environment: environment(watched.path))
    }
    for call in stride(from: calls % 5 + 1, through: calls, by: calls / 5) {
      let workspace = try Workspace()
      try convert(
        target, in: workspace, often, status: 128 + SIGKILL, mishap: Mishap(kind, at: call))
      try convert(target, in: workspace, often + ["--resume"])
      #expect(
        try contents(workspace.path(target.manifest)) == expected, "call \(call) of \(calls)")
    }
  }

  /// Interrupted after each fifth of the calls that such a run makes in its work.
  @Test(arguments: 1...4)
  func norDoesASourceThatIsDeletedOnTheWay(fifth: Int) throws {
    let target = ManifestTests.plain
    try convert(target)
    let more = ["--flush-every", "100KB", "--free-source", "--yes-delete-source"]
    let watched = try Workspace()
    let calls = try calls { environment in
      try FathomProcess(
        ["convert", try watched.copy(sample: "tiny-fp8"), watched.path("out")] + target.options
          + more, environment: environment(watched.path(".out")))
    }
    let other = try Workspace()
    let model = try other.copy(sample: "tiny-fp8")
    let run = try FathomProcess(
      ["convert", model, other.path("out")] + target.options + more,
      environment: Mishap("interrupt", at: calls * fifth / 5)
        .environment(below: other.path(".out")))
    #expect(run.status == 130, "call \(calls * fifth / 5) of \(calls)")
    try convert(target, of: model, in: other, more + ["--resume"])
    #expect(try !other.names("tiny-fp8").contains { $0.hasPrefix("model-") })
    #expect(try contents(other.path(target.manifest)) == contents(workspace.path(target.manifest)))
  }

  /// How many calls a run makes below a path that it is told of by an environment.
  private func calls(
    _ run: (_ environment: (_ below: String) -> [String: String]) throws -> FathomProcess
  ) throws -> Int {
    let log = try Workspace()
    let process = try run { Mishap.watching($0, log: log.path("calls")) }
    #expect(process.status == 0, "\(process.messages)")
    let calls = try contents(log.path("calls")).count { $0 == UInt8(ascii: "\n") }
    #expect(calls > 20)
    return calls
  }

  @Test func itCanBeLeftOut() throws {
    let target = ManifestTests.plain
    try convert(target, ["--no-manifest"])
    #expect(try !workspace.names("out").contains("fathom-manifest.json"))
    let run = try FathomProcess("validate", workspace.path("out"), "--manifest")
    #expect(run.status == 66)
    #expect(run.messages.contains("fathom-manifest.json"))
  }

  @Test func unfinishedWorkKeepsTheChoice() throws {
    let target = ManifestTests.plain
    let often = ["--flush-every", "200KB"]
    let watched = try Workspace()
    let calls = try calls { environment in
      try FathomProcess(
        ["convert", ManifestTests.model, watched.path("out")] + target.options + often,
        environment: environment(watched.path))
    }
    try convert(target, often, status: 130, mishap: Mishap("interrupt", at: calls / 2))
    let run = try convert(target, ["--resume", "--no-manifest"], status: 73)
    #expect(run.messages.contains(#"expected {"manifest":true}, found {"manifest":false}"#))
  }

  /// The manifest of a source stays with it; that of the output names it.
  @Test func chainsCanBeFollowed() throws {
    try convert(ManifestTests.targets[0])
    let first = workspace.path("out/fathom-manifest.json")
    try convert(ManifestTests.targets[3], of: workspace.path("out"))
    let second = try JSONDocument(
      String(decoding: contents(workspace.path("out.fathom-manifest.json")), as: UTF8.self))
    let text = try contents(first)
    #expect(second.string("source", "manifest")?.count == 64)
    let next = try Workspace()
    try convert(ManifestTests.targets[0], of: workspace.path("out"), in: next)
    let manifest = try JSONDocument(
      String(decoding: contents(next.path("out/fathom-manifest.json")), as: UTF8.self))
    #expect(manifest.string("source", "manifest") == second.string("source", "manifest"))
    #expect(try contents(first) == text)
    #expect(
      !manifest.list("output", "files").contains { $0.string("name") == "fathom-manifest.json" })
  }

  // MARK: Damage

  @Test func aDamagedTensorIsNamed() throws {
    try convert(ManifestTests.plain)
    let shards = try workspace.names("out").filter { $0.hasSuffix(".safetensors") }
    let path = workspace.path("out/\(try #require(shards.last))")
    var bytes = try contents(path)
    bytes[bytes.count - 1] ^= 1
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    #expect(try validate(workspace.path("out"), []).string("verdict") == "valid")
    let report = try validate(workspace.path("out"), status: 1)
    let findings = report.list("findings")
    #expect(findings.count == 1)
    #expect(findings.first?.string("rule") == "manifest-mismatch")
    let view = try JSONDocument(
      String(decoding: contents(workspace.path("out/fathom-manifest.json")), as: UTF8.self))
    let last = view.list("output", "tensors").last
    #expect(findings.first?.string("tensor") == last?.string("name"))
    #expect(findings.first?.string("expected") == "hash \(last?.string("hash") ?? "")")
  }

  @Test func aChangedFileIsNamed() throws {
    try convert(ManifestTests.plain)
    var config = try contents(workspace.path("out/config.json"))
    let space = try #require(config.firstIndex(of: UInt8(ascii: "\n")))
    config[space] = UInt8(ascii: " ")
    try workspace.write("out/config.json", config)
    let side = try #require(
      try workspace.names("out").first { $0.hasPrefix("generation_config") || $0.contains("token") }
    )
    try FileManager.default.removeItem(atPath: workspace.path("out/" + side))
    let findings = try validate(workspace.path("out"), status: 1).list("findings")
    #expect(Set(findings.map { $0.string("file") }) == ["config.json", side])
    #expect(findings.allSatisfy { $0.string("rule") == "manifest-mismatch" })
  }

  @Test func anotherModelsManifestIsRecognised() throws {
    try convert(ManifestTests.plain)
    try convert(ManifestTests.targets[3])
    let other = ["--manifest-file", workspace.path("out.fathom-manifest.json")]
    let findings = try validate(workspace.path("out"), other, status: 1).list("findings")
    #expect(findings.count == 1)
    #expect(findings.first?.string("hint") == "the manifest is that of another model")
    // Of the same names, but with other types: alike tensors are one finding.
    let next = try Workspace()
    try convert(ManifestTests.targets[0], in: next)
    let mixed = ["--manifest-file", next.path("out/fathom-manifest.json")]
    let report = try validate(workspace.path("out"), mixed, status: 1)
    #expect(report.list("findings").contains { ($0.integer("count") ?? 0) > 10 })
    #expect(report.list("findings").count < 80)
  }

  @Test(arguments: [
    "", "[]", "{}", "nonsense", #"{"schema": "fathom.manifest/3"}"#,
    #"{"schema": "fathom.manifest/2"}"#,
    #"{"schema": "fathom.manifest/1"}"#,
    #"{"schema": "fathom.hash/1", "tensors": []}"#,
    entry(#"{"name": "a"}"#), entry(#"{"name": "a", "type": "F32", "shape": [1], "hash": "00"}"#),
    entry(#"{"name": "a", "type": "F32", "shape": [-1], "hash": "\#(zeros)"}"#),
    entry(#"{"name": "a", "type": "F32", "shape": [99999999999999999999], "hash": "\#(zeros)"}"#),
    entry(String(repeating: "[", count: 100_000)),
    entry(
      [String](
        repeating: #"{"name": "a", "type": "F32", "shape": [1], "hash": "\#(zeros)"}"#, count: 2
      ).joined(separator: ",")),
    #"{"schema": "fathom.manifest/1", "source": {"tensors": []}, "output": {"tensors": [], "#
      + #""files": [{"name": "../x", "bytes": 1, "hash": "\#(zeros)"}]}}"#,
  ])
  func otherFilesAreNoManifests(text: String) throws {
    let path = try workspace.write("m.json", text.utf8)
    let run = try FathomProcess("validate", ManifestTests.model, "--manifest-file", path)
    #expect(run.status == 65 && run.messages.contains("m.json"), "\(run.messages)")
    #expect(run.messages.split(separator: "\n").count == 1)
  }

  private static let zeros = String(repeating: "0", count: 64)

  /// A manifest with these entries for tensors.
  private static func entry(_ text: String) -> String {
    #"{"schema": "fathom.manifest/1", "source": {"tensors": []}, "output": {"files": [], "#
      + #""tensors": [\#(text)]}}"#
  }
}
