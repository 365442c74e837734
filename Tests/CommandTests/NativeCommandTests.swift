import Foundation
import Support
import Testing

/// DeepSeek's shards at the command line: every command takes them, and faults are named.
@Suite struct NativeCommandTests {
  private let model = Repository.samples + "/tiny-eighths"

  private func shards(_ count: Int, in workspace: Workspace) throws -> String {
    let output = workspace.path("native")
    let run = try FathomProcess(
      "convert", model, output, "--to", "deepseek", "--mp", "\(count)", "--format", "json")
    #expect(run.status == 0, "\(run.messages)")
    let result = try JSONDocument(run.output)
    #expect(try JSONSchema(named: "fathom.convert.1").faults(in: result).isEmpty)
    return output
  }

  private func findings(_ path: String, deep: Bool = false) throws -> [(String, String?, String?)] {
    let run = try FathomProcess(
      ["validate", path, "--format", "json"] + (deep ? ["--deep"] : []))
    let report = try JSONDocument(run.output)
    #expect(try JSONSchema(named: "fathom.validate.1").faults(in: report).isEmpty)
    return report.list("findings").filter { $0.string("severity") == "error" }.map {
      ($0.string("rule") ?? "", $0.string("tensor"), $0.string("file"))
    }
  }

  @Test func everyCommandTakesThem() throws {
    let workspace = try Workspace()
    let native = try shards(4, in: workspace)
    try workspace.write("ids.json", "[[0, 5, 17, 200, 3]]".utf8)
    let ids = workspace.path("ids.json")
    for (path, output) in [(model, "a"), (native, "b"), (native + "/model2-mp4.safetensors", "c")] {
      let run = try FathomProcess(
        "logits", path, "--tokens", ids, "-o", workspace.path("\(output).safetensors"))
      #expect(run.status == 0, "\(run.messages)")
    }
    let logits = try contents(workspace.path("a.safetensors"))
    #expect(try contents(workspace.path("b.safetensors")) == logits)
    #expect(try contents(workspace.path("c.safetensors")) == logits)
    let verdict = try FathomProcess("verify", model, native, "--tokens", ids, "--max-kl", "0")
    #expect(verdict.status == 0, "\(verdict.messages)")
    let difference = try FathomProcess("diff", model, native, "--format", "json")
    #expect(try JSONDocument(difference.output).integer("totals", "identical") == 97)
    let inspection = try JSONDocument(
      FathomProcess("inspect", native, "--tensors", "--format", "json").output)
    #expect(try JSONSchema(named: "fathom.inspect.1").faults(in: inspection).isEmpty)
    #expect(inspection.string("format") == "deepseek")
    let source = try JSONDocument(FathomProcess("inspect", model, "--format", "json").output)
    for key in ["total", "main", "mtp", "activePerToken", "scales"] {
      #expect(
        inspection.integer("parameters", key) == source.integer("parameters", key), "\(key)")
    }
    #expect(try findings(native, deep: true).isEmpty)
    let text = try FathomProcess(
      "logits", native, "--text", model + "/config.json", "--max-tokens", "5", "-o",
      workspace.path("text.safetensors"))
    #expect(text.status == 0, "\(text.messages)")
  }

  @Test func thePlanKeepsItsSchema() throws {
    let run = try FathomProcess(
      "convert", model, "/nowhere/out", "--to", "deepseek", "--mp", "2", "--dry-run", "--format",
      "json")
    let plan = try JSONDocument(run.output)
    #expect(try JSONSchema(named: "fathom.plan.1").faults(in: plan).isEmpty)
    #expect(plan.integer("recipe", "mp") == 2 && plan.string("recipe", "to") == "deepseek")
    #expect(plan.list("lost").isEmpty)
  }

  @Test func wrongUsageIsRefused() throws {
    let workspace = try Workspace()
    for options in [
      ["--to", "hf", "--mp", "2"], ["--to", "deepseek", "--mp", "0"],
      ["--to", "deepseek", "--mp", "3"], ["--to", "deepseek", "--mtp", "only"],
      ["--to", "deepseek", "--max-shard-size", "1GB"], ["--to", "deepseek", "--quant", "q8_0"],
    ] {
      let run = try FathomProcess(["convert", model, workspace.path("out")] + options)
      #expect(run.status == 64, "\(options)")
    }
    #expect(try workspace.names().isEmpty)
  }

  @Test func anAbsentShardIsNamed() throws {
    let workspace = try Workspace()
    let native = try shards(4, in: workspace)
    try FileManager.default.removeItem(atPath: native + "/model2-mp4.safetensors")
    try FileManager.default.removeItem(atPath: native + "/mtp1-mp4.safetensors")
    let found = try findings(native)
    #expect(found.map(\.0) == ["missing-shard"])
    #expect(found.map(\.2) == ["model2-mp4.safetensors"])
    let text = try FathomProcess("validate", native).output
    #expect(text.contains("missing-shard ×2") && !text.contains("missing-tensor"), "\(text)")
    let run = try FathomProcess("convert", native, workspace.path("out"), "--to", "hf")
    #expect(run.status == 66 && run.messages.contains("model2-mp4.safetensors"))
  }

  @Test func aShardOfAnotherDivisionIsWrongInShape() throws {
    let workspace = try Workspace()
    let native = try shards(4, in: workspace)
    let whole = workspace.path("whole")
    #expect(try FathomProcess("convert", model, whole, "--to", "deepseek").status == 0)
    try FileManager.default.removeItem(atPath: native + "/model2-mp4.safetensors")
    try FileManager.default.copyItem(
      atPath: whole + "/model0-mp1.safetensors", toPath: native + "/model2-mp4.safetensors")
    let found = try findings(native)
    #expect(Set(found.map(\.0)) == ["wrong-shape", "unexpected-tensor"])
    #expect(found.allSatisfy { $0.2 == "model2-mp4.safetensors" })
    #expect(found.contains { $0.1 == "layers.0.attn.wo.weight" })
    let run = try FathomProcess("convert", native, workspace.path("out"), "--to", "hf")
    #expect(run.status == 65)
  }

  @Test func expertsOfAnotherShardAreNamed() throws {
    let workspace = try Workspace()
    let native = try shards(4, in: workspace)
    try FileManager.default.removeItem(atPath: native + "/model2-mp4.safetensors")
    try FileManager.default.copyItem(
      atPath: native + "/model3-mp4.safetensors", toPath: native + "/model2-mp4.safetensors")
    let found = try findings(native)
    #expect(found.map(\.0).sorted() == ["missing-tensor", "unexpected-tensor"])
    let names = found.compactMap(\.1).sorted()
    #expect(names.map { $0.hasPrefix("layers.1.ffn.experts.4.") } == [true, false])
    #expect(names.map { $0.hasPrefix("layers.1.ffn.experts.6.") } == [false, true])
  }

  /// Every shard has the norms; one that has others computes something else.
  @Test func copiesThatDifferAreFound() throws {
    let workspace = try Workspace()
    let native = try shards(2, in: workspace)
    let view = try SafetensorsView(native + "/model1-mp2.safetensors")
    var bytes = try view.bytes(of: "layers.1.ffn.gate.weight")
    bytes[7] ^= 1
    try view.overwrite("layers.1.ffn.gate.weight", with: bytes)
    #expect(try findings(native).isEmpty)
    let found = try findings(native, deep: true)
    #expect(found.map(\.0) == ["shared-copy-differs"])
    #expect(found.first?.1 == "layers.1.ffn.gate.weight")
    #expect(found.first?.2 == "model1-mp2.safetensors")
    // What computes or converts would take one of them for all.
    try workspace.write("ids.json", "[[0, 5, 17]]".utf8)
    let ids = workspace.path("ids.json")
    for arguments in [
      ["convert", native, workspace.path("out"), "--to", "hf"],
      ["convert", native, workspace.path("out"), "--to", "hf", "--part", "1/2"],
      ["logits", native, "--tokens", ids, "-o", workspace.path("logits.safetensors")],
      ["verify", model, native, "--tokens", ids],
    ] {
      let run = try FathomProcess(arguments)
      #expect(run.status == 65, "\(arguments)")
      for word in ["layers.1.ffn.gate.weight", "model0-mp2.", "model1-mp2.", "from byte 7"] {
        #expect(run.messages.contains(word), "\(word) in \(run.messages)")
      }
    }
  }

  /// What `convert.py` writes comes without a config; people put DeepSeek's own beside it, or
  /// Hugging Face's.
  @Test func configsMayBeOfEitherKind() throws {
    let workspace = try Workspace()
    let native = try shards(2, in: workspace)
    let own = native + "/config.json"
    try FileManager.default.moveItem(atPath: own, toPath: native + "/config_671B.json")
    #expect(try findings(native).isEmpty)
    try FileManager.default.copyItem(atPath: model + "/config.json", toPath: own)
    #expect(try findings(native).isEmpty)
    #expect(try FathomProcess("validate", native).output.contains("0 warnings"))
    try FileManager.default.removeItem(atPath: own)
    try FileManager.default.removeItem(atPath: native + "/config_671B.json")
    let run = try FathomProcess("validate", native)
    #expect(run.status == 66 && run.messages.contains("config.json"))
    // The tensors can be shown all the same.
    #expect(try FathomProcess("inspect", native).status == 0)
  }

  @Test func shardsOfTwoDivisionsAreRefused() throws {
    let workspace = try Workspace()
    let native = try shards(2, in: workspace)
    let whole = workspace.path("whole")
    #expect(try FathomProcess("convert", model, whole, "--to", "deepseek").status == 0)
    try FileManager.default.copyItem(
      atPath: whole + "/model0-mp1.safetensors", toPath: native + "/model0-mp1.safetensors")
    for command in ["inspect", "validate"] {
      let run = try FathomProcess(command, native)
      #expect(run.status == 65 && run.messages.contains("another division"), "\(run.messages)")
    }
  }
}
