import Foundation
import Support
import Testing

/// What the command finds when it is started, and what it does before anything else.
@Suite struct LaunchTests {
  private let workspace: Workspace
  private let model: String

  init() throws {
    workspace = try Workspace()
    model = try workspace.copy(sample: "tiny-bf16")
  }

  /// Runs a line of the shell in the workspace, `fathom` being the command, which alone has the
  /// environment.
  private func shell(
    _ line: String, _ environment: [String: String] = [:]
  ) throws -> FathomProcess {
    let words = environment.map { "'\($0)=\($1)'" }.joined(separator: " ")
    return try FathomProcess(
      program: "/bin/sh",
      ["-c", "fathom() { exec env \(words) '\(FathomProcess.path)' \"$@\"; }; \(line)"],
      environment: [:], folder: workspace.path)
  }

  private static let toHF = ["--to", "hf", "--quant", "f32", "--threads", "1"]

  @Test(arguments: ["<&- >&- 2>&-", "<&- 2>&-", ">&- 2>&-", "2>&-"])
  func closedDescriptorsTakeNoFile(closed: String) throws {
    let expected = workspace.path("expected")
    #expect(try FathomProcess(["convert", model, expected] + LaunchTests.toHF).status == 0)
    // A line of progress is due while a file is being written.
    let mishap = Mishap("wait", at: 40, name: "pread").environment(below: model)
    let line =
      "fathom convert tiny-bf16 out --progress always \(LaunchTests.toHF.joined(separator: " "))"
    let run = try shell("(\(line) \(closed)) ; exit $?", mishap)
    // Nobody can be told what was done where standard output is closed.
    #expect(run.status == (closed.contains(">&- ") ? 74 : 0))
    for (name, bytes) in try files(expected) {
      #expect(try contents(workspace.path("out/\(name)")) == bytes, "\(name)")
    }
  }

  @Test func aHangUpEndsLikeATermination() throws {
    try workspace.write("tokens.json", "[[1, 2, 3, 4], [5, 6, 7, 8]]".utf8)
    let mishap = Mishap("hangup", at: 40, name: "pread").environment(below: model)
    let logits = try FathomProcess(
      ["logits", model, "--tokens", workspace.path("tokens.json"), "-o", workspace.path("l")],
      environment: mishap)
    #expect(logits.status == 130, "\(logits.messages)")
    #expect(try workspace.names() == ["tiny-bf16", "tokens.json"])
    let run = try FathomProcess(
      ["convert", model, workspace.path("out")] + LaunchTests.toHF, environment: mishap)
    #expect(run.status == 130)
    #expect(run.messages.contains("--resume goes on from there"), "\(run.messages)")
    let resumed = try FathomProcess(
      ["convert", model, workspace.path("out"), "--resume"] + LaunchTests.toHF)
    #expect(resumed.status == 0, "\(resumed.messages)")
  }

  @Test func aHangUpThatIsIgnoredStaysSo() throws {
    let mishap = Mishap("hangup", at: 40, name: "pread").environment(below: model)
    let line = "fathom convert tiny-bf16 out \(LaunchTests.toHF.joined(separator: " "))"
    #expect(try shell("trap '' HUP; \(line)", mishap).status == 0)
  }

  @Test(arguments: [
    ["--help"], ["--version"], ["--version", "--verbose"], ["help"], ["convert", "--help"],
    ["help", "verify"], ["--generate-completion-script", "bash"],
  ])
  func helpThatCannotBeWrittenIsNotGiven(arguments: [String]) throws {
    #expect(try FathomProcess.toFullDevice(arguments).status == 74)
    let run = try FathomProcess(arguments)
    #expect(run.status == 0)
    #expect(run.output.hasSuffix("\n") && run.messages.isEmpty)
  }

  @Test func wrongUsageIsStillSaid() throws {
    let run = try FathomProcess("convert", "--to", "nothing")
    #expect(run.status == 64)
    #expect(run.output.isEmpty)
    #expect(run.messages.hasPrefix("Error: "))
  }

  @Test func aSlipIsNamed() throws {
    func said(_ arguments: String...) throws -> String {
      let run = try FathomProcess(arguments)
      #expect(run.status == 64 && run.output.isEmpty, "\(run.messages)")
      return run.messages
    }
    #expect(try said("valdiate", model).contains("did you mean fathom validate?"))
    #expect(try said("Inspct", model).contains("did you mean fathom inspect?"))
    #expect(try !said("quantize", model).contains("did you mean"))
    func quant(_ type: String, to target: String) throws -> String {
      try said("convert", model, workspace.path("x"), "--to", target, "--quant", type)
    }
    #expect(try quant("q4km", to: "gguf").contains("did you mean q4_k_m? There are f32, "))
    #expect(try quant("bf61", to: "hf").contains("did you mean bf16? There are "))
    #expect(try quant("int4-g23", to: "compressed-tensors").contains("did you mean int4-g32? "))
    #expect(try !quant("nothing", to: "gguf").contains("did you mean"))
  }

  @Test(arguments: [5, 6, 7, 8, 9, 10, 11, 12])
  func tooFewOpenFilesLeaveNothingBehind(limit: Int) throws {
    let line = "fathom convert tiny-bf16 out \(LaunchTests.toHF.joined(separator: " "))"
    let run = try shell("ulimit -n \(limit); \(line)")
    #expect(run.status == 73 || run.status == 74, "\(run.messages)")
    #expect(run.messages.contains("ulimit -n"), "\(run.messages)")
    #expect(try workspace.names() == ["tiny-bf16"])
  }

  @Test func theLimitOfOpenFilesIsRaisedAsFarAsItMay() throws {
    let shards = workspace.path("many")
    let run = try FathomProcess(
      ["convert", model, shards, "--max-shard-size", "20KB"] + LaunchTests.toHF)
    #expect(run.status == 0, "\(run.messages)")
    try #require(try workspace.names("many").count > 40)
    let inspected = try shell("ulimit -S -n 20; fathom inspect many")
    #expect(inspected.status == 0, "\(inspected.messages)")
  }
}
