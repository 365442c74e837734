import Foundation
import Platform
import Support
import Testing

/// Conversions that do not come to their end in one run.
@Suite struct ResumeTests {
  private static let model = Repository.samples + "/tiny-fp8"

  /// A conversion of a sample: the name of its output and its options.
  struct Target: CustomTestStringConvertible {
    let output: String
    let options: [String]
    var testDescription: String { options.joined(separator: " ") }

    /// The hidden folder of its work.
    var work: String { ".\(output).fathom-part" }

    func arguments(_ workspace: Workspace, _ more: [String] = []) -> [String] {
      ["convert", ResumeTests.model, workspace.path(output)] + options
        + ["--flush-every", "200KB"] + more
    }
  }

  static let targets = [
    Target(output: "out", options: ["--to", "hf", "--quant", "bf16", "--max-shard-size", "900KB"]),
    Target(output: "out.gguf", options: ["--to", "gguf", "--quant", "q8_0"]),
    Target(
      output: "out.gguf", options: ["--to", "gguf", "--quant", "q8_0", "--max-shard-size", "500KB"]),
  ]

  private func reference(_ target: Target) throws -> [String: [UInt8]] {
    let workspace = try Workspace()
    let run = try FathomProcess(target.arguments(workspace))
    #expect(run.status == 0, "\(run.messages)")
    return try workspace.files()
  }

  /// A run that Ctrl-C ends in the middle.
  @discardableResult
  private func interrupted(
    _ target: Target, in workspace: Workspace, _ more: [String] = []
  ) throws -> FathomProcess {
    let run = try FathomProcess(
      target.arguments(workspace, more),
      environment: Mishap("interrupt", at: 100).environment(below: workspace.path))
    #expect(run.status == 130, "\(run.messages)")
    return run
  }

  @Test(arguments: targets)
  func anInterruptedOneGoesOnWhereItWas(target: Target) throws {
    let workspace = try Workspace()
    let expected = try reference(target)
    let first = try interrupted(target, in: workspace)
    #expect(try workspace.names() == [target.work])
    #expect(first.messages.contains("the same command with --resume goes on from there"))
    let run = try FathomProcess(target.arguments(workspace, ["--resume", "--format", "json"]))
    #expect(run.status == 0, "\(run.messages)")
    let result = try JSONDocument(run.output)
    #expect(try JSONSchema(named: "fathom.convert.1").faults(in: result).isEmpty)
    #expect(result.bool("resumed") == true)
    let kept = try #require(result.integer("bytesKept"))
    #expect(kept > 100_000)
    #expect(
      kept + (result.integer("bytesWritten") ?? 0) == expected.values.map(\.count).reduce(0, +))
    #expect(try workspace.files() == expected)
    #expect(try workspace.names().filter { $0.hasPrefix(".") }.isEmpty)
  }

  /// A crash, a power cut, and failures at calls all over a conversion. `scripts/torture` tries
  /// every call.
  @Test(arguments: targets, ["kill", "powercut", "\(EIO)", "\(ENOSPC)"])
  func nothingIsLost(target: Target, kind: String) throws {
    let expected = try reference(target)
    let log = try Workspace()
    let workspace = try Workspace()
    _ = try FathomProcess(
      target.arguments(workspace),
      environment: Mishap.watching(workspace.path, log: log.path("calls")))
    let calls = try contents(log.path("calls")).count { $0 == UInt8(ascii: "\n") }
    #expect(calls > 100)
    var resumed = 0
    for call in stride(from: calls % 7 + 1, through: calls, by: calls / 7) {
      let workspace = try Workspace()
      let mishap = Mishap(kind, at: call, stays: kind == "\(ENOSPC)")
      let run = try FathomProcess(
        target.arguments(workspace), environment: mishap.environment(below: workspace.path))
      // Some calls may fail without harm.
      let codes: Set<Int32> = Int(kind) == nil ? [128 + SIGKILL] : [0, 73, 74]
      #expect(codes.contains(run.status), "call \(call): \(run.status): \(run.messages)")
      for (name, bytes) in try workspace.files() {
        #expect(expected[name] == bytes, "call \(call): \(name) is not complete")
      }
      let again = try FathomProcess(target.arguments(workspace, ["--resume", "--format", "json"]))
      #expect(again.status == 0, "call \(call): \(again.messages)")
      resumed += try JSONDocument(again.output).bool("resumed") == true ? 1 : 0
      #expect(!again.messages.contains("written anew"), "call \(call): \(again.messages)")
      #expect(try workspace.files() == expected, "call \(call)")
    }
    // The work of the later half, at the least, was worth keeping.
    #expect(resumed >= 4)
  }

  @Test func aFullDiskSaysWhatWasKept() throws {
    let workspace = try Workspace()
    let target = Self.targets[0]
    let mishap = Mishap("\(ENOSPC)", at: 100, stays: true, name: "write")
    let run = try FathomProcess(
      target.arguments(workspace), environment: mishap.environment(below: workspace.path))
    #expect(run.status == 73)
    #expect(run.messages.contains("cannot be written at byte"))
    #expect(run.messages.contains("No space left on device"))
    #expect(run.messages.contains("are kept in \(workspace.path(target.work))"))
    #expect(try workspace.names() == [target.work])
    #expect(try FathomProcess(target.arguments(workspace, ["--resume"])).status == 0)
  }

  @Test func aSourceThatCannotBeReadKeepsWhatWasMadeOfIt() throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "tiny-fp8")
    let arguments = [
      "convert", model, workspace.path("out"), "--to", "hf", "--quant", "bf16", "--flush-every",
      "200KB",
    ]
    let mishap = Mishap("\(EIO)", at: 200, stays: true, name: "pread")
    let run = try FathomProcess(arguments, environment: mishap.environment(below: model))
    #expect(run.status == 74)
    #expect(run.messages.contains("cannot be read at byte"))
    #expect(run.messages.contains("tensor \"model.layers."))
    #expect(run.messages.contains("with --resume goes on from there"))
    #expect(try FathomProcess(arguments + ["--resume"]).status == 0)
  }

  @Test func withoutResumeUnfinishedWorkIsNotTouched() throws {
    let workspace = try Workspace()
    let target = Self.targets[0]
    try interrupted(target, in: workspace)
    let journal = try contents(workspace.path(target.work + "/journal"))
    let refused = try FathomProcess(target.arguments(workspace))
    #expect(refused.status == 73)
    #expect(refused.messages.contains("--resume to go on, or --overwrite to begin anew"))
    #expect(try contents(workspace.path(target.work + "/journal")) == journal)
    let anew = try FathomProcess(target.arguments(workspace, ["--overwrite", "--format", "json"]))
    #expect(anew.status == 0, "\(anew.messages)")
    #expect(try JSONDocument(anew.output).bool("resumed") == false)
    #expect(try workspace.files() == reference(target))
  }

  @Test func otherWorkIsNotContinued() throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "tiny-fp8")
    func run(_ more: [String], _ environment: [String: String] = [:]) throws -> FathomProcess {
      try FathomProcess(
        ["convert", model, workspace.path("out"), "--to", "hf", "--flush-every", "200KB"] + more,
        environment: environment)
    }
    func refuses(_ parts: [String], _ more: [String] = []) throws {
      let run = try run(["--quant", "bf16", "--resume"] + more)
      #expect(run.status == 73)
      for part in parts { #expect(run.messages.contains(part), "\(run.messages)") }
    }
    let first = try run(
      ["--quant", "bf16"], Mishap("interrupt", at: 100).environment(below: workspace.path("out")))
    #expect(first.status == 0, "the calls below another folder do not count")
    try FileManager.default.removeItem(atPath: workspace.path("out"))
    let hidden = workspace.path(".out.fathom-part")
    #expect(
      try run(["--quant", "bf16"], Mishap("interrupt", at: 100).environment(below: hidden)).status
        == 130)
    try refuses(["another recipe", #"{"mtp":"keep"}"#, #"{"mtp":"drop"}"#], ["--mtp", "drop"])
    let shard = model + "/model-00002-of-00003.safetensors"
    let before = try FileManager.default.attributesOfItem(atPath: shard)
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSince1970: 1e9)], ofItemAtPath: shard)
    try refuses(["another source", "model-00002-of-00003.safetensors", "written to since"])
    try FileManager.default.setAttributes(
      [.modificationDate: before[.modificationDate] as Any], ofItemAtPath: shard)
    let text = String(decoding: try contents(hidden + "/journal"), as: UTF8.self)
    let head = try #require(text.split(separator: "\n").first).dropFirst(9)
    let other = head.replacingOccurrences(
      of: FathomVersion.text, with: "0.0.9", range: head.range(of: FathomVersion.text))
    let changed = Data(
      text.replacingOccurrences(
        of: "\(CRC32C(String(head)).text) \(head)", with: "\(CRC32C(other).text) \(other)"
      ).utf8)
    for name in ["journal", "journal-copy"] {
      try changed.write(to: URL(fileURLWithPath: "\(hidden)/\(name)"))
    }
    try refuses(["another version of fathom", "expected 0.0.9", "remove \(hidden)"])
  }

  @Test func whereNothingIsLeftItBegins() throws {
    let workspace = try Workspace()
    let target = Self.targets[1]
    let run = try FathomProcess(target.arguments(workspace, ["--resume", "--format", "json"]))
    #expect(run.status == 0, "\(run.messages)")
    #expect(try JSONDocument(run.output).bool("resumed") == false)
    #expect(try workspace.files() == reference(target))
  }

  @Test(arguments: targets)
  func aCompleteOneIsLeftAsItIs(target: Target) throws {
    let workspace = try Workspace()
    #expect(try FathomProcess(target.arguments(workspace)).status == 0)
    let before = try workspace.files()
    for more in [["--resume"], ["--resume", "--overwrite"]] {
      let run = try FathomProcess(target.arguments(workspace, more))
      #expect(run.status == 0, "\(run.messages)")
      #expect(run.output.contains("Complete: all "))
      #expect(run.output.contains("fathom-manifest.json, of which the size is right,"))
    }
    let run = try FathomProcess(target.arguments(workspace, ["--resume", "--format", "json"]))
    let result = try JSONDocument(run.output)
    #expect(try JSONSchema(named: "fathom.convert.1").faults(in: result).isEmpty)
    let total = before.filter { !$0.key.hasSuffix("fathom-manifest.json") }.map(\.value.count)
    #expect(result.integer("compared", "bytes") == total.reduce(0, +))
    #expect(result.integer("compared", "of") == total.reduce(0, +))
    // Of another model of the same shape only the weights tell.
    let name = try #require(before.keys.sorted().first { $0.contains("00001") || $0 == "out.gguf" })
    let handle = try #require(FileHandle(forUpdatingAtPath: workspace.path(name)))
    try handle.seek(toOffset: UInt64(try contents(workspace.path(name)).count / 2))
    try handle.write(contentsOf: Data((0..<200_000).map { UInt8(truncatingIfNeeded: $0) }))
    try handle.close()
    let refused = try FathomProcess(target.arguments(workspace, ["--resume"]))
    #expect(refused.status == 73)
    #expect(refused.messages.contains("exists already and is not what this conversion gives"))
    let anew = try FathomProcess(target.arguments(workspace, ["--resume", "--overwrite"]))
    #expect(anew.status == 0, "\(anew.messages)")
    #expect(try workspace.files() == before)
  }

  /// One bit of any tensor, of the zeros between tensors or of a small file.
  @Test(arguments: targets)
  func aBitThatChangedIsFound(target: Target) throws {
    let workspace = try Workspace()
    #expect(try FathomProcess(target.arguments(workspace)).status == 0)
    let all = try workspace.files().filter { !$0.key.hasSuffix("fathom-manifest.json") }
    for (name, bytes) in all {
      for place in [bytes.count / 3, bytes.count - 1] {
        var damaged = bytes
        damaged[place] ^= 0x40
        try workspace.write(name, damaged)
        let run = try FathomProcess(target.arguments(workspace, ["--resume"]))
        #expect(run.status == 73, "\(name) at \(place): \(run.output)")
        #expect(run.messages.contains("is not what this conversion gives"))
      }
      try workspace.write(name, bytes)
    }
    #expect(try FathomProcess(target.arguments(workspace, ["--resume"])).status == 0)
  }

  @Test func anOldOutputStaysUntilAResumedOneIsComplete() throws {
    let workspace = try Workspace()
    let target = Self.targets[0]
    try FileManager.default.copyItem(
      atPath: Repository.samples + "/tiny-bf16", toPath: workspace.path("out"))
    let old = try workspace.files()
    try interrupted(target, in: workspace, ["--overwrite"])
    #expect(try workspace.files() == old)
    let refused = try FathomProcess(target.arguments(workspace, ["--resume"]))
    #expect(refused.status == 73)
    let run = try FathomProcess(
      target.arguments(workspace, ["--resume", "--overwrite", "--format", "json"]))
    #expect(run.status == 0, "\(run.messages)")
    #expect(try JSONDocument(run.output).bool("resumed") == true)
    #expect(try workspace.files() == reference(target))
  }

  @Test func theSecondOfTwoIsRefused() throws {
    let workspace = try Workspace()
    let target = Self.targets[0]
    try interrupted(target, in: workspace)
    let held = try WorkFolder(
      for: OutputPath(workspace.path("out"), overwrite: false), form: .folder)
    let run = try FathomProcess(target.arguments(workspace, ["--resume"]))
    #expect(run.status == 73)
    #expect(run.messages.contains("is being written by another run of fathom"))
    withExtendedLifetime(held) {}
  }

  @Test func whatWasDamagedMeanwhileIsWrittenAnew() throws {
    let workspace = try Workspace()
    let target = Self.targets[0]
    try interrupted(target, in: workspace)
    let name = try #require(
      try workspace.names(target.work + "/output").first { $0.contains("00001") })
    let path = workspace.path(target.work + "/output/" + name)
    let handle = try #require(FileHandle(forUpdatingAtPath: path))
    try handle.seek(toOffset: 300_000)
    try handle.write(contentsOf: Data([1, 2, 3]))
    try handle.close()
    let run = try FathomProcess(target.arguments(workspace, ["--resume"]))
    #expect(run.status == 0, "\(run.messages)")
    #expect(run.messages.contains("is damaged after byte"))
    #expect(try workspace.files() == reference(target))
  }

  /// Reading fails, or a note finds that the file has changed: whichever comes first.
  @Test(arguments: [("truncate", [Int32(65), 74]), ("overwrite", [65])])
  func aSourceThatChangesUnderTheReaderLeavesNothing(kind: String, codes: [Int32]) throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "tiny-fp8")
    let mishap = Mishap(kind, at: 100, target: model + "/model-00003-of-00003.safetensors")
    let run = try FathomProcess(
      ["convert", model, workspace.path("out"), "--to", "hf", "--flush-every", "200KB"],
      environment: mishap.environment(below: workspace.path(".out")))
    #expect(codes.contains(run.status), "\(run.messages)")
    #expect(run.messages.contains("model-00003-of-00003.safetensors"))
    #expect(try workspace.names() == ["tiny-fp8"])
  }
}
