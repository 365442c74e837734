import Foundation
import Platform
import Support
import Testing

/// Conversions whose parts share no folder: each is written in its own, and `--finish --parts` brings
/// them together.
@Suite struct PartFolderTests {
  private typealias Target = PartTests.Target

  /// A folder for each part, as machines of their own have them.
  private final class Machines {
    let workspace: Workspace
    let target: Target
    let count: Int

    init(_ target: Target, count: Int, missing: Set<Int> = []) throws {
      (self.target, self.count) = (target, count)
      workspace = try Workspace()
      try make("end")
      for number in 1...count where !missing.contains(number) { try run(number) }
    }

    func make(_ folder: String) throws {
      try FileManager.default.createDirectory(
        atPath: workspace.path(folder), withIntermediateDirectories: true)
    }

    func folder(_ number: Int) -> String { workspace.path("machines/\(number)") }

    /// The hidden folder that a part has written.
    func work(_ number: Int) -> String { folder(number) + "/" + target.work }

    private func command(_ folder: String, _ more: [String]) -> [String] {
      ["convert", target.model, folder + "/" + target.output] + target.options
        + ["--flush-every", "200KB"] + more
    }

    @discardableResult
    func run(_ number: Int, status: Int32 = 0, _ more: [String] = []) throws -> FathomProcess {
      try make("machines/\(number)")
      let arguments = command(folder(number), ["--part", "\(number)/\(count)"] + more)
      let run = try FathomProcess(arguments)
      #expect(run.status == status, "\(run.messages)")
      return run
    }

    /// The end, in a folder of its own.
    @discardableResult
    func finish(
      _ folders: [String]? = nil, status: Int32 = 0, _ more: [String] = [],
      _ environment: [String: String] = [:]
    ) throws -> FathomProcess {
      let folders = folders ?? [workspace.path("machines")]
      let run = try FathomProcess(
        command(workspace.path("end"), ["--finish"] + folders.flatMap { ["--parts", $0] } + more),
        environment: environment)
      #expect(run.status == status, "\(run.messages)")
      return run
    }

    /// The finished output.
    func output() throws -> [String: [UInt8]] {
      let files = try workspace.files().filter { $0.key.hasPrefix("end/") }
      return Dictionary(uniqueKeysWithValues: files.map { (String($0.key.dropFirst(4)), $0.value) })
    }

    /// All that the parts have written, to the byte.
    func written() throws -> [String: [UInt8]] {
      var files: [String: [UInt8]] = [:]
      let machines = workspace.path("machines")
      for name in try FileManager.default.subpathsOfDirectory(atPath: machines) {
        files[name] = try? contents(machines + "/" + name)
      }
      return files
    }

    /// Writes over the middle of a file.
    func damage(_ path: String) throws {
      var bytes = try contents(path)
      bytes[bytes.count / 2] ^= 1
      try Data(bytes).write(to: URL(fileURLWithPath: path))
    }
  }

  private func expected(_ target: Target) throws -> [String: [UInt8]] {
    let workspace = try Workspace()
    let run = try FathomProcess(target.arguments(workspace))
    #expect(run.status == 0, "\(run.messages)")
    return try workspace.files()
  }

  @Test(arguments: PartTests.targets)
  func partsInFoldersOfTheirOwnMakeTheSameBytes(target: PartTests.Target) throws {
    let machines = try Machines(target, count: 3)
    let before = try machines.written()
    try machines.finish()
    #expect(try machines.output() == expected(target))
    #expect(try machines.workspace.names("end").filter { $0.hasPrefix(".") }.isEmpty)
    #expect(try machines.written() == before)
    #expect(try machines.finish().output.contains("is there already"))
  }

  /// More parts than there are units, of which some have no files.
  @Test func manyPartsMakeTheSameBytes() throws {
    let target = PartTests.targets[5]
    let machines = try Machines(target, count: 40)
    try machines.finish(nil, ["--no-read-back"])
    #expect(try machines.output() == expected(target))
  }

  /// Hidden folders as they are, brought under other names, and parts that lie where the end is.
  @Test func foldersAreNamedAsTheyLie() throws {
    let target = PartTests.targets[4]
    let machines = try Machines(target, count: 4, missing: [4])
    let manager = FileManager.default
    try machines.make("brought")
    try manager.moveItem(atPath: machines.work(2), toPath: machines.workspace.path("brought/two"))
    let own = try FathomProcess(
      ["convert", target.model, machines.workspace.path("end/" + target.output)] + target.options
        + ["--part", "4/4"])
    #expect(own.status == 0, "\(own.messages)")
    // Work of another output beside a part is not looked at.
    let other = try FathomProcess(
      ["convert", target.model, machines.folder(1) + "/other.gguf", "--part", "1/7"]
        + target.options)
    #expect(other.status == 0, "\(other.messages)")
    try machines.finish([
      machines.folder(1), machines.workspace.path("brought"), machines.work(3),
      machines.workspace.path("end"),
    ])
    #expect(try machines.output() == expected(target))
  }

  @Test func finishingNamesWhatIsMissing() throws {
    let target = PartTests.targets[1]
    let machines = try Machines(target, count: 4, missing: [2])
    let missing = try machines.finish(status: 73)
    #expect(missing.messages.contains("missing: 2"), "\(missing.messages)")
    #expect(try machines.workspace.names("end").isEmpty)
    // One that was interrupted is no better.
    let mishap = Mishap("kill", at: 60)
    try machines.make("machines/2")
    let broken = try FathomProcess(
      ["convert", target.model, machines.folder(2) + "/" + target.output] + target.options
        + ["--part", "2/4"], environment: mishap.environment(below: machines.folder(2)))
    #expect(broken.status == 128 + SIGKILL, "\(broken.messages)")
    let early = try machines.finish(status: 73)
    #expect(early.messages.contains("unfinished: 2"), "\(early.messages)")
    try machines.run(2)
    let nowhere = try machines.finish([machines.workspace.path("end")], status: 66)
    #expect(nowhere.messages.contains("holds no parts of this output"), "\(nowhere.messages)")
    try machines.finish()
    #expect(try machines.output() == expected(target))
  }

  @Test func finishingNamesWhatIsDamaged() throws {
    let target = PartTests.targets[4]
    let machines = try Machines(target, count: 3)
    let path = machines.work(3) + "/output/" + target.output
    let bytes = try contents(path)
    var damaged = bytes
    damaged[bytes.count - 5] ^= 1
    try Data(damaged).write(to: URL(fileURLWithPath: path))
    // The first two are brought, and stay so.
    for more in [[], ["--no-read-back"]] {
      let run = try machines.finish(status: 73, more)
      #expect(run.messages.contains("\(path)"), "\(run.messages)")
      #expect(run.messages.contains("is not what part 3/3 wrote"), "\(run.messages)")
    }
    try Data(bytes.prefix(bytes.count - 5)).write(to: URL(fileURLWithPath: path))
    let short = try machines.finish(status: 73)
    #expect(short.messages.contains("is not what part 3/3 wrote"), "\(short.messages)")
    try FileManager.default.removeItem(atPath: path)
    let gone = try machines.finish(status: 73)
    #expect(gone.messages.contains("found no such file"), "\(gone.messages)")
    let resume = try FathomProcess(
      "resume", machines.workspace.path("end/" + target.output))
    #expect(resume.output.contains("--finish --parts"), "\(resume.output)")
    #expect(!resume.output.contains("--part "), "\(resume.output)")
    try machines.run(3)
    for name in ["journal", "journal-copy"] {
      try machines.damage(machines.work(2) + "/part-2-of-3/" + name)
    }
    // Part 2 is there already, and what is left of it elsewhere is not needed.
    try machines.finish()
    #expect(try machines.output() == expected(target))
  }

  @Test func aDamagedJournalIsNamed() throws {
    let machines = try Machines(PartTests.targets[4], count: 2)
    for name in ["journal", "journal-copy"] {
      let path = machines.work(2) + "/part-2-of-2/" + name
      try Data([UInt8](repeating: 0, count: 400)).write(to: URL(fileURLWithPath: path))
    }
    let run = try machines.finish(status: 73)
    #expect(
      run.messages.contains("missing: 2") || run.messages.contains("damaged: 2"),
      "\(run.messages)")
  }

  @Test func foreignPartsAreRefusedByTheirFolder() throws {
    let target = PartTests.targets[4]
    let machines = try Machines(target, count: 2, missing: [2])
    let recipe = Target(output: target.output, options: ["--to", "gguf", "--quant", "q4_0"])
    let other = try Machines(recipe, count: 2, missing: [1])
    let foreign = try machines.finish([machines.folder(1), other.folder(2)], status: 73)
    #expect(foreign.messages.contains(other.work(2) + "/part-2-of-2"), "\(foreign.messages)")
    #expect(foreign.messages.contains("unfinished work has another recipe"), "\(foreign.messages)")
    let divided = try Machines(target, count: 3, missing: [1, 3])
    let otherwise = try machines.finish([machines.folder(1), divided.folder(2)], status: 73)
    #expect(otherwise.messages.contains("K/N with N = 2, 3"), "\(otherwise.messages)")
    #expect(try machines.workspace.names("end").isEmpty)
  }

  /// A link in a part's folder could bring any file of this machine into the output.
  @Test func aLinkOutOfAPartsFolderIsNotFollowed() throws {
    let target = PartTests.targets[4]
    let machines = try Machines(target, count: 2)
    let path = machines.work(2) + "/output/" + target.output
    let elsewhere = machines.workspace.path("elsewhere")
    try FileManager.default.moveItem(atPath: path, toPath: elsewhere)
    try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: elsewhere)
    let run = try machines.finish(status: 65)
    #expect(run.messages.contains("is a link out of the folder"), "\(run.messages)")
  }

  /// Killed at calls all over it, the end goes on when it is run again, and the parts stay as they are.
  @Test(
    arguments: [PartTests.targets[1], PartTests.targets[4]], ["kill", "interrupt", "powercut"])
  func aKilledEndGoesOn(target: PartTests.Target, kind: String) throws {
    let expected = try expected(target)
    let whole = try Machines(target, count: 3)
    let log = whole.workspace.path("calls")
    try whole.finish(nil, [], Mishap.watching(whole.workspace.path("end"), log: log))
    let calls = try contents(log).count { $0 == UInt8(ascii: "\n") }
    #expect(calls > 60)
    for call in stride(from: calls % 5 + 1, through: calls, by: calls / 5) {
      let machines = try Machines(target, count: 3)
      let before = try machines.written()
      let end = machines.workspace.path("end")
      let broken = try FathomProcess(
        ["convert", target.model, end + "/" + target.output] + target.options
          + ["--flush-every", "200KB", "--finish", "--parts", machines.workspace.path("machines")],
        environment: Mishap(kind, at: call).environment(below: end))
      #expect([0, 130, 128 + SIGKILL].contains(broken.status), "\(call): \(broken.messages)")
      try machines.finish()
      #expect(try machines.output() == expected, "call \(call)")
      #expect(try machines.written() == before)
    }
  }

  @Test(arguments: [["--parts", "x"], ["--parts", "x", "--part", "1/2"]])
  func foldersGoWithTheEndAlone(options: [String]) throws {
    let workspace = try Workspace()
    let run = try FathomProcess(PartTests.targets[4].arguments(workspace, options))
    #expect(run.status == 64, "\(run.messages)")
    #expect(run.messages.contains("--parts goes with --finish"), "\(run.messages)")
  }

  /// An output that takes the place of a folder with parts in it would take them with it.
  @Test func partsInWhatIsReplacedAreSpared() throws {
    let target = PartTests.targets[1]
    let machines = try Machines(target, count: 2)
    try machines.make("end/" + target.output)
    let inside = machines.workspace.path("end/" + target.output + "/machines")
    try FileManager.default.moveItem(atPath: machines.workspace.path("machines"), toPath: inside)
    let run = try machines.finish([inside], status: 73, ["--overwrite"])
    #expect(run.messages.contains("overlaps an input"), "\(run.messages)")
  }
}
