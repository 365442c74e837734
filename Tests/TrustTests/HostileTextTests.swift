import Foundation
import FoundationXML
import Support
import Testing

/// Every command on models whose folder, files, tensors, configs and keys have hostile names: what
/// reaches a terminal, a CI log, JSON, XML, HTML and Markdown keeps to its place.
@Suite struct HostileTextTests {
  let workspace: Workspace
  /// Names below the workspace, where the commands run.
  let good = HostileText.name
  let changed = "changed " + HostileText.name

  init() throws {
    workspace = try Workspace()
    let sample = Repository.samples + "/tiny-tied"
    try FileManager.default.copyItem(atPath: sample, toPath: workspace.path(good))
    let editor = try SampleEditor("tiny-tied", in: workspace, as: changed)
    try editor.set("routed_scaling_factor", 1.5)
    try editor.change("model.layers.1.self_attn.o_proj.weight") { $0[0][0] = [0, 0, 0x40, 0x41] }
  }

  /// Runs the command in the workspace and looks at all that it printed.
  @discardableResult
  private func run(
    _ arguments: [String], status: Int32, verdicts: Int = 0, names: String? = nil
  ) throws -> FathomProcess {
    let run = try FathomProcess(
      program: FathomProcess.path, arguments, environment: [:], folder: workspace.path)
    let shown = arguments.map { $0.prefix(30) }
    #expect(run.status == status, "\(shown): \(run.messages)")
    #expect(HostileText.faults(in: run.output, verdicts: verdicts) == [], "\(shown)")
    #expect(HostileText.faults(in: run.messages, verdicts: 0) == [], "\(shown)")
    if arguments.contains("json"), !run.output.isEmpty {
      let strings = HostileText.strings(in: try JSONDocument(run.output).root)
      if let names {
        // A path may be made absolute.
        #expect(
          strings.contains { $0.utf8.suffix(names.utf8.count).elementsEqual(names.utf8) },
          "\(shown)")
      }
    }
    return run
  }

  /// A copy of the sound model, changed.
  private func copy(_ change: (String) throws -> Void) throws -> String {
    let name = "copy " + HostileText.name
    try? FileManager.default.removeItem(atPath: workspace.path(name))
    try FileManager.default.copyItem(atPath: workspace.path(good), toPath: workspace.path(name))
    try change(workspace.path(name))
    return name
  }

  private static func quoted(_ text: String) -> String {
    let data = try? JSONSerialization.data(withJSONObject: [text])
    return String(String(decoding: data ?? Data(), as: UTF8.self).dropFirst().dropLast())
  }

  // MARK: - Sound models

  @Test(arguments: ["text", "json"]) func modelsAreInspected(format: String) throws {
    for options in [[], ["--layers"], ["--experts"], ["--tensors"], ["--stats"]] {
      try run(["inspect", good, "--format", format] + options, status: 0)
    }
    try run(["validate", good, "--deep", "--format", format], status: 0, verdicts: 1)
    try run(["hash", good, "--format", format], status: 0)
    try run(
      ["diff", good, changed, "--max-abs", "1e-9", "--format", format], status: 1, verdicts: 1,
      names: changed)
    try run(["inspect", good, "--format", "html"], status: 0)
  }

  @Test(arguments: [
    ["hf", "--quant", "bf16"], ["gguf", "--quant", "q8_0"], ["mlx", "--quant", "8bit"],
    ["deepseek"], ["compressed-tensors", "--quant", "int8-channel"],
  ])
  func modelsAreConverted(target: [String]) throws {
    let out = "valid: out " + HostileText.name
    let convert = ["convert", good, out, "--to"] + target
    for format in ["text", "json"] {
      try run(convert + ["--dry-run", "--format", format], status: 0, names: out)
      try run(convert + ["--overwrite", "--format", format], status: 0, names: out)
      try run(convert + ["--resume", "--format", format], status: 0)
    }
    try run(convert, status: 73)
    try run(["inspect", out, "--tensors"], status: 0)
    try run(["validate", out, "--manifest", "--format", "json"], status: 0)
    for name in try workspace.names() + workspace.names(good) where name.hasSuffix(".json") {
      let bytes = (try? contents(workspace.path(name))) ?? []
      #expect(HostileText.faults(in: String(decoding: bytes, as: UTF8.self), verdicts: 0) == [])
    }
  }

  @Test(arguments: ["text", "json"]) func modelsArePacked(format: String) throws {
    let (packed, out) = ("sound: packed " + HostileText.name, "sound: out " + HostileText.name)
    let options = ["--format", format]
    try run(["pack", good, packed] + options, status: 0)
    try run(["unpack", packed, "--check"] + options, status: 0, verdicts: 1)
    try run(["unpack", packed, out] + options, status: 0, names: out)
    try run(["unpack", packed, out] + options, status: 73)
    try run(["unpack", good, "--check"] + options, status: 65)
  }

  @Test func modelsAreRunAndVerified() throws {
    try workspace.write("text", "a\u{202e}b ::error:: ##vso[x] \u{1b}[2J\n".utf8)
    let out = "fail: out " + HostileText.name
    try run(["logits", good, "--text", "text", "-o", out], status: 0)
    try run(["verify", "--record", good, "--text", "text", "-o", "baseline"], status: 0)
    for (reference, candidate, status) in [
      (good, changed, Int32(1)), (good, good, 0), ("baseline", changed, 1),
    ] {
      let verify = ["verify", reference, candidate, "--max-kl", "1e-9"]
      let text = reference == good ? ["--text", "text"] : []
      try run(verify + text, status: status, verdicts: 1)
      if reference == good { try run(verify + text + ["--blame"], status: status, verdicts: 1) }
      let json = try run(verify + text + ["--format", "json"], status: status, names: candidate)
      #expect(try JSONSchema(named: "fathom.verify.1").faults(in: JSONDocument(json.output)) == [])
      let junit = try run(verify + text + ["--format", "junit"], status: status, verdicts: 1)
      #expect(try XMLSchema(named: "junit").faults(in: junit.output) == [])
      let page = try run(verify + text + ["--format", "html"], status: status)
      let root = try XMLSchema.parse(Data(page.output.utf8))
      #expect(try root.nodes(forXPath: "//script").isEmpty)
      let markdown = try run(verify + text + ["--format", "markdown"], status: status)
      #expect(HostileText.faults(inMarkdown: markdown.output) == [])
    }
  }

  @Test func recipesAreChosen() throws {
    try workspace.write("text", "a\u{202e}b ::error:: ##vso[x] \u{1b}[2J\n".utf8)
    let (matrix, out) = ("valid: m " + HostileText.name, "pass: r " + HostileText.name)
    let page = "fail: p " + HostileText.name
    for format in ["text", "json"] {
      let options = ["--text", "text", "--format", format, "--overwrite"]
      try run(
        ["imatrix", good, "-o", matrix, "--chunk-size", "8", "--keep-every", "1"] + options,
        status: 0, names: matrix)
      try run(
        ["recipe", good, "--bpw", "8.5", "--types", "q4_0,q8_0", "--imatrix", matrix, "-o", out]
          + ["--page", page] + options, status: 0)
    }
    let recipe = String(decoding: try contents(workspace.path(out)), as: UTF8.self)
    #expect(HostileText.faults(in: recipe, verdicts: 0) == [])
    let text = String(decoding: try contents(workspace.path(page)), as: UTF8.self)
    let root = try XMLSchema.parse(Data(text.utf8))
    #expect(try root.nodes(forXPath: "//script").isEmpty)
    #expect(HostileText.faults(in: text, verdicts: 0) == [])
    #expect(text.contains("&lt;script&gt;"))
    try run(["convert", good, "out.gguf", "--to", "gguf", "--recipe", out], status: 0)
  }

  // MARK: - Faulty models

  /// A tensor that no network of this family has.
  @Test func tensorsMayHaveAnyName() throws {
    let extra = try copy { folder in
      var bytes = try contents(folder + "/model.safetensors")
      let length = (0..<8).reduce(0) { $0 | Int(bytes[$1]) << (8 * $1) }
      var header = String(decoding: bytes[8..<8 + length], as: UTF8.self)
      let size = bytes.count - 8 - length
      while header.last == " " { header.removeLast() }
      header.removeLast()
      header +=
        ",\(Self.quoted(HostileText.part)):{\"dtype\":\"F32\",\"shape\":[1],"
        + "\"data_offsets\":[\(size),\(size + 4)]}}"
      bytes = SafetensorsFixture.framed(header) + bytes[(8 + length)...] + [0, 0, 0, 0]
      try Data(bytes).write(to: URL(fileURLWithPath: folder + "/model.safetensors"))
    }
    for format in ["text", "json"] {
      try run(
        ["inspect", extra, "--tensors", "--format", format], status: 0, names: HostileText.part)
      try run(["validate", extra, "--format", format], status: 1, verdicts: 1)
    }
    for command in [
      ["convert", extra, "out", "--to", "hf", "--quant", "bf16"],
      ["diff", good, extra], ["verify", good, extra], ["logits", extra, "--tokens", "none"],
      ["hash", extra], ["pack", extra, "packed"],
    ] {
      let run = try FathomProcess(
        program: FathomProcess.path, command, environment: [:], folder: workspace.path)
      #expect(HostileText.faults(in: run.output, verdicts: 1) == [], "\(command[0])")
      #expect(HostileText.faults(in: run.messages, verdicts: 0) == [], "\(command[0])")
    }
  }

  @Test(arguments: [
    "model_type", "hidden_act", "scoring_func", "topk_method", "quantization_config",
    "rope_scaling", "vocab_size", "architectures", "torch_dtype",
  ])
  func configsMaySayAnything(key: String) throws {
    let model = try copy { folder in
      let file = URL(fileURLWithPath: folder + "/config.json")
      let root = try JSONSerialization.jsonObject(with: Data(contentsOf: file))
      var object = root as? [String: Any] ?? [:]
      switch key {
      case "architectures": object[key] = [HostileText.part]
      case "quantization_config": object[key] = ["quant_method": HostileText.part]
      case "rope_scaling": object[key] = ["type": HostileText.part]
      default: object[key] = HostileText.part
      }
      try JSONSerialization.data(withJSONObject: object).write(to: file)
    }
    for command in [["inspect", model], ["validate", model], ["verify", good, model]] {
      for format in ["text", "json"] {
        let run = try FathomProcess(
          program: FathomProcess.path, command + ["--format", format], environment: [:],
          folder: workspace.path)
        #expect(HostileText.faults(in: run.output, verdicts: 1) == [], "\(command[0])")
        #expect(HostileText.faults(in: run.messages, verdicts: 0) == [], "\(command[0])")
      }
    }
  }

  @Test func filesOfGGUFMayHaveAnyNames() throws {
    let file = "gguf \(HostileText.name).gguf"
    try run(["convert", good, file, "--to", "gguf", "--quant", "f32"], status: 0)
    for format in ["text", "json"] {
      try run(["validate", file, "--format", format], status: 0, verdicts: 1)
      try run(["inspect", file, "--tensors", "--format", format], status: 0)
    }
    var bytes = Data(try contents(workspace.path(file)))
    // Names of the same length, so that nothing else moves.
    for (old, new) in [
      ("output_norm.weight", "::error::\n\u{1b}[2J##"),
      ("deepseek2.expert_count", "\n##vso[a]\npass\u{202e}"),
    ] {
      let range = try #require(bytes.range(of: Data(old.utf8)))
      let padding = String(repeating: "x", count: old.utf8.count - new.utf8.count)
      bytes.replaceSubrange(range, with: Data((new + padding).utf8))
      try bytes.write(to: URL(fileURLWithPath: workspace.path(file)))
      for command in [
        ["validate", file], ["inspect", file, "--tensors"], ["hash", file],
        ["diff", good, file],
      ] {
        let run = try FathomProcess(
          program: FathomProcess.path, command, environment: [:], folder: workspace.path)
        #expect(HostileText.faults(in: run.output, verdicts: 1) == [], "\(command[0])")
        #expect(HostileText.faults(in: run.messages, verdicts: 0) == [], "\(command[0])")
      }
    }
  }

  // MARK: - Other files and arguments

  @Test func otherFilesMaySayAnything() throws {
    let text = Self.quoted(HostileText.part)
    let file = "file " + HostileText.name
    let index = try copy { folder in
      let map = "{\"metadata\": {}, \"weight_map\": {\(text): \"x\(text.dropFirst())}}"
      try Data(map.utf8).write(to: URL(fileURLWithPath: folder + "/model.safetensors.index.json"))
    }
    try run(["validate", index], status: 1, verdicts: 1)
    try run(["inspect", index], status: 0)
    for (contents, command, status) in [
      ("[\(text)]", ["logits", good, "--tokens", file], Int32(65)),
      ("{\(text): 1}", ["verify", good, good, "--thresholds", file], 65),
      ("{\(text): 1}", ["convert", good, "out", "--to", "gguf", "--recipe", file], 65),
      (HostileText.part, ["hash", good, "--check", file], 65),
      ("{\"schema\": \(text)}", ["hash", good, "--check", file], 65),
      ("{\"schema\": \(text)}", ["validate", good, "--manifest-file", file], 65),
      (
        String(repeating: "0", count: 64) + "  F32 [1]  ::error::\u{202e}x\n",
        ["hash", good, "--check", file], 1
      ),
      ("{", ["verify", file, good, "--max-kl", "1"], 65),
    ] {
      try workspace.write(file, contents.utf8)
      try run(command, status: status, verdicts: 1)
    }
  }

  @Test func argumentsMayBeAnything() throws {
    let none = "none " + HostileText.name
    for command in [
      ["inspect", none], ["validate", none], ["convert", none, "out", "--to", "hf"],
      ["logits", none, "--tokens", none], ["verify", none, none], ["diff", none, none],
      ["hash", none], ["pack", none, "out"], ["unpack", none, "out"],
      ["logits", good, "--tokens", none], ["hash", good, "--check", none],
    ] {
      let run = try run(command, status: 66)
      #expect(run.messages.contains("none pass: m"), "\(command[0])")
    }
    for command in [
      ["convert", good, "out", "--to", HostileText.part],
      ["convert", good, "out", "--to=\(HostileText.part)"],
      ["convert", good, "out", "--to", "hf", "--quant", HostileText.part],
      ["convert", good, "out", "--to", "gguf", "--quant", HostileText.part],
      ["convert", good, "out", "--to", "mlx", "--quant", HostileText.part],
      ["convert", good, "out", "--to", "gguf", "--override-kv", HostileText.part],
      ["inspect", good, "--" + HostileText.part], ["inspect", good, HostileText.part],
      ["inspect", good, "--threads", HostileText.part], [HostileText.part],
    ] { try run(command, status: 64) }
  }
}
