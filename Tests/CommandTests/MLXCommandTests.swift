import Foundation
import Support
import Testing

/// The commands on MLX models; that their tensors are mlx-lm's is for `ConversionTests`.
@Suite struct MLXCommandTests {
  static let sample = Repository.samples + "/tiny-trained"

  private func expectValid(_ arguments: [String], _ schema: String) throws -> JSONDocument {
    let run = try FathomProcess(arguments)
    #expect(run.status == 0, "\(run.messages)")
    let document = try JSONDocument(run.output)
    let faults = try JSONSchema(named: schema).faults(in: document)
    #expect(faults.isEmpty, "\(faults)")
    return document
  }

  private func convert(_ workspace: Workspace, _ options: String...) throws -> String {
    let path = workspace.path("mlx")
    let run = try FathomProcess(
      ["convert", MLXCommandTests.sample, path, "--to", "mlx"] + options)
    #expect(run.status == 0, "\(run.messages)")
    return path
  }

  @Test func everyCommandTakesIt() throws {
    let workspace = try Workspace()
    let path = try convert(workspace, "--quant", "6bit", "--group-size", "32")
    let inspection = try expectValid(
      ["inspect", path, "--format", "json", "--tensors", "--stats"], "fathom.inspect.1")
    #expect(inspection.string("format") == "mlx")
    let source = try JSONDocument(
      try FathomProcess("inspect", MLXCommandTests.sample, "--format", "json").output)
    for key in ["total", "main", "mtp", "activePerToken"] {
      #expect(inspection.integer("parameters", key) == source.integer("parameters", key), "\(key)")
    }
    #expect(try FathomProcess("inspect", path).output.contains("mlx-affine-6-g32 (47 weights)"))
    let validation = try expectValid(
      ["validate", path, "--deep", "--format", "json"], "fathom.validate.1")
    // mlx-lm has no MTP layer 2.
    let severities = validation.list("findings").map { $0.string("severity") }
    #expect(validation.string("verdict") == "valid" && severities == ["warning"])
    // Decoded once, it is another model of the same numbers.
    let plain = workspace.path("plain")
    let decoded = try FathomProcess("convert", path, plain, "--to", "hf", "--quant", "f32")
    #expect(decoded.status == 0, "\(decoded.messages)")
    let difference = try expectValid(["diff", path, plain, "--format", "json"], "fathom.diff.1")
    #expect(difference.integer("totals", "compared") == 67)
    #expect(difference.integer("totals", "identical") == 67)
    let verification = try expectValid(
      ["verify", path, plain, "--max-kl", "0", "--format", "json"], "fathom.verify.1")
    #expect(verification.number("main", "maxAbsDifference") == 0)
    let logits = try FathomProcess(
      "logits", path, "--tokens", MLXCommandTests.sample + "/expected.safetensors", "-o",
      workspace.path("logits.safetensors"))
    #expect(logits.status == 0, "\(logits.messages)")
  }

  @Test func aDryRunTellsWhatBecomesOfCodes() throws {
    let workspace = try Workspace()
    func operation(_ model: String, _ name: String, _ options: String...) throws -> String? {
      let plan = try expectValid(
        ["convert", model, workspace.path("x"), "--dry-run", "--format", "json", "--to"] + options,
        "fathom.plan.1")
      let tensor = plan.list("tensors").first { $0.string("name") == name }
      return tensor?.string("operation")
    }
    let stack = "model.layers.1.mlp.switch_mlp.up_proj"
    let path = try convert(workspace, "--quant", "4bit")
    #expect(try operation(path, "\(stack).weight", "mlx") == "carried")
    #expect(try operation(path, "lm_head.scales", "mlx") == "copied")
    #expect(try operation(path, "model.norm.weight", "mlx") == "copied")
    #expect(try operation(path, "\(stack).weight", "mlx", "--quant", "f16") == "dequantized")
    #expect(try operation(path, "model.norm.weight", "mlx", "--quant", "f16") == "cast")
    #expect(
      try operation(MLXCommandTests.sample, "\(stack).biases", "mlx", "--quant", "3bit")
        == "requantized")
    #expect(
      try operation(MLXCommandTests.sample, "lm_head.weight", "mlx", "--quant", "3bit")
        == "quantized")
    #expect(try workspace.names() == ["mlx"])
  }

  /// Overwrites words of a document beside the shards.
  private func replace(_ old: String, _ new: String, in path: String) throws {
    let text = try String(contentsOfFile: path, encoding: .utf8)
    #expect(text.contains(old))
    try text.replacingOccurrences(of: old, with: new).write(
      toFile: path, atomically: true, encoding: .utf8)
  }

  @Test func validateTellsWhatIsWrong() throws {
    let workspace = try Workspace()
    let path = try convert(
      workspace, "--quant", "4bit", "--max-shard-size", "1GB", "--mtp", "drop")
    try replace(
      "\"num_nextn_predict_layers\": 0", "\"num_nextn_predict_layers\": 1",
      in: path + "/config.json")
    let warned = try expectValid(["validate", path, "--format", "json"], "fathom.validate.1")
    #expect(warned.list("findings").map { $0.string("rule") } == ["mtp-mismatch"])
    func rules(
      _ options: [String] = [], _ change: (String) throws -> Void
    ) throws -> [String?] {
      let copy = workspace.path(UUID().uuidString)
      try FileManager.default.copyItem(atPath: path, toPath: copy)
      try change(copy)
      let run = try FathomProcess(["validate", copy, "--format", "json"] + options)
      #expect(run.status == 1, "\(run.messages)")
      return try JSONDocument(run.output).list("findings").filter {
        $0.string("severity") == "error"
      }.map { $0.string("rule") }
    }
    // The name of a tensor stands in the header and, the same length, in the index.
    func rename(_ old: String, _ new: String, _ folder: String) throws {
      let file = folder + "/model.safetensors"
      var data = try Data(contentsOf: URL(fileURLWithPath: file))
      let place = try #require(data.range(of: Data("\"\(old)\"".utf8)))
      data.replaceSubrange(place, with: Data("\"\(new)\"".utf8))
      try data.write(to: URL(fileURLWithPath: file))
      try replace("\"\(old)\"", "\"\(new)\"", in: folder + "/model.safetensors.index.json")
    }
    #expect(
      try rules { try rename("lm_head.scales", "lm_head.skales", $0) }
        == ["wrong-type"])
    #expect(
      try rules { try rename("lm_head.biases", "lm_head.byases", $0) }
        == ["wrong-type"])
    #expect(
      try rules { try rename("model.norm.weight", "model.morn.weight", $0) }
        == ["missing-tensor", "unexpected-tensor"])
    #expect(
      try rules {
        try replace("\"vocab_size\": 288", "\"vocab_size\": 320", in: $0 + "/config.json")
      }
        == ["wrong-shape", "wrong-shape"])
    #expect(
      try rules(["--deep"]) { folder in
        let view = try SafetensorsView(folder + "/model.safetensors")
        try view.overwrite("lm_head.scales", with: [0x80, 0x7F])
      } == ["non-finite"])
  }

  @Test(arguments: [
    ["--quant", "9bit"], ["--quant", "4bit", "--group-size", "16"], ["--group-size", "32"],
    ["--quant", "mxfp4", "--group-size", "64"], ["--quant", "4bit", "--pure"],
    ["--quant", "4bit", "--layout", "mlx"],
  ])
  func whatMLXDoesNotHaveIsWrongUsage(options: [String]) throws {
    let workspace = try Workspace()
    let run = try FathomProcess(
      ["convert", MLXCommandTests.sample, workspace.path("x"), "--to", "mlx"] + options)
    #expect(run.status == 64, "\(run.messages)")
    let other = try FathomProcess(
      "convert", MLXCommandTests.sample, workspace.path("x"), "--to", "hf", "--layout", "mlx-lm")
    #expect(other.status == 64)
  }
}
