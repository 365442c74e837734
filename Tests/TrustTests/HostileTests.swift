import Foundation
import Support
import Testing

/// Files that only claim to be checkpoints: one clear line and exit code 65 or 66, nothing else.
@Suite struct HostileTests {
  static let folder = Repository.samples + "/hostile"
  static let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
    .filter { $0.hasSuffix(".safetensors") }.sorted()
  static let sound = Repository.samples + "/malformed/none"

  /// Runs the commands that read a model; each must refuse it.
  private func expectRefusal(
    of model: String, status: Int32, names part: String? = nil,
    commands: [[String]] = [["inspect"], ["validate"], ["validate", "--deep"]]
  ) throws {
    for command in commands {
      let run = try FathomProcess(command + [model])
      #expect(run.status == status, "\(command) \(model): \(run.status) \(run.messages)")
      let lines = run.messages.split(separator: "\n")
      #expect(lines.count == 1, "\(command) \(model): \(run.messages)")
      #expect(run.messages.hasPrefix("fathom: "))
      if let part { #expect(run.messages.contains(part), "\(run.messages)") }
    }
  }

  @Test func thereAreSamples() { #expect(HostileTests.names.count > 40) }

  /// Metadata that safetensors' own reader refuses, and that says nothing of the tensors.
  static let looseMetadata = ["metadata-nested.safetensors", "metadata-number.safetensors"]

  @Test(arguments: looseMetadata)
  func metadataThatIsNoTextIsFoundOnce(name: String) throws {
    let workspace = try Workspace()
    try workspace.write("config.json", contents(HostileTests.sound + "/config.json"))
    let sound = SafetensorsFixture([]).header
    try workspace.write("model.safetensors", contents("\(HostileTests.folder)/\(name)"))
    #expect(try FathomProcess("inspect", workspace.path).status == 0)
    let run = try FathomProcess("validate", workspace.path, "--format", "json")
    #expect(run.status == 1, "\(run.messages)")
    func rules(_ text: String) throws -> [String?] {
      try JSONDocument(text).list("findings").map { $0.string("rule") }
    }
    let found = try rules(run.output)
    try workspace.write("model.safetensors", sound)
    let others = try rules(FathomProcess("validate", workspace.path, "--format", "json").output)
    #expect(found.filter { $0 == "metadata-mismatch" }.count == 1)
    #expect(found.count == others.count + 1)
  }

  @Test(arguments: names.filter { !looseMetadata.contains($0) })
  func headerIsRefused(name: String) throws {
    let workspace = try Workspace()
    try workspace.write("config.json", contents(HostileTests.sound + "/config.json"))
    try workspace.write("model.safetensors", contents("\(HostileTests.folder)/\(name)"))
    try expectRefusal(
      of: workspace.path, status: 65, names: "model.safetensors", commands: [["inspect"]])
    // A file that is cut short is a finding; one that breaks the format is a refusal.
    let run = try FathomProcess("validate", workspace.path, "--format", "json")
    let isCut = ["data-short", "length-beyond-file", "only-length"].contains {
      name.hasPrefix($0)
    }
    #expect(run.status == (isCut ? 1 : 65), "\(run.messages)")
    let rules = try JSONDocument(run.output).list("findings").map { $0.string("rule") }
    #expect(rules.contains(isCut ? "truncated-shard" : "malformed-shard"))
  }

  @Test func aHundredMegabytesOfBrackets() throws {
    let workspace = try Workspace()
    let brackets = [UInt8](repeating: UInt8(ascii: "["), count: 99_000_000)
    try workspace.write("config.json", contents(HostileTests.sound + "/config.json"))
    for prefix in ["", "{\"a\":", "{\"__metadata__\":", "{\"a\":{\"shape\":"] {
      let text = Array(prefix.utf8) + brackets
      let length = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) }
      try workspace.write("model.safetensors", length + text)
      try expectRefusal(of: workspace.path, status: 65, commands: [["inspect"]])
    }
    try workspace.write("config.json", brackets)
    try expectRefusal(of: workspace.path, status: 65, names: "config.json")
    try workspace.write("config.json", brackets.prefix(1_000_000))
    try expectRefusal(of: workspace.path, status: 65, names: "nested too deeply")
    try workspace.write("config.json", contents(HostileTests.sound + "/config.json"))
    try workspace.write("model.safetensors.index.json", brackets)
    try expectRefusal(of: workspace.path, status: 65, names: "index.json")
  }

  @Test func whatIsNotThere() throws {
    let workspace = try Workspace()
    try expectRefusal(of: workspace.path("nowhere"), status: 66)
    try expectRefusal(of: workspace.path, status: 66, names: "config.json")
    try workspace.write("config.json", contents(HostileTests.sound + "/config.json"))
    try expectRefusal(
      of: workspace.path, status: 66, commands: [["hash"], ["diff", workspace.path]])
    try expectRefusal(of: "/dev/null", status: 66)
  }

  @Test func foldersAndLoopsNamedLikeShards() throws {
    let workspace = try Workspace()
    try workspace.write("config.json", contents(HostileTests.sound + "/config.json"))
    let shard = workspace.path("model.safetensors")
    try FileManager.default.createDirectory(atPath: shard, withIntermediateDirectories: true)
    try expectRefusal(of: workspace.path, status: 66, commands: [["inspect"]])
    try FileManager.default.removeItem(atPath: shard)
    try FileManager.default.createSymbolicLink(
      atPath: shard, withDestinationPath: "model.safetensors")
    try expectRefusal(of: workspace.path, status: 66, commands: [["inspect"]])
    try expectRefusal(of: shard, status: 66)
    #expect(try FathomProcess("validate", workspace.path).status == 1)
    try FileManager.default.removeItem(atPath: shard)
    #expect(mkfifo(shard, 0o600) == 0)
    try expectRefusal(of: workspace.path, status: 66, commands: [["inspect"]])
  }

  @Test(arguments: [
    "{\"a\": nan}", "{'a': 1}", "{\"a\": 1.}", "{\"a\": 1e400}", "{\"a\": 1} x", "{\"a\": 1,}",
    "{\"a\": 1, \"a\": 2}", "{\"a\\u0000b\": 1}", "{\"a\": +Infinity}",
    "{\"a\": \"\u{1}\"}", "{\"a\": \"\\ud800\"}", "{\"a\": 01}", "", "[1", "nul",
  ])
  func configThatJSONCWouldAccept(text: String) throws {
    let workspace = try Workspace()
    try workspace.write("config.json", text.utf8)
    try workspace.write("model.safetensors", SafetensorsFixture([]).header)
    try expectRefusal(of: workspace.path, status: 65, names: "config.json")
  }

  @Test func namesCannotMoveTheCursor() throws {
    let workspace = try Workspace()
    try workspace.write("config.json", contents(HostileTests.sound + "/config.json"))
    let header = SafetensorsFixture.framed(
      #"{"\u001b[2Jx":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#)
    try workspace.write("model.safetensors", header + [0])
    for command in [["inspect", "--tensors"], ["validate"]] {
      let run = try FathomProcess([command[0], workspace.path] + command.dropFirst())
      #expect(run.output.contains("[2Jx"))
      #expect(!(run.output + run.messages).utf8.contains(0x1B))
    }
  }
}
