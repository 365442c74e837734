import Foundation
import Support
import Testing

/// What `hash --check` compares: names to the byte, every line, the last one too.
@Suite struct HashListTests {
  let workspace: Workspace
  static let sample = Repository.samples + "/tiny-bf16"
  private static let plain = "model.norm.weight"

  init() throws { workspace = try Workspace() }

  /// The sample, in which a tensor has another name.
  private func model(_ folder: String, naming name: String) throws -> String {
    let copy = workspace.path(folder)
    try FileManager.default.copyItem(atPath: HashListTests.sample, toPath: copy)
    var file = try SafetensorsRewriter(copy + "/model.safetensors")
    file.rename(HashListTests.plain, to: name)
    try file.write()
    return copy
  }

  private func list(_ model: String, _ format: String, status: Int32 = 0) throws -> String {
    let path = workspace.path("list.\(format)")
    try? FileManager.default.removeItem(atPath: path)
    let run = try FathomProcess("hash", model, "--format", format, "-o", path)
    #expect(run.status == status, "\(run.messages)")
    return path
  }

  private func check(
    _ model: String, _ list: String, status: Int32 = 0
  ) throws -> JSONDocument {
    try JSONDocument(
      printedBy: ["hash", model, "--check", list], schema: "fathom.hash.2", status: status)
  }

  private static let long = String(repeating: "x", count: 400)

  /// Names that a reader, a normal form, an escape or a limit would take for each other.
  static let pairs: [(String, String)] = [
    ("caf\u{e9}", "cafe\u{301}"), ("a\\u{61}b", "aab"), ("a\\b", "a\\\\b"),
    ("a\u{200b}b", "a\\u{200b}b"), ("a\u{202e}b", "ab"), (long + "one", long + "two"),
    (long + "\u{2026}", long + "more"), ("x", "x "), ("", " "), ("\u{212b}", "\u{c5}"),
  ]

  @Test(arguments: pairs, ["text", "json"])
  func namesAreComparedToTheByte(pair: (String, String), format: String) throws {
    let (one, other) = (
      try model("one", naming: pair.0), try model("other", naming: pair.1)
    )
    let list = try list(one, format)
    #expect(try check(one, list).string("check", "verdict") == "same")
    let document = try check(other, list, status: 1)
    let problems = document.list("check", "differences").compactMap { $0.string("problem") }
    #expect(problems.sorted() == ["missing", "unexpected"])
    #expect(document.string("check", "checkpoint", "expected") != document.string("checkpoint"))
  }

  /// One name of several lines would stand for several tensors.
  @Test(arguments: ["a\nb", "a\u{7f}", "a\u{9b}31m", "\u{1b}[2J", "a\tb"])
  func namesWithControlCharactersAreRefused(name: String) throws {
    let model = try model("m", naming: name)
    let run = try FathomProcess("hash", model)
    #expect(run.status == 65 && run.output.isEmpty)
    let isEscaped = ["\\u{", "\\n", "\\t"].contains { run.messages.contains($0) }
    #expect(run.messages.contains("control character") && isEscaped)
    #expect(run.messages.split(separator: "\n").count == 1)
    let list = try list(HashListTests.sample, "text")
    #expect(try FathomProcess("hash", model, "--check", list).status == 65)
  }

  @Test(arguments: ["text", "json"])
  func everyLineIsCompared(format: String) throws {
    let path = try list(HashListTests.sample, format)
    let text = String(decoding: try contents(path), as: UTF8.self)
    let checkpoint = try #require(
      try JSONDocument(printedBy: ["hash", HashListTests.sample], schema: "fathom.hash.2")
        .string("checkpoint"))
    for (part, other, problem) in [
      (checkpoint, String(repeating: "0", count: 64), "different"),
      ("model.norm.weight", "model.norm.weighs", "missing"),
      (
        format == "text" ? "BF16 [80]  model.norm" : #""name":"model.norm.weight","type":"BF16""#,
        format == "text" ? "F16 [80]  model.norm" : #""name":"model.norm.weight","type":"F16""#,
        "different"
      ),
    ] {
      let compact = text.replacingOccurrences(of: "\": ", with: "\":").replacingOccurrences(
        of: ", \"", with: ",\"")
      let source = format == "text" ? text : compact
      let changed = source.replacingOccurrences(of: part, with: other)
      #expect(changed != source, "\(part)")
      let list = try workspace.write("changed", changed.utf8)
      let run = try FathomProcess("hash", HashListTests.sample, "--check", list)
      #expect(run.status == 1 && run.output.contains("\(problem): "), "\(run.output)")
      #expect(!run.output.contains("\nsame") && !run.output.hasPrefix("same"))
    }
  }

  @Test func aListWithoutItsLastLineSaysLess() throws {
    let path = try list(HashListTests.sample, "text")
    let lines = String(decoding: try contents(path), as: UTF8.self).split(separator: "\n")
    let list = try workspace.write("cut", lines.dropLast().joined(separator: "\n").utf8)
    let document = try check(HashListTests.sample, list)
    #expect(document.string("check", "verdict") == "incomplete")
    #expect(document.integer("check", "coverage", "notCompared") == 1)
    let run = try FathomProcess("hash", HashListTests.sample, "--check", list)
    #expect(run.output.contains("not compared: the hash of the whole checkpoint"))
    let shorter = try workspace.write("less", lines.dropLast(2).joined(separator: "\n").utf8)
    #expect(
      try check(HashListTests.sample, shorter, status: 1).string("check", "verdict") == "different")
  }

  /// What version 0.1 printed before its lists had a version.
  @Test(arguments: ["text", "json"])
  func oldListsAreReadAndSaidToBeOld(format: String) throws {
    let path = try list(HashListTests.sample, format)
    let old = String(decoding: try contents(path), as: UTF8.self)
      .replacingOccurrences(of: ", fathom.hash/2", with: "")
      .replacingOccurrences(of: "fathom.hash/2", with: "fathom.hash/1")
    let list = try workspace.write("old", old.utf8)
    let document = try check(HashListTests.sample, list)
    #expect(document.string("check", "verdict") == "same")
    let run = try FathomProcess("hash", HashListTests.sample, "--check", list)
    #expect(run.output.contains("note: the list is an old one (fathom.hash/1)"))
    let other = try workspace.write(
      "other", old.replacingOccurrences(of: "model.norm.", with: "model.form.").utf8)
    #expect(try FathomProcess("hash", HashListTests.sample, "--check", other).status == 1)
  }

  // MARK: Manifests

  private func manifest(_ options: String...) throws -> String {
    let run = try FathomProcess(
      ["convert", Repository.samples + "/tiny-fp8", workspace.path("out"), "--to", "hf"] + options)
    #expect(run.status == 0, "\(run.messages)")
    return workspace.path("out/fathom-manifest.json")
  }

  @Test func whatAManifestHasNoHashOfIsCounted() throws {
    let manifest = try manifest("--mtp", "drop")
    let source = Repository.samples + "/tiny-fp8"
    let document = try check(source, manifest)
    #expect(document.string("check", "verdict") == "incomplete")
    let count = try #require(document.integer("check", "coverage", "notCompared"))
    let all = try #require(document.integer("totals", "tensors"))
    // The hash of the whole checkpoint is not there either.
    #expect(count > 1)
    #expect(document.integer("check", "coverage", "compared") == all + 1 - count)
    let run = try FathomProcess("hash", source, "--check", manifest)
    #expect(run.output.contains("not compared: model.layers."))
    #expect(!run.output.contains("\nsame: ") && run.output.contains("same as far as compared"))
    // The output lacks those tensors, whose hashes nobody knows.
    let other = try check(workspace.path("out"), manifest, status: 1)
    #expect(other.integer("check", "coverage", "missing") == count - 1)
  }

  @Test func theHashOfAManifestsSourceIsCompared() throws {
    let document = try check(Repository.samples + "/tiny-fp8", manifest())
    #expect(document.string("check", "verdict") == "same")
    #expect(
      document.string("check", "checkpoint", "expected")
        == document.string("check", "checkpoint", "found"))
    #expect(document.integer("check", "coverage", "notCompared") == 0)
  }
}
