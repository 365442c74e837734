import Foundation
import Support
import Testing

/// `fathom convert` as a user runs it: exit codes, documents, and what a signal leaves behind.
@Suite struct ConvertTests {
  private let model = Repository.samples + "/tiny-fp8"

  private func convert(_ output: String, _ more: String...) throws -> FathomProcess {
    try FathomProcess(["convert", model, output, "--to", "hf"] + more)
  }

  @Test func theDocumentsKeepTheirSchemas() throws {
    let workspace = try Workspace()
    let out = workspace.path("out")
    for more in [["--quant", "bf16"], ["--mtp", "drop"], ["--max-shard-size", "100KB"]] {
      let arguments = ["convert", model, out, "--to", "hf", "--format", "json"] + more
      let dry = try FathomProcess(arguments + ["--dry-run"])
      #expect(dry.status == 0, "\(dry.messages)")
      let plan = try JSONDocument(dry.output)
      #expect(try JSONSchema(named: "fathom.plan.1").faults(in: plan).isEmpty)
      #expect(try workspace.names().isEmpty)
      let run = try FathomProcess(arguments)
      #expect(run.status == 0, "\(run.messages)")
      let result = try JSONDocument(run.output)
      #expect(try JSONSchema(named: "fathom.convert.1").faults(in: result).isEmpty)
      #expect(result.integer("bytesWritten") == plan.integer("totals", "bytes"))
      let written = try workspace.names("out").map { try contents("\(out)/\($0)").count }
      #expect(written.reduce(0, +) == plan.integer("totals", "bytes"))
      #expect(run.messages.isEmpty)
      try FileManager.default.removeItem(atPath: out)
    }
  }

  @Test func theOptionsOfFP8AreInThePlan() throws {
    let run = try FathomProcess(
      "convert", Repository.samples + "/tiny-bf16", "/nowhere/out", "--to", "hf", "--quant", "fp8",
      "--block-size", "64x32", "--scale-format", "ue8m0", "--dry-run", "--format", "json")
    let plan = try JSONDocument(run.output)
    #expect(try JSONSchema(named: "fathom.plan.1").faults(in: plan).isEmpty)
    #expect(plan.string("recipe", "scaleFormat") == "ue8m0")
  }

  @Test func aDryRunIsReadable() throws {
    let run = try convert("/nowhere/out", "--quant", "bf16", "--dry-run")
    #expect(run.status == 0)
    for part in [
      "F8_E4M3 → BF16", "e_score_correction_bias", "decides routing", "scales, multiplied into",
      "model.safetensors", "tokenizer.json", "will be written to /nowhere/out", "peak memory",
    ] {
      #expect(run.output.contains(part), "\(part)")
    }
  }

  @Test func exitCodesAreTheContracts() throws {
    let workspace = try Workspace()
    let out = workspace.path("out")
    func status(_ arguments: [String]) throws -> Int32 {
      let run = try FathomProcess(["convert"] + arguments)
      if run.status != 0 { #expect(run.output.isEmpty) }
      return run.status
    }
    #expect(try status([model, out, "--to", "gguf"]) == 64)
    #expect(try status([model, out]) == 64)
    #expect(try status([model, out, "--to", "hf", "--quant", "q4_k_m"]) == 64)
    #expect(try status([model, out, "--to", "hf", "--scale-format", "ue8m0"]) == 64)
    #expect(try status([model, out, "--to", "hf", "--max-shard-size", "much"]) == 64)
    #expect(try status([model, out, "--to", "hf", "--memory", "1KB"]) == 64)
    let malformed = Repository.samples + "/malformed/missing-scale"
    #expect(try status([malformed, out, "--to", "hf", "--quant", "bf16"]) == 65)
    #expect(try status([workspace.path("none"), out, "--to", "hf"]) == 66)
    #expect(try status([model, workspace.path("a/b"), "--to", "hf"]) == 73)
    #expect(try workspace.names().isEmpty)
    let copy = try workspace.copy(sample: "tiny-fp8")
    #expect(try status([copy, copy, "--to", "hf", "--overwrite"]) == 73)
    #expect(try status([copy, copy + "/out", "--to", "hf"]) == 73)
    #expect(try status([model, out, "--to", "hf"]) == 0)
    #expect(try status([model, out, "--to", "hf"]) == 73)
    #expect(try status([model, out, "--to", "hf", "--quant", "bf16", "--overwrite"]) == 0)
    #expect(try workspace.names() == ["out", "tiny-fp8"])
    #expect(try workspace.names("out").contains("model.safetensors"))
    #expect(!FileManager.default.fileExists(atPath: out + "/model.safetensors.index.json"))
  }

  @Test func aFileBesideItsConfigIsAModel() throws {
    let workspace = try Workspace()
    let folder = try workspace.copy(sample: "tiny-bf16")
    // Unlike a folder, a file does not forbid an output beside it.
    let run = try FathomProcess(
      "convert", folder + "/model.safetensors", folder + "/out", "--to", "hf")
    #expect(run.status == 0, "\(run.messages)")
    #expect(try contents(folder + "/out/tokenizer.json") == contents(folder + "/tokenizer.json"))
    #expect(try FathomProcess("validate", folder + "/out").status == 0)
  }

  @Test func overwritingSparesWhatIsNoCheckpoint() throws {
    let workspace = try Workspace()
    try workspace.write("home/letters/first.txt", [1])
    let run = try convert(workspace.path("home"), "--overwrite")
    #expect(run.status == 73)
    #expect(run.messages.contains("holds no checkpoint"))
    #expect(try workspace.names("home") == ["letters"])
    try FileManager.default.createDirectory(
      atPath: workspace.path("empty"), withIntermediateDirectories: true)
    #expect(try convert(workspace.path("empty"), "--overwrite").status == 0)
  }

  @Test func progressIsShownWhenAskedFor() throws {
    let workspace = try Workspace()
    let run = try convert(workspace.path("out"), "--progress", "never")
    #expect(run.status == 0 && run.messages.isEmpty)
  }

  /// A source of holes takes seconds to convert and no room.
  @Test(arguments: [SIGINT, SIGTERM])
  func aSignalEndsItWithinASecondAndKeepsTheWork(signal: Int32) throws {
    let workspace = try Workspace()
    let source = workspace.path("source")
    try writeSparseModel(to: workspace)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: FathomProcess.path)
    process.arguments = [
      "convert", source, workspace.path("out"), "--to", "hf", "--quant", "f32", "--threads", "2",
    ]
    let messages = try workspace.write("messages", [])
    process.standardError = FileHandle(forWritingAtPath: messages)
    try process.run()
    // Something must be there to be kept.
    let written = workspace.path(".out.fathom-part/output")
    let begun = Date()
    while size(ofFilesIn: written) < 20_000_000, Date().timeIntervalSince(begun) < 20 {
      usleep(5000)
    }
    let asked = Date()
    kill(process.processIdentifier, signal)
    process.waitUntilExit()
    #expect(Date().timeIntervalSince(asked) < 1)
    #expect(process.terminationReason == .exit && process.terminationStatus == 130)
    #expect(try workspace.names() == [".out.fathom-part", "messages", "source"])
    let lines = String(decoding: try contents(messages), as: UTF8.self).split(separator: "\n")
    #expect(lines.first == "fathom: interrupted")
    #expect(lines.count == 2 && lines[1].contains("with --resume goes on from there"))
  }

  private func size(ofFilesIn folder: String) -> Int {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    let sizes = names.map {
      try? FileManager.default.attributesOfItem(atPath: "\(folder)/\($0)")[.size] as? Int
    }
    return sizes.reduce(0) { $0 + ($1 ?? 0) }
  }

  private func writeSparseModel(to workspace: Workspace) throws {
    let text = String(decoding: try contents(model + "/config.json"), as: UTF8.self)
    var config = try #require(
      try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    for (key, value) in [
      "hidden_size": 2048, "intermediate_size": 8192, "moe_intermediate_size": 1024,
      "num_nextn_predict_layers": 0, "vocab_size": 32768,
    ] {
      config[key] = value
    }
    let data = try JSONSerialization.data(withJSONObject: config)
    try workspace.write("source/config.json", data)
    let fixture = try SafetensorsFixture.published(configPath: workspace.path("source/config.json"))
    try fixture.writeSparse(to: workspace.path("source/model.safetensors"))
    // A file that ends in zeros alone would be refused as the half of a download.
    let file = try FileHandle(
      forUpdating: URL(fileURLWithPath: workspace.path("source/model.safetensors")))
    try file.seek(toOffset: try file.seekToEnd() - 1)
    try file.write(contentsOf: Data([0x3C]))
    try file.close()
  }
}
