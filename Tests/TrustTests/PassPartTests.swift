import Formats
import Foundation
import Platform
import Support
import Testing

/// `imatrix` that several runs divide among themselves.
@Suite struct PassPartTests {
  private let workspace: Workspace

  init() throws { workspace = try Workspace() }

  private func path(_ sample: String) -> String { Repository.samples + "/" + sample }

  /// Sequences of several lengths, of which one ends before any MTP layer.
  private func tokens(_ name: String = "tokens.json", from first: Int = 3) throws -> String {
    let lengths = [50, 1, 20, 33, 2]
    let sequences = lengths.enumerated().map { sequence, length in
      (0..<length).map { first + (sequence * 31 + $0 * 7) % 200 }
    }
    try workspace.write(name, Array("\(sequences)".utf8))
    return workspace.path(name)
  }

  private func folder(_ name: String) throws -> String {
    let place = workspace.path(name)
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
    return place
  }

  private func imatrix(_ sample: String, _ more: [String] = []) throws -> [String] {
    try ["imatrix", path(sample), "--tokens", tokens()] + more
  }

  /// Seven parts of five sequences: some have nothing to do.
  @Test(
    arguments: [
      ("tiny-mtp2", []), ("tiny-fp8", ["--process-output"]), ("tiny-v5", ["--mtp", "drop"]),
      ("tiny-glm52", []),
    ], [1, 2, 3, 7])
  func partsMakeTheMatrixOfOneRun(model: (sample: String, more: [String]), count: Int) throws {
    let command = try imatrix(model.sample, model.more)
    let output = ["-o", workspace.path("matrix.gguf"), "--overwrite"]
    let whole = try DividedRuns.run(command, output)
    let expected = try contents(workspace.path("matrix.gguf"))
    let parts = try folder("parts")
    try DividedRuns.runParts(command, count, into: parts)
    let merged = try DividedRuns.run(command, output + ["--finish", "--parts", parts])
    #expect(try contents(workspace.path("matrix.gguf")) == expected)
    #expect(merged.output == whole.output)
    #expect(merged.messages == whole.messages)
  }

  /// What says how the matrix is written goes with `--finish`, and parts can be finished twice.
  @Test func aFinishedMatrixHasOtherRunsAddedAndAnyFormat() throws {
    let command = try imatrix("tiny-fp8")
    let other = workspace.path("other.gguf")
    try DividedRuns.run(
      ["imatrix", path("tiny-fp8"), "--tokens", try tokens("other.json", from: 11)], ["-o", other])
    let parts = try folder("parts")
    try DividedRuns.runParts(command, 2, into: parts)
    for more in [["--merge", other], ["--output-format", "dat"], ["--format", "json"]] {
      let output = ["-o", workspace.path("matrix"), "--overwrite"] + more
      let whole = try DividedRuns.run(command, output)
      let expected = try contents(workspace.path("matrix"))
      let merged = try DividedRuns.run(command, output + ["--finish", "--parts", parts])
      #expect(merged.output == whole.output)
      #expect(try contents(workspace.path("matrix")) == expected)
    }
  }

  @Test func aPartsFileHasItsSchema() throws {
    let parts = try folder("parts")
    try DividedRuns.runParts(imatrix("tiny-fp8"), 2, into: parts)
    let document = try JSONDocument(
      String(decoding: contents(parts + "/imatrix-1-of-2.json"), as: UTF8.self))
    #expect(try JSONSchema(named: "fathom.part.1").faults(in: document).isEmpty)
  }

  @Test func whatIsMissingDamagedOrForeignIsNamed() throws {
    let command = try imatrix("tiny-fp8")
    let parts = try folder("parts")
    try DividedRuns.runParts(command, 3, into: parts)
    let output = ["-o", workspace.path("matrix.gguf"), "--finish", "--parts", parts]
    func refusal(_ command: [String], _ status: Int32) throws -> String {
      let messages = try DividedRuns.run(command, output, status: status).messages
      #expect(try !workspace.names().contains("matrix.gguf"))
      return messages
    }
    let model = try refusal(imatrix("tiny-fp8-block32"), 65)
    #expect(model.contains("imatrix-1-of-3.json: is the result of other work: expected model"))
    let text = try refusal(
      ["imatrix", path("tiny-fp8"), "--tokens", try tokens("other.json", from: 11)], 65)
    #expect(text.contains("expected work \"106 tokens in 5 sequences"), "\(text)")
    #expect(text.contains("run it again with these"))
    for option in [["--mtp", "drop"], ["--process-output"]] {
      let message = try refusal(command + option, 65)
      #expect(message.contains("\(option.joined(separator: " "))\", found \"106 "), "\(message)")
    }
    for name in ["imatrix-2-of-3.numbers", "imatrix-2-of-3.json"] {
      let file = parts + "/" + name
      let bytes = try contents(file)
      for place in [0, bytes.count / 2, bytes.count - 1] {
        var damaged = bytes
        damaged[place] ^= 1
        try Data(damaged).write(to: URL(fileURLWithPath: file))
        let message = try refusal(command, 65)
        #expect(message.contains(name), "byte \(place): \(message)")
      }
      try Data(bytes.dropLast()).write(to: URL(fileURLWithPath: file))
      #expect(try refusal(command, 65).contains(name))
      try FileManager.default.removeItem(atPath: file)
      #expect(try refusal(command, 66).contains("2"))
      try Data(bytes).write(to: URL(fileURLWithPath: file))
    }
    // Another version's, sealed as its own would be.
    let file = parts + "/imatrix-3-of-3.json"
    let bytes = try contents(file)
    let old = ExactText(String(decoding: bytes.dropLast(ManifestSeal.byteCount), as: UTF8.self))
    let body = Array(
      old.replacing("\"version\": \"", with: "\"version\": \"9").text.utf8)
    try Data(body + Array(ManifestSeal.text(BLAKE3.hash(body)).utf8)).write(
      to: URL(fileURLWithPath: file))
    #expect(try refusal(command, 65).contains("imatrix-3-of-3.json: is the result of other work"))
    try Data(bytes).write(to: URL(fileURLWithPath: file))
    try DividedRuns.run(command, output)
  }

  /// A part that is killed at calls all over it leaves nothing that is taken for its result, and
  /// begins anew.
  @Test(arguments: ["kill", "interrupt", "powercut"])
  func aKilledPartBeginsAnew(kind: String) throws {
    let command = try imatrix("tiny-fp8")
    try DividedRuns.run(command, ["-o", workspace.path("whole.gguf")])
    let log = try Workspace()
    let watched = try Workspace()
    _ = try FathomProcess(
      command + ["--part", "2/2", "--parts", watched.path],
      environment: Mishap.watching(watched.path, log: log.path("calls")))
    let calls = try contents(log.path("calls")).count { $0 == UInt8(ascii: "\n") }
    #expect(calls > 5)
    for call in stride(from: 1, through: calls, by: max(1, calls / 6)) {
      let parts = try Workspace()
      try DividedRuns.run(command, ["--part", "1/2", "--parts", parts.path])
      let broken = try FathomProcess(
        command + ["--part", "2/2", "--parts", parts.path],
        environment: Mishap(kind, at: call).environment(below: parts.path))
      #expect([0, 130, 128 + SIGKILL].contains(broken.status), "\(call): \(broken.messages)")
      let output = ["-o", workspace.path("matrix.gguf"), "--overwrite"]
      let finish = output + ["--finish", "--parts", parts.path]
      if try !parts.names().contains("imatrix-2-of-2.json") {
        let early = try DividedRuns.run(command, finish, status: 66)
        #expect(early.messages.contains("imatrix") && early.messages.contains("2"))
      }
      try DividedRuns.run(command, ["--part", "2/2", "--parts", parts.path])
      try DividedRuns.run(command, finish)
      #expect(
        try contents(workspace.path("matrix.gguf")) == contents(workspace.path("whole.gguf")),
        "call \(call)")
    }
  }

  @Test func partsTakeTheirNumberFromAnEngine() throws {
    let command = try imatrix("tiny-fp8")
    let parts = try folder("parts")
    for task in 0...1 {
      let part = try FathomProcess(
        command + ["--part", "auto/2", "--parts", parts],
        environment: ["JOB_COMPLETION_INDEX": "\(task)"])
      #expect(part.status == 0 && part.output.hasPrefix("part \(task + 1)/2: "))
    }
    try DividedRuns.run(
      command, ["-o", workspace.path("matrix.gguf"), "--finish", "--parts", parts])
  }

  @Test func whatDoesNotGoWithPartsIsRefused() throws {
    let parts = try folder("parts")
    let other = workspace.path("other.gguf")
    for more in [
      ["--part", "1/2"], ["--finish"], ["--parts", parts], ["--part", "3/2", "--parts", parts],
      ["--part", "1/2", "--finish", "--parts", parts],
      ["--part", "1/2", "--parts", parts, "--format", "json"],
      ["--part", "1/2", "--parts", parts, "--merge", other],
    ] {
      try DividedRuns.run(imatrix("tiny-fp8"), more, status: 64)
    }
    try DividedRuns.run(["imatrix", "--merge", other], ["--finish", "--parts", parts], status: 64)
    #expect(try FileManager.default.contentsOfDirectory(atPath: parts).isEmpty)
  }
}
