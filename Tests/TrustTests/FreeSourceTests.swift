import Foundation
import Support
import Testing

/// Conversions that delete their source on the way.
@Suite struct FreeSourceTests {
  private let confirmed = ["--free-source", "--yes-delete-source"]

  private func convert(
    _ model: String, _ workspace: Workspace, _ more: [String], _ mishap: Mishap? = nil
  ) throws -> FathomProcess {
    try FathomProcess(
      ["convert", model, workspace.path("out"), "--to", "hf", "--flush-every", "100KB"] + more,
      environment: mishap.map {
        $0.environment(below: workspace.path($0.counted == nil ? ".out" : "tiny-fp8"))
      } ?? [:])
  }

  private func shards(_ workspace: Workspace) throws -> [String] {
    try workspace.names("tiny-fp8").filter { $0.hasPrefix("model-") }
  }

  private func expectSame(_ workspace: Workspace, _ more: [String] = []) throws {
    let other = try Workspace()
    let run = try convert(Repository.samples + "/tiny-fp8", other, more)
    #expect(run.status == 0)
    #expect(try workspace.names("out") == other.names("out"))
    for name in try other.names("out") {
      #expect(
        try contents(workspace.path("out/" + name)) == contents(other.path("out/" + name)),
        "\(name)")
    }
  }

  @Test func itIsAskedForTwice() throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "tiny-fp8")
    for flag in confirmed {
      let run = try convert(model, workspace, [flag])
      #expect(run.status == 64)
      #expect(run.messages.contains(flag))
    }
    #expect(try shards(workspace).count == 3)
    let run = try convert(model, workspace, confirmed + ["--format", "json"])
    #expect(run.status == 0, "\(run.messages)")
    let result = try JSONDocument(run.output)
    #expect(try JSONSchema(named: "fathom.convert.1").faults(in: result).isEmpty)
    #expect(result.integer("sourceFilesDeleted") == 3)
    #expect(try shards(workspace).isEmpty)
    #expect(try workspace.names("tiny-fp8").contains("config.json"))
    try expectSame(workspace)
  }

  @Test func aRunGoesOnAlthoughShardsAreGone() throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "tiny-fp8")
    let more = ["--quant", "bf16", "--max-shard-size", "500KB"] + confirmed
    let first = try convert(
      model, workspace, more,
      Mishap("interrupt", at: 1, name: "unlink", counted: model + "/model-"))
    #expect(first.status == 130, "\(first.messages)")
    #expect(first.messages.contains("do not remove that folder"))
    let left = try shards(workspace)
    #expect(!left.isEmpty && left.count < 3)
    // What is nowhere else must not be thrown away.
    for other in [[], ["--overwrite"], ["--resume", "--mtp", "drop"]] {
      let run = try convert(model, workspace, more + other)
      #expect(run.status == 73, "\(run.messages)")
      #expect(!run.messages.contains("or --overwrite"))
    }
    #expect(try shards(workspace) == left)
    let run = try convert(model, workspace, more + ["--resume"])
    #expect(run.status == 0, "\(run.messages)")
    #expect(try shards(workspace).isEmpty)
    try expectSame(workspace, ["--quant", "bf16", "--max-shard-size", "500KB"])
  }

  /// A run may be killed when its output has its name: what it leaves then is no copy of anything.
  @Test(arguments: ["hf", "gguf"], ["marked", "unmarked", "emptied"])
  func whatAFinishedRunHasLeftGoes(target: String, state: String) throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "tiny-fp8")
    let name = target == "hf" ? "out" : "out.gguf"
    let command = [
      "convert", model, workspace.path(name), "--to", target, "--quant", "bf16", "--free-source",
      "--yes-delete-source", "--resume",
    ]
    let work = ".\(name).fathom-part"
    let mishap = Mishap(
      "kill", at: state == "emptied" ? 2 : 1, name: "rmdir", counted: workspace.path(work))
    let killed = try FathomProcess(command, environment: mishap.environment(below: workspace.path))
    #expect(killed.status == 128 + SIGKILL, "\(killed.messages)")
    #expect(try workspace.names().contains(work))
    if state == "unmarked" {
      // As if it had been killed before the note that nothing in it is needed.
      for file in ["journal", "journal-copy"] {
        let lines = try contents(workspace.path("\(work)/\(file)")).split(
          separator: UInt8(ascii: "\n"))
        #expect(lines.last?.contains(Array("expendable".utf8)) == true)
        let kept = lines.dropLast().flatMap { $0 + [UInt8(ascii: "\n")] }
        try workspace.write("\(work)/\(file)", kept)
      }
      // Where the output is not what was noted, it stays.
      let part = target == "hf" ? "out/model.safetensors" : name
      let whole = try contents(workspace.path(part))
      try workspace.write(part, whole.dropLast())
      #expect(try FathomProcess(command).status == 66)
      #expect(try workspace.names().contains(work))
      try workspace.write(part, whole)
    } else if state == "marked" {
      let status = try FathomProcess("resume", "--status", workspace.path(name)).output
      #expect(status.contains("  only copy no"), "\(status)")
    }
    let again = try FathomProcess(command)
    #expect(again.status == 66 && again.messages.contains("is there: if an earlier run deleted"))
    #expect(try !workspace.names().contains(work))
    #expect(try FathomProcess("validate", workspace.path(name), "--deep").status == 0)
  }

  @Test func damageToTheOnlyCopyIsSaid() throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "tiny-fp8")
    let more = ["--max-shard-size", "400KB"] + confirmed
    let mishap = Mishap("interrupt", at: 2, name: "unlink", counted: model + "/model-")
    #expect(try convert(model, workspace, more, mishap).status == 130)
    #expect(try shards(workspace).count < 3)
    let folder = ".out.fathom-part/output/"
    let name = try #require(try workspace.names(folder).first { $0.contains("-00002-") })
    let path = workspace.path(folder + name)
    let handle = try #require(FileHandle(forUpdatingAtPath: path))
    try handle.seek(toOffset: 100_000)
    try handle.write(contentsOf: Data([1, 2, 3]))
    try handle.close()
    let run = try convert(model, workspace, more + ["--resume"])
    #expect(run.status == 74, "\(run.messages)")
    #expect(run.messages.contains("has been deleted, and what was made from it is damaged"))
    #expect(try workspace.names().contains(".out.fathom-part"))
  }

  @Test func aShardOfWhichTheOutputLacksATensorStays() throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "tiny-fp8")
    let run = try convert(model, workspace, confirmed + ["--mtp", "drop"])
    #expect(run.status == 0)
    #expect(run.messages.contains("3 source files stay, of which the output lacks a tensor"))
    #expect(try shards(workspace).count == 3)
  }

  @Test func whatMayServeOthersIsNotDeleted() throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "tiny-fp8")
    func refuses(_ model: String, _ part: String, _ more: [String] = []) throws {
      let run = try convert(model, workspace, confirmed + more)
      #expect(run.status == 64)
      #expect(run.messages.contains(part), "\(run.messages)")
      #expect(try !workspace.names().contains("out"))
    }
    let name = "model-00002-of-00003.safetensors"
    let files = FileManager.default
    try files.linkItem(atPath: "\(model)/\(name)", toPath: workspace.path("other"))
    try refuses(model, "\(name): has other names")
    try files.removeItem(atPath: "\(model)/\(name)")
    try files.createSymbolicLink(atPath: "\(model)/\(name)", withDestinationPath: "../other")
    // One that leads out of the folder is not even read unless links are trusted.
    try refuses(model, "\(name): is a link", ["--follow-links"])
    try refuses(Repository.samples + "/tiny-bf16", "cannot be deleted part by part")
    let gguf = workspace.path("x.gguf")
    #expect(
      try FathomProcess(
        "convert", model, gguf, "--to", "gguf", "--quant", "q8_0", "--follow-links"
      ).status == 0)
    let run = try FathomProcess(
      ["convert", gguf, workspace.path("y.gguf"), "--to", "gguf"] + confirmed)
    #expect(run.status == 64)
    #expect(run.messages.contains("cannot be deleted part by part"))
    #expect(files.fileExists(atPath: gguf))
  }
}
