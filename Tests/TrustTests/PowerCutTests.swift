import Foundation
import Support
import Testing

/// What is left when the power goes at the worst moments: all that was not flushed is undone.
@Suite struct PowerCutTests {
  private static let hidden = ".out.fathom-part"

  private func arguments(_ workspace: Workspace, _ model: String, frees: Bool) -> [String] {
    ["convert", model, workspace.path("out"), "--to", "hf", "--max-shard-size", "400KB"]
      + ["--flush-every", "60KB"] + (frees ? ["--free-source", "--yes-delete-source"] : [])
  }

  private func reference() throws -> [String: [UInt8]] {
    let workspace = try Workspace()
    let run = try FathomProcess(
      arguments(workspace, Repository.samples + "/tiny-fp8", frees: false))
    #expect(run.status == 0)
    return try files(workspace.path("out"))
  }

  private func cut(
    _ arguments: [String], _ workspace: Workspace, _ mishap: Mishap
  ) throws {
    let run = try FathomProcess(
      arguments, environment: mishap.environment(below: workspace.path))
    #expect(run.status == 128 + SIGKILL, "\(run.status): \(run.messages)")
  }

  /// Each tensor of a checkpoint as its name and bytes, of all files that hold one whole.
  private func tensors(_ folder: String) throws -> [String: [UInt8]] {
    var tensors: [String: [UInt8]] = [:]
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    for name in names where name.hasSuffix(".safetensors") {
      let bytes = try contents("\(folder)/\(name)")
      guard bytes.count >= 8 else { continue }
      let length = bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
      guard length > 0, bytes.count >= 8 + length,
        let header = try JSONSerialization.jsonObject(with: Data(bytes[8..<(8 + length)]))
          as? [String: Any]
      else { continue }
      for (tensor, value) in header {
        guard let entry = value as? [String: Any], let range = entry["data_offsets"] as? [Int],
          8 + length + range[1] <= bytes.count
        else { continue }
        tensors[tensor] = Array(bytes[(8 + length + range[0])..<(8 + length + range[1])])
      }
    }
    return tensors
  }

  /// The power goes at the very moment when a shard has been deleted.
  @Test(arguments: [1, 2, 3])
  func aDeletedShardIsInTheOutput(shard: Int) throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "tiny-fp8")
    let before = try tensors(model)
    #expect(before.count > 50)
    let arguments = arguments(workspace, model, frees: true)
    try cut(
      arguments, workspace,
      Mishap("powercut-after", at: shard, name: "unlink", counted: model + "/model-"))
    let left = try workspace.names("tiny-fp8").count { $0.hasPrefix("model-") }
    #expect(left == 3 - shard)
    let (source, output) = (
      try tensors(model), try tensors(workspace.path(Self.hidden + "/output"))
    )
    for (name, bytes) in before {
      #expect(source[name] == bytes || output[name] == bytes, "\(name) is nowhere whole")
    }
    let run = try FathomProcess(arguments + ["--resume", "--format", "json"])
    #expect(run.status == 0, "\(run.messages)")
    #expect(!run.messages.contains("anew"), "\(run.messages)")
    let result = try JSONDocument(run.output)
    #expect(result.bool("resumed") == true)
    #expect((result.integer("bytesKept") ?? 0) > 100_000)
    #expect(try files(workspace.path("out")) == reference())
  }

  /// The power goes when some notes have been made; what they speak of is there.
  @Test(arguments: ["journal", "journal-copy"], [3, 5])
  func whatWasNotedIsKept(file: String, flush: Int) throws {
    let workspace = try Workspace()
    let arguments = arguments(workspace, Repository.samples + "/tiny-fp8", frees: false)
    let path = workspace.path(Self.hidden + "/" + file)
    try cut(
      arguments, workspace,
      Mishap("powercut-after", at: flush, name: "fdatasync", counted: path))
    let run = try FathomProcess(arguments + ["--resume", "--format", "json"])
    #expect(run.status == 0, "\(run.messages)")
    #expect(!run.messages.contains("anew"), "\(run.messages)")
    let result = try JSONDocument(run.output)
    #expect(result.bool("resumed") == true)
    #expect((result.integer("bytesKept") ?? 0) > 50_000)
    #expect(try files(workspace.path("out")) == reference())
  }

  /// The power goes when the output has its name and the work is about to be removed: all of its
  /// files are in it.
  @Test(arguments: [true, false])
  func anOutputThatHasItsNameIsWhole(frees: Bool) throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "tiny-fp8")
    let arguments = arguments(workspace, model, frees: frees)
    let path = workspace.path(Self.hidden + "/journal")
    try cut(
      arguments, workspace, Mishap("powercut", at: 1, name: "unlink", counted: path))
    #expect(try files(workspace.path("out")) == reference())
    guard !frees else { return }
    let run = try FathomProcess(arguments + ["--resume"])
    #expect(run.status == 0, "\(run.messages)")
    #expect(try workspace.names() == ["out", "tiny-fp8"])
  }

  /// A folder that has just been made holds nothing yet, whatever the power cut leaves of its journal:
  /// the next run begins.
  @Test(arguments: 1...12)
  func theVeryBeginningIsNoDeadEnd(call: Int) throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "tiny-fp8")
    let arguments = arguments(workspace, model, frees: true)
    for kind in ["powercut", "kill"] {
      try cut(arguments, workspace, Mishap(kind, at: call))
      #expect(try workspace.names("tiny-fp8").count { $0.hasPrefix("model-") } == 3)
      let status = try FathomProcess(["resume", "--status", workspace.path("out")])
      #expect([0, 66].contains(status.status), "\(status.messages)")
    }
    let run = try FathomProcess(arguments + ["--resume"])
    #expect(run.status == 0, "\(run.messages)")
    #expect(try files(workspace.path("out")) == reference())
  }
}
