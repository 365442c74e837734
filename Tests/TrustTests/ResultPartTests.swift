import Foundation
import Support
import Testing

/// `hash` and `validate --deep` that several runs divide among themselves.
@Suite struct ResultPartTests {
  private let workspace: Workspace

  init() throws { workspace = try Workspace() }

  private func path(_ sample: String) -> String { Repository.samples + "/" + sample }

  /// Runs all parts in any order, then what makes one report of them.
  private func divided(
    _ command: [String], count: Int, finish: [String], into folder: String
  ) throws -> FathomProcess {
    let place = workspace.path(folder)
    try FileManager.default.createDirectory(
      atPath: place, withIntermediateDirectories: true)
    for number in (1...count).reversed() {
      let run = try FathomProcess(command + ["--part", "\(number)/\(count)", "--parts", place])
      #expect(run.status == 0, "\(run.messages)")
    }
    return try FathomProcess(command + finish + ["--finish", "--parts", place])
  }

  private func expectSame(
    _ command: [String], counts: [Int] = [1, 3], _ more: [String] = []
  ) throws {
    let whole = try FathomProcess(command + more)
    for count in counts {
      let merged = try divided(
        command, count: count, finish: more, into: "\(count)-\(command[0])")
      #expect(merged.status == whole.status, "\(merged.messages)")
      #expect(merged.output == whole.output, "\(count) parts of \(command)")
      #expect(merged.messages == whole.messages)
    }
  }

  @Test(arguments: ["tiny-fp8", "tiny-int4", "tiny-tied"], [[], ["--format", "json"]])
  func hashesAreThoseOfOneRun(sample: String, more: [String]) throws {
    try expectSame(["hash", path(sample)], counts: [1, 3], more)
  }

  @Test(
    arguments: [
      "tiny-fp8", "tiny-int4", "tiny-mixed", "malformed/non-finite",
      "malformed/shared-copy-differs",
      "malformed/zero-extent", "malformed/missing-tensor",
    ], [[], ["--format", "json"]])
  func deepFindingsAreThoseOfOneRun(sample: String, more: [String]) throws {
    try expectSame(["validate", path(sample), "--deep"], more)
  }

  /// The other formats look at weights in ways of their own.
  @Test(arguments: [
    ["--to", "gguf", "--quant", "q8_0"], ["--to", "mlx", "--quant", "4bit"],
    ["--to", "deepseek", "--mp", "2"],
  ])
  func deepFindingsOfOtherFormatsAreThoseOfOneRun(options: [String]) throws {
    let name = options[1] == "gguf" ? "model.gguf" : "model"
    let model = workspace.path(name)
    let run = try FathomProcess(
      ["convert", path("tiny-eighths"), model, "--no-manifest"] + options)
    #expect(run.status == 0, "\(run.messages)")
    // Weights that are nothing but zeros, somewhere in the middle.
    let file = try #require(
      name == "model.gguf"
        ? model
        : try FileManager.default.contentsOfDirectory(atPath: model).filter {
          $0.hasSuffix(".safetensors")
        }.sorted().first.map { model + "/" + $0 })
    var bytes = try contents(file)
    for index in bytes.count / 2..<bytes.count * 3 / 4 { bytes[index] = 0 }
    try Data(bytes).write(to: URL(fileURLWithPath: file))
    try expectSame(["validate", model, "--deep"], ["--format", "json"])
  }

  @Test func aPartsFileHasItsSchema() throws {
    for command in [["hash", path("tiny-fp8")], ["validate", path("tiny-fp8"), "--deep"]] {
      _ = try divided(command, count: 2, finish: [], into: command[0])
      let file = workspace.path("\(command[0])/\(command[0])-1-of-2.json")
      let document = try JSONDocument(String(decoding: contents(file), as: UTF8.self))
      #expect(try JSONSchema(named: "fathom.part.1").faults(in: document).isEmpty)
    }
  }

  @Test func whatIsMissingDamagedOrForeignIsNamed() throws {
    let command = ["hash", path("tiny-fp8")]
    let whole = try divided(command, count: 3, finish: [], into: "parts")
    #expect(whole.status == 0)
    func finish(_ model: String? = nil, status: Int32) throws -> String {
      let run = try FathomProcess(
        ["hash", model ?? command[1], "--finish", "--parts", workspace.path("parts")])
      #expect(run.status == status, "\(run.messages)")
      return run.messages
    }
    #expect(try finish(path("tiny-bf16"), status: 65).contains("is the result of other work"))
    let second = workspace.path("parts/hash-2-of-3.json")
    let bytes = try contents(second)
    var damaged = bytes
    damaged[damaged.count / 2] ^= 1
    try Data(damaged).write(to: URL(fileURLWithPath: second))
    #expect(try finish(status: 65).contains("hash-2-of-3.json"))
    try FileManager.default.removeItem(atPath: second)
    #expect(try finish(status: 66).contains("has no result of part 2/3"))
    // Another part under its name.
    try FileManager.default.copyItem(
      atPath: workspace.path("parts/hash-1-of-3.json"), toPath: second)
    #expect(try finish(status: 65).contains("expected part 2, found 1"))
    try Data(bytes).write(to: URL(fileURLWithPath: second))
    #expect(try finish(status: 0).isEmpty)
    try workspace.write("parts/hash-1-of-4.json", bytes)
    #expect(try finish(status: 66).contains("N = 3, 4"))
  }

  @Test func whatDoesNotGoTogetherIsRefused() throws {
    for command in [
      ["hash", path("tiny-fp8"), "--part", "1/2"],
      ["validate", path("tiny-fp8"), "--part", "1/2", "--parts", workspace.path],
      [
        "validate", path("tiny-fp8"), "--deep", "--manifest", "--finish", "--parts", workspace.path,
      ],
    ] {
      #expect(try FathomProcess(command).status == 64)
    }
  }
}
