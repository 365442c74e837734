import Foundation
import Support
import Testing

/// Packing and unpacking while calls of the system fail, or somebody presses Ctrl-C: the output is
/// complete or absent, and nothing else stays behind.
@Suite struct PackFailureTests {
  private static let model = Repository.samples + "/tiny-fp8"

  @Test(arguments: ["pack", "unpack"], ["\(EIO)", "\(ENOSPC)", "interrupt", "kill"])
  func theOutputIsCompleteOrAbsent(command: String, kind: String) throws {
    let source = try Workspace()
    var input = PackFailureTests.model
    if command == "unpack" {
      input = source.path("packed")
      #expect(try FathomProcess("pack", PackFailureTests.model, input).status == 0)
    }
    let log = try Workspace()
    let workspace = try Workspace()
    let whole = try FathomProcess(
      [command, input, workspace.path("out")],
      environment: Mishap.watching(workspace.path, log: log.path("calls")))
    #expect(whole.status == 0, "\(whole.messages)")
    let expected = try files(workspace.path("out"))
    let calls = try contents(log.path("calls")).count { $0 == UInt8(ascii: "\n") }
    #expect(calls > 10)
    for call in stride(from: 1, through: calls, by: max(1, calls / 12)) {
      let workspace = try Workspace()
      let mishap = Mishap(kind, at: call, stays: kind == "\(ENOSPC)")
      let run = try FathomProcess(
        [command, input, workspace.path("out")],
        environment: mishap.environment(below: workspace.path))
      // Some calls may fail without harm.
      let codes: Set<Int32> =
        switch kind {
        case "interrupt": [0, 130]
        case "kill": [128 + SIGKILL]
        default: [0, 73, 74]
        }
      #expect(codes.contains(run.status), "call \(call): \(run.status): \(run.messages)")
      let names = try workspace.names()
      if names.contains("out") {
        #expect(try files(workspace.path("out")) == expected, "call \(call)")
      }
      if run.status == 0 { #expect(names.contains("out"), "call \(call)") }
      if kind == "interrupt", run.status != 0 {
        #expect(names.isEmpty, "call \(call) leaves \(names)")
      }
      let again = try FathomProcess(
        [command, input, workspace.path("out")] + (names.contains("out") ? ["--overwrite"] : []))
      #expect(again.status == 0, "call \(call): \(again.messages)")
      #expect(try files(workspace.path("out")) == expected, "call \(call)")
      #expect(try workspace.names() == ["out"], "call \(call)")
    }
  }
}
