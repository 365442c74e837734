import Foundation
import Support
import Testing

/// What is in the repository takes little: every sample by every command that reads one, and every
/// input of the corpora by its parser.
///
/// Memory is what decides; the limit of the processor's time only ends what would go on for very
/// long. `scripts/bounds` measures both.
@Suite(.enabled(if: Sanitizer.keepsMemory)) struct BoundsTests {
  /// Bytes that no input may take.
  static let memoryLimit = 512 << 20
  /// Twelve times what is asked for, as machines differ.
  static let processorSeconds = 60

  /// Runs a command and holds it to the limits.
  @discardableResult
  static func run(
    _ arguments: [String], program: String = FathomProcess.path
  ) throws -> FathomProcess {
    let run = try FathomProcess.watchingMemory(
      arguments, program: program, processorSeconds: processorSeconds)
    #expect(run.status < 128, "\(arguments): ended by signal \(run.status - 128) \(run.messages)")
    #expect(
      run.peakMemory <= memoryLimit, "\(arguments): \(run.peakMemory >> 20) MB \(run.messages)")
    return run
  }

  private static func names(_ folder: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
  }

  /// Samples that are models, sound and broken ones.
  static let models =
    Repository.sampleNames + names(Repository.samples + "/malformed").map { "malformed/\($0)" }
    + names(Repository.samples + "/hostile-gguf").map { "hostile-gguf/\($0)" }

  /// What the corpora are for.
  static let parsers = names(Repository.root + "/Fuzz/Corpora")

  @Test func thereAreInputs() {
    #expect(BoundsTests.models.count > 90 && BoundsTests.parsers.count > 15)
    for parser in BoundsTests.parsers { #expect(BoundsTests.inputs(parser).count > 2, "\(parser)") }
  }

  @Test(arguments: models)
  func samplesTakeLittle(name: String) throws {
    let workspace = try Workspace()
    let model = "\(Repository.samples)/\(name)"
    for command in ["inspect", "validate", "hash"] {
      let deep = command == "validate" ? ["--deep"] : []
      try BoundsTests.run([command, model] + deep)
    }
    let output = workspace.path("out")
    try BoundsTests.run(["convert", model, output + ".gguf", "--to", "gguf", "--quant", "q4_k_m"])
    try BoundsTests.run(["pack", model, output])
  }

  @Test func headersThatAreNoneTakeLittle() throws {
    let folder = Repository.samples + "/hostile"
    let names = BoundsTests.names(folder).filter { $0.hasSuffix(".safetensors") }
    #expect(names.count > 40)
    let workspace = try Workspace()
    try workspace.write(
      "config.json", contents(Repository.samples + "/malformed/none/config.json"))
    for name in names {
      try workspace.write("model.safetensors", contents("\(folder)/\(name)"))
      try BoundsTests.run(["inspect", workspace.path])
    }
  }

  /// Paths of the inputs of a parser.
  private static func inputs(_ parser: String) -> [String] {
    ["Corpora", "Regressions"].flatMap { kind in
      let folder = "\(Repository.root)/Fuzz/\(kind)/\(parser)"
      return names(folder).map { "\(folder)/\($0)" }
    }
  }

  @Test(arguments: parsers)
  func corporaTakeLittle(parser: String) throws {
    let inputs = BoundsTests.inputs(parser)
    let run = try BoundsTests.run(
      [parser] + inputs, program: FathomProcess.program(named: "read-inputs"))
    #expect(run.status == 0, "\(run.messages)")
    #expect(run.output.split(separator: "\n").count == inputs.count)
  }
}
