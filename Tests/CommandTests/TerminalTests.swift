import Foundation
import Support
import Tensors
import Testing

/// How commands speak: errors for programs, silence, colours, progress.
@Suite struct TerminalTests {
  private static let malformed = MalformedTests.folder

  private func errorObject(_ arguments: [String], status: Int32) throws -> JSONDocument {
    let run = try FathomProcess(arguments)
    #expect(run.status == status, "\(run.messages)")
    let last = try #require(run.messages.split(separator: "\n").last)
    let document = try JSONDocument(String(last))
    let faults = try JSONSchema(named: "fathom.error.1").faults(in: document)
    #expect(faults.isEmpty, "\(faults)")
    #expect(document.integer("exitCode") == Int(status))
    return document
  }

  @Test func errorsAreObjectsForPrograms() throws {
    let absent = try errorObject(["inspect", "nowhere", "--format", "json"], status: 66)
    #expect(absent.string("kind") == "not-found" && absent.string("file") == "nowhere")
    let usage = try errorObject(["inspect", "--format=json"], status: 64)
    #expect(usage.string("kind") == "usage")
    #expect(usage.string("message")?.contains("model") == true)
    let unknown = try errorObject(["types", "ggfu", "--format", "json"], status: 64)
    #expect(unknown.string("message")?.contains("did you mean gguf?") == true)
    let path = Repository.samples + "/hostile-gguf/offset-odd.gguf"
    let broken = try errorObject(["inspect", path, "--format", "json"], status: 65)
    #expect(broken.string("kind") == "malformed" && broken.string("tensor") != nil)
    #expect((broken.integer("offset") ?? 0) > 0 && broken.string("expected") != nil)
    let taken = try errorObject(
      [
        "convert", MetadataPlaces.sample, Repository.samples, "--to", "hf", "--format", "json",
      ], status: 73)
    #expect(taken.string("kind") == "cannot-create")
  }

  @Test func peopleGetNone() throws {
    let run = try FathomProcess("inspect", "nowhere")
    #expect(run.status == 66 && !run.messages.contains("fathom.error/1"))
    // A verdict is no error.
    let invalid = try FathomProcess(
      "validate", TerminalTests.malformed + "/missing-tensor", "--format", "json")
    #expect(invalid.status == 1 && invalid.messages.isEmpty, "\(invalid.messages)")
  }

  @Test func quietLeavesWarningsOut() throws {
    let workspace = try Workspace()
    func convert(_ name: String, _ more: String...) throws -> FathomProcess {
      try FathomProcess(
        [
          "convert", MetadataPlaces.sample, workspace.path(name), "--to", "gguf", "--quant",
          "q4_k_m",
        ] + more)
    }
    #expect(try convert("a.gguf").messages.contains("warning: "))
    let quiet = try convert("b.gguf", "--quiet")
    #expect(quiet.status == 0 && quiet.messages.isEmpty, "\(quiet.messages)")
    let failed = try convert("b.gguf", "--quiet")
    #expect(failed.status == 73 && failed.messages.contains("exists already"))
  }

  /// Each step has a line with the seconds so far, files and numbers in it; results stay as they are.
  @Test func verboseSaysEveryStep() throws {
    let (model, workspace) = (Repository.samples + "/tiny-bf16", try Workspace())
    func steps(_ arguments: String...) throws -> [String] {
      let plain = try FathomProcess(arguments)
      let run = try FathomProcess(arguments + ["--verbose", "--overwrite"])
      #expect(run.status == 0 && plain.status == 0, "\(run.messages) \(plain.messages)")
      #expect(!plain.messages.contains(" s: "))
      if arguments[0] == "hash" { #expect(run.output == plain.output) }
      return run.messages.split(separator: "\n").compactMap { line in
        let words = line.split(separator: " ", maxSplits: 3)
        guard words.count == 4, words[0] == "fathom:", words[2] == "s:" else { return nil }
        #expect(Double(words[1]).map { $0 >= 0 } == true)
        return String(words[3])
      }
    }
    let report = workspace.path("report.json")
    let verify = try steps(
      "verify", model, model, "--format", "json", "-o", report)
    #expect(verify.first?.hasPrefix("started: fathom ") == true)
    #expect(verify.first?.contains("kernels ") == true)
    for (beginning, count) in [
      ("opened \(model): ", 2), ("found ", 2), ("planned the pass: ", 1), ("went through ", 1),
      ("wrote \(report): ", 1),
    ] {
      #expect(verify.count { $0.hasPrefix(beginning) } == count, "\(beginning): \(verify)")
    }
    let hash = try steps("hash", model)
    #expect(hash.contains { $0.hasPrefix("went through ") && $0.hasSuffix(" MB/s") }, "\(hash)")
    let gguf = try steps(
      "convert", model, workspace.path("model.gguf"), "--to", "gguf", "--quant", "q8_0")
    #expect(gguf.contains { $0.hasPrefix("planned ") && $0.contains("threads ") }, "\(gguf)")
    let both = try FathomProcess("inspect", model, "--verbose", "--quiet")
    #expect(both.status == 64 && both.messages.contains("exclude each other"))
  }

  @Test func verdictsHaveColours() throws {
    let red = "\u{1B}[31m"
    let invalid = TerminalTests.malformed + "/missing-tensor"
    let plain = try FathomProcess("validate", invalid)
    #expect(!plain.output.contains("\u{1B}"))
    let coloured = try FathomProcess("validate", invalid, "--color", "always")
    #expect(coloured.output.contains("\(red)error:\u{1B}[0m missing-tensor"))
    #expect(coloured.output.contains("\(red)invalid\u{1B}[0m: "))
    let stripped = coloured.output.replacing(/\u{1B}\[[0-9]+m/, with: "")
    #expect(stripped == plain.output)
    let valid = try FathomProcess("validate", MetadataPlaces.sample, "--color", "always")
    #expect(valid.output.contains("\u{1B}[32mvalid\u{1B}[0m: "))
    let json = try FathomProcess("validate", invalid, "--color", "always", "--format", "json")
    #expect(!json.output.contains("\u{1B}"))
    // A report in a file has none.
    let workspace = try Workspace()
    let report = workspace.path("report")
    let sample = MetadataPlaces.sample
    let diff = try FathomProcess(
      "diff", sample, sample, "--min-sqnr", "1", "--color", "always", "-o", report)
    let written = try contents(report)
    #expect(diff.status == 0 && !written.isEmpty && !written.contains(0x1B))
    let shown = try FathomProcess("diff", sample, sample, "--min-sqnr", "1", "--color", "always")
    #expect(shown.output.contains("\u{1B}[32mpass\u{1B}[0m"))
  }

  /// A matrix of zeros that takes a while to be read and nothing on the disk.
  @Test func readingTellsItsProgress() throws {
    let workspace = try Workspace()
    try workspace.write("config.json", contents(TerminalTests.malformed + "/none/config.json"))
    let fixture = SafetensorsFixture([("w.weight", .bf16, [1_500_000, 1024])])
    let path = try workspace.write("model.safetensors", fixture.header)
    let file = try #require(FileHandle(forWritingAtPath: path))
    try file.truncate(atOffset: UInt64(fixture.header.count + 1_500_000 * 1024 * 2))
    try file.close()
    let arguments = ["inspect", workspace.path, "--stats", "--threads", "1"]
    let shown = try FathomProcess(arguments + ["--progress", "always"])
    #expect(shown.status == 0 && shown.messages.contains(" of 3072 MB  "), "\(shown.messages)")
    #expect(try FathomProcess(arguments).messages.isEmpty)
  }
}

/// A sample that is one file.
enum MetadataPlaces {
  static let sample = Repository.samples + "/tiny-bf16"
}
