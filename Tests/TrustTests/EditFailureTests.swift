import Foundation
import Support
import Testing

/// Metadata are changed while calls of the system fail or the program is killed: the file is as it was
/// or as it should be, at the latest once somebody edits it again.
@Suite struct EditFailureTests {
  private static let sample = Repository.samples + "/tiny-bf16"

  /// One change that fits, and one that does not.
  @Test(
    arguments: [
      "deepseek2.context_length=u32:4096", "general.name=str:a much longer name than before",
    ],
    ["\(EIO)", "\(ENOSPC)", "kill"])
  func theFileIsOldOrNew(change: String, kind: String) throws {
    let source = try Workspace()
    let model = source.path("model.gguf")
    #expect(
      try FathomProcess(
        "convert", EditFailureTests.sample, model, "--to", "gguf", "--quant", "q8_0",
        "--no-manifest"
      ).status == 0)
    let old = try contents(model)
    func copied() throws -> (workspace: Workspace, path: String) {
      let workspace = try Workspace()
      return (workspace, try workspace.write("model.gguf", old))
    }
    let log = try Workspace()
    let (whole, path) = try copied()
    let run = try FathomProcess(
      ["edit", path, "--set", change],
      environment: Mishap.watching(whole.path, log: log.path("calls")))
    #expect(run.status == 0, "\(run.messages)")
    let new = try contents(path)
    #expect(new != old)
    let calls = try contents(log.path("calls")).count { $0 == UInt8(ascii: "\n") }
    #expect(calls > 5)
    for call in 1...calls {
      let (workspace, path) = try copied()
      let mishap = Mishap(kind, at: call)
      let run = try FathomProcess(
        ["edit", path, "--set", change], environment: mishap.environment(below: workspace.path))
      if kind != "kill" {
        #expect([0, 73, 74].contains(run.status), "call \(call): \(run.status): \(run.messages)")
        let now = try contents(path)
        #expect(now == old || now == new, "call \(call): \(run.messages)")
        if run.status == 0 { #expect(now == new, "call \(call)") }
      }
      let again = try FathomProcess("edit", path, "--set", change)
      #expect(again.status == 0, "call \(call): \(again.messages)")
      #expect(try contents(path) == new, "call \(call)")
      let undo = try workspace.names().filter { $0.hasSuffix(".fathom-undo") }
      #expect(undo.isEmpty, "call \(call)")
    }
  }

  /// Old bytes that a run which was killed has left are put back, and damaged ones are refused.
  @Test func whatWasCutOffIsPutBack() throws {
    let workspace = try Workspace()
    let model = workspace.path("model.gguf")
    #expect(
      try FathomProcess(
        "convert", EditFailureTests.sample, model, "--to", "gguf", "--quant", "q8_0",
        "--no-manifest"
      ).status == 0)
    let change = "deepseek2.context_length=u32:4096"
    // Killed while the file itself is written.
    let mishap = Mishap("kill", at: 1, name: "pwrite", target: model)
    let killed = try FathomProcess(
      ["edit", model, "--set", change], environment: mishap.environment(below: workspace.path))
    #expect(killed.status == 128 + SIGKILL, "\(killed.messages)")
    let undo = workspace.path(".model.gguf.fathom-undo")
    let kept = try contents(undo)
    try workspace.write(".model.gguf.fathom-undo", kept.dropLast() + [kept[kept.count - 1] ^ 1])
    let damaged = try FathomProcess("edit", model, "--set", change)
    #expect(
      damaged.status == 65 && damaged.messages.contains("no undo file"), "\(damaged.messages)")
    try workspace.write(".model.gguf.fathom-undo", kept)
    let again = try FathomProcess("edit", model, "--set", "deepseek2.context_length=u32:8192")
    #expect(again.status == 0 && again.messages.contains("put back first"), "\(again.messages)")
    #expect(try workspace.names() == ["model.gguf"])
  }
}
