import Dispatch
import Foundation
import Platform
import Support
import Testing

/// Conversions that several runs divide among themselves.
@Suite struct PartTests {
  /// A conversion of a sample: the name of its output and its options.
  struct Target: CustomTestStringConvertible {
    var model = Repository.samples + "/tiny-fp8"
    let output: String
    let options: [String]
    var testDescription: String {
      (options + [(model as NSString).lastPathComponent]).joined(separator: " ")
    }

    var work: String { ".\(output).fathom-part" }

    func arguments(_ workspace: Workspace, _ more: [String] = []) -> [String] {
      ["convert", model, workspace.path(output)] + options + ["--flush-every", "200KB"] + more
    }
  }

  static let targets = [
    Target(output: "out", options: ["--to", "hf", "--quant", "bf16"]),
    Target(output: "out", options: ["--to", "hf", "--quant", "bf16", "--max-shard-size", "300KB"]),
    Target(
      model: Repository.samples + "/tiny-bf16", output: "out",
      options: ["--to", "hf", "--quant", "fp8"]),
    Target(output: "out", options: ["--to", "hf", "--max-shard-size", "1MB"]),
    Target(output: "out.gguf", options: ["--to", "gguf", "--quant", "q8_0"]),
    Target(
      model: Repository.samples + "/tiny-trained", output: "out.gguf",
      options: ["--to", "gguf", "--quant", "q4_k_m"]),
    Target(
      output: "out.gguf", options: ["--to", "gguf", "--quant", "bf16", "--max-shard-size", "500KB"]),
    Target(output: "out", options: ["--to", "mlx", "--quant", "4bit"]),
    Target(output: "out", options: ["--to", "compressed-tensors", "--quant", "nvfp4"]),
    Target(
      model: Repository.samples + "/tiny-eighths", output: "out",
      options: ["--to", "deepseek", "--mp", "2"]),
    Target(output: "out", options: ["--to", "hf", "--quant", "f16", "--no-manifest"]),
  ]

  private func reference(_ target: Target) throws -> [String: [UInt8]] {
    let workspace = try Workspace()
    let run = try FathomProcess(target.arguments(workspace))
    #expect(run.status == 0, "\(run.messages)")
    return try workspace.files()
  }

  @discardableResult
  private func run(
    _ target: Target, _ workspace: Workspace, _ more: [String], status: Int32 = 0
  ) throws -> FathomProcess {
    let run = try FathomProcess(target.arguments(workspace, more))
    #expect(run.status == status, "\(more): \(run.messages)")
    return run
  }

  private func finish(_ target: Target, _ workspace: Workspace) throws {
    let done = try run(target, workspace, ["--finish", "--read-back", "--format", "json"])
    #expect(try JSONSchema(named: "fathom.convert.1").faults(in: JSONDocument(done.output)).isEmpty)
    #expect(try workspace.names().filter { $0.hasPrefix(".") }.isEmpty)
  }

  @Test(arguments: [targets[0], targets[1], targets[4], targets[7]], [1, 2, 4, 7])
  func anyNumberOfPartsMakesTheSameBytes(target: Target, count: Int) throws {
    try expectSameBytes(target: target, count: count)
  }

  @Test(arguments: targets)
  func partsMakeTheSameBytes(target: Target) throws {
    try expectSameBytes(target: target, count: 3)
  }

  /// In any order, and on runs with other memory and threads.
  private func expectSameBytes(target: Target, count: Int) throws {
    let expected = try reference(target)
    let workspace = try Workspace()
    for number in (1...count).reversed() {
      let part = try run(
        target, workspace,
        ["--part", "\(number)/\(count)", "--threads", "\(number)", "--memory", "\(8 + number)MB"]
          + ["--format", "json"])
      let document = try JSONDocument(part.output)
      #expect(try JSONSchema(named: "fathom.convert.1").faults(in: document).isEmpty)
      #expect(try workspace.files().isEmpty)
    }
    try finish(target, workspace)
    #expect(try workspace.files() == expected)
    // An engine that runs a task once more finds the output.
    let again = try run(target, workspace, ["--part", "1/\(count)"])
    #expect(again.output.contains("is there already"))
    #expect(try run(target, workspace, ["--finish"]).output.contains("is there already"))
  }

  /// More parts than there are units: some have nothing to do.
  @Test func manyPartsMakeTheSameBytes() throws {
    let target = Self.targets[5]
    let expected = try reference(target)
    let workspace = try Workspace()
    for number in 1...70 { try run(target, workspace, ["--part", "\(number)/70"]) }
    try finish(target, workspace)
    #expect(try workspace.files() == expected)
  }

  /// At the same time, all beginning at once.
  @Test func partsThatRunTogetherMakeTheSameBytes() throws {
    let target = Self.targets[4]
    let expected = try reference(target)
    let workspace = try Workspace()
    let commands = (1...7).map { target.arguments(workspace, ["--part", "\($0)/7"]) }
    DispatchQueue.concurrentPerform(iterations: commands.count) { number in
      let run = try? FathomProcess(commands[number])
      #expect(run?.status == 0, "\(run?.messages ?? "not started")")
    }
    try finish(target, workspace)
    #expect(try workspace.files() == expected)
  }

  /// A part that is killed at calls all over it goes on when it is run again.
  @Test(arguments: [targets[1], targets[4]], ["kill", "interrupt", "powercut"])
  func aKilledPartGoesOn(target: Target, kind: String) throws {
    let expected = try reference(target)
    let log = try Workspace()
    let whole = try Workspace()
    _ = try FathomProcess(
      target.arguments(whole, ["--part", "2/3"]),
      environment: Mishap.watching(whole.path, log: log.path("calls")))
    let calls = try contents(log.path("calls")).count { $0 == UInt8(ascii: "\n") }
    #expect(calls > 40)
    for call in stride(from: calls % 3 + 1, through: calls, by: calls / 3) {
      let workspace = try Workspace()
      try run(target, workspace, ["--part", "3/3"])
      let mishap = Mishap(kind, at: call)
      let broken = try FathomProcess(
        target.arguments(workspace, ["--part", "2/3"]),
        environment: mishap.environment(below: workspace.path))
      #expect([0, 130, 128 + SIGKILL].contains(broken.status), "\(call): \(broken.messages)")
      try run(target, workspace, ["--part", "1/3"])
      if broken.status != 0 {
        let early = try run(target, workspace, ["--finish"], status: 73)
        #expect(early.messages.contains("2"), "\(early.messages)")
        #expect(early.messages.contains("expected 3 complete parts"), "\(early.messages)")
      }
      try run(target, workspace, ["--part", "2/3"])
      try finish(target, workspace)
      #expect(try workspace.files() == expected, "call \(call)")
    }
  }

  @Test func finishingNamesWhatIsMissing() throws {
    let target = Self.targets[4]
    let workspace = try Workspace()
    let none = try run(target, workspace, ["--finish"], status: 73)
    #expect(none.messages.contains("has no parts to finish"))
    try run(target, workspace, ["--part", "2/4"])
    let early = try run(target, workspace, ["--finish"], status: 73)
    #expect(early.messages.contains("missing: 1, 3, 4"), "\(early.messages)")
    #expect(try workspace.names() == [target.work])
  }

  /// Each byte that a part wrote is compared with what it noted.
  @Test func finishingNamesAPartWhoseBytesAreDamaged() throws {
    let target = Self.targets[4]
    let expected = try reference(target)
    let workspace = try Workspace()
    for number in 1...3 { try run(target, workspace, ["--part", "\(number)/3"]) }
    let path = workspace.path(target.work + "/output/out.gguf")
    var bytes = try contents(path)
    bytes[bytes.count / 2] ^= 1
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    let run = try run(target, workspace, ["--finish"], status: 73)
    #expect(run.messages.contains("is not what part 2/3 wrote"), "\(run.messages)")
    try self.run(target, workspace, ["--part", "2/3"])
    try finish(target, workspace)
    #expect(try workspace.files() == expected)
  }

  @Test func finishingNamesAPartWhoseJournalIsDamaged() throws {
    let target = Self.targets[4]
    let expected = try reference(target)
    let workspace = try Workspace()
    for number in 1...3 { try run(target, workspace, ["--part", "\(number)/3"]) }
    for name in ["journal", "journal-copy"] {
      let path = workspace.path(target.work + "/part-3-of-3/" + name)
      var bytes = try contents(path)
      for index in 20..<bytes.count { bytes[index] = 0 }
      try Data(bytes).write(to: URL(fileURLWithPath: path))
    }
    let broken = try run(target, workspace, ["--finish"], status: 73)
    #expect(
      broken.messages.contains("missing: 3") || broken.messages.contains("damaged: 3"),
      "\(broken.messages)")
    try run(target, workspace, ["--part", "3/3"])
    try finish(target, workspace)
    #expect(try workspace.files() == expected)
  }

  @Test func aFileThatIsGoneIsNamed() throws {
    let target = Self.targets[1]
    let workspace = try Workspace()
    for number in 1...2 { try run(target, workspace, ["--part", "\(number)/2"]) }
    let output = workspace.path(target.work + "/output/")
    let first = try #require(
      try FileManager.default.contentsOfDirectory(atPath: output).sorted().first)
    try FileManager.default.removeItem(atPath: output + first)
    let gone = try run(target, workspace, ["--finish"], status: 73)
    #expect(gone.messages.contains("is not what part 1/2 wrote"), "\(gone.messages)")
    try run(target, workspace, ["--part", "1/2"])
    try finish(target, workspace)
    #expect(try workspace.files() == reference(target))
  }

  /// Work of another recipe, model, or number of parts is neither added to nor finished.
  @Test func foreignPartsAreRefused() throws {
    let target = Self.targets[4]
    let workspace = try Workspace()
    try run(target, workspace, ["--part", "1/2"])
    let number = try run(target, workspace, ["--part", "1/3"], status: 73)
    #expect(number.messages.contains("expected --part K/2, found --part K/3"), "\(number.messages)")
    let recipe = Target(output: target.output, options: ["--to", "gguf", "--quant", "q4_0"])
    for more in [["--part", "2/2"], ["--finish"]] {
      let other = try run(recipe, workspace, more, status: 73)
      #expect(other.messages.contains("unfinished work has another recipe"), "\(other.messages)")
      let model = Target(
        model: Repository.samples + "/tiny-fp8-block32", output: target.output,
        options: target.options)
      let foreign = try run(model, workspace, more, status: 73)
      #expect(foreign.messages.contains("unfinished work has another"), "\(foreign.messages)")
    }
    // A part's journal that somebody brought from elsewhere.
    let elsewhere = try Workspace()
    try run(recipe, elsewhere, ["--part", "2/2"])
    try FileManager.default.copyItem(
      atPath: elsewhere.path(target.work + "/part-2-of-2"),
      toPath: workspace.path(target.work + "/part-2-of-2"))
    let brought = try run(target, workspace, ["--finish"], status: 73)
    #expect(brought.messages.contains("part-2-of-2"), "\(brought.messages)")
    #expect(brought.messages.contains("unfinished work has another recipe"), "\(brought.messages)")
  }

  @Test func runsForEverythingAndPartsKeepApart() throws {
    let target = Self.targets[4]
    let workspace = try Workspace()
    try run(target, workspace, ["--part", "1/2"])
    for more in [[], ["--resume"], ["--resume", "--overwrite"]] {
      let plain = try run(target, workspace, more, status: 73)
      #expect(plain.messages.contains("has unfinished work of 2 parts"), "\(plain.messages)")
    }
    let status = try FathomProcess(
      "resume", "--status", workspace.path(target.output), "--format", "json")
    #expect(status.status == 0)
    let document = try JSONDocument(status.output)
    #expect(try JSONSchema(named: "fathom.resume.1").faults(in: document).isEmpty)
    #expect(status.output.contains("\"complete\"") && status.output.contains("\"missing\""))
    let next = try FathomProcess("resume", workspace.path(target.output))
    #expect(next.output.contains("--part 2/2"), "\(next.output)")
    try run(target, workspace, ["--overwrite"])
    #expect(try workspace.files() == reference(target))
  }

  @Test(arguments: [
    ["--free-source", "--yes-delete-source", "--part", "1/2"],
    ["--embed-provenance", "--part", "1/2"],
    ["--finish", "--part", "1/2"], ["--no-read-back"], ["--finish", "--dry-run"],
    ["--part", "3/2"],
    ["--part", "auto"],
  ])
  func whatDoesNotGoTogetherIsRefused(options: [String]) throws {
    let workspace = try Workspace()
    try run(Self.targets[1], workspace, options, status: 64)
    #expect(try workspace.names().isEmpty)
  }

  @Test func aDryRunSaysWhatAPartDoes() throws {
    let workspace = try Workspace()
    let target = Self.targets[4]
    let text = try run(target, workspace, ["--dry-run", "--part", "2/3"]).output
    #expect(text.contains("part 2 of 3: "), "\(text)")
    let json = try run(target, workspace, ["--dry-run", "--part", "2/3", "--format", "json"])
    #expect(try JSONSchema(named: "fathom.plan.1").faults(in: JSONDocument(json.output)).isEmpty)
    #expect(try workspace.names().isEmpty)
  }
}
