import Foundation
import Support
import Testing

/// What the command reads beside a model's weights, and what it does not.
@Suite struct InputDoorTests {
  private let workspace: Workspace
  private let model: String

  init() throws {
    workspace = try Workspace()
    model = try workspace.copy(sample: "tiny-bf16")
    try workspace.write("id_rsa", "TOPSECRETKEY".utf8)
  }

  private func link(_ path: String, to target: String) throws {
    try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: target)
  }

  /// Moves a file of the model out of its folder and leaves a link.
  private func moveOut(_ name: String) throws {
    try FileManager.default.moveItem(atPath: "\(model)/\(name)", toPath: workspace.path(name))
    try link("\(model)/\(name)", to: "../\(name)")
  }

  private var toGGUF: [String] {
    ["convert", model, workspace.path("out.gguf"), "--to", "gguf", "--quant", "q8_0"]
  }

  @Test(arguments: [
    "chat_template.jinja", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
    "config.json", "model.safetensors", "model.safetensors.index.json", "fathom-manifest.json",
  ])
  func noLinkBringsAnotherFileIn(name: String) throws {
    try? FileManager.default.removeItem(atPath: "\(model)/\(name)")
    try link("\(model)/\(name)", to: "../id_rsa")
    let run = try FathomProcess(toGGUF)
    #expect(run.status == 65, "\(run.messages)")
    #expect(run.messages.contains("\(model)/\(name): is a link out of the folder"))
    #expect(run.messages.contains("../id_rsa"))
    #expect(run.messages.contains("--follow-links"))
    #expect(try workspace.names() == ["id_rsa", "tiny-bf16"])
  }

  @Test(arguments: ["tokenizer.json", "config.json", "model.safetensors"])
  func linksThatTheUserMadeAreFollowedWhereTheyAreAllowed(name: String) throws {
    #expect(try FathomProcess(toGGUF).status == 0)
    let expected = try contents(workspace.path("out.gguf"))
    try FileManager.default.removeItem(atPath: workspace.path("out.gguf"))
    try moveOut(name)
    #expect(try FathomProcess(toGGUF).status == 65)
    let run = try FathomProcess(toGGUF + ["--follow-links"])
    #expect(run.status == 0, "\(run.messages)")
    #expect(try contents(workspace.path("out.gguf")) == expected)
  }

  @Test(arguments: [
    ["inspect"], ["validate"], ["hash"], ["logits", "--tokens", "tokens.json", "-o", "l"],
    ["verify", "same"], ["diff", "same"], ["pack", "out"], ["unpack", "out"],
    ["convert", "out", "--to", "hf"],
  ])
  func everyCommandRefusesWeightsThatAreLinks(command: [String]) throws {
    try workspace.write("tokens.json", "[1, 2, 3]".utf8)
    try FileManager.default.copyItem(atPath: model, toPath: workspace.path("same"))
    if command == ["unpack", "out"] {
      #expect(try FathomProcess("pack", model, workspace.path("packed")).status == 0)
      try FileManager.default.removeItem(atPath: model)
      try FileManager.default.moveItem(atPath: workspace.path("packed"), toPath: model)
    }
    try moveOut("model.safetensors")
    let others = command.dropFirst().map { word in
      ["same", "out", "tokens.json", "l"].contains(word) ? workspace.path(word) : word
    }
    let run = try FathomProcess([command[0], model] + others)
    #expect(run.status == 65, "\(run.messages)")
    #expect((run.messages + run.output).contains("--follow-links"), "\(run.output)")
    let allowed = try FathomProcess([command[0], model] + others + ["--follow-links"])
    #expect(allowed.status == 0, "\(allowed.messages)")
  }

  @Test func splitsThatAreLinksAreRefusedButForTheOneThatWasNamed() throws {
    let whole = workspace.path("m.gguf")
    let run = try FathomProcess(
      "convert", model, whole, "--to", "gguf", "--quant", "f16", "--max-shard-size", "200KB")
    #expect(run.status == 0, "\(run.messages)")
    let names = try workspace.names().filter { $0.hasPrefix("m-0") }
    try #require(names.count > 1)
    try FileManager.default.createDirectory(
      atPath: workspace.path("disk"), withIntermediateDirectories: true)
    for name in names.dropFirst() {
      try FileManager.default.moveItem(
        atPath: workspace.path(name), toPath: workspace.path("disk/\(name)"))
      try link(workspace.path(name), to: "disk/\(name)")
    }
    // Within the folder.
    #expect(try FathomProcess("inspect", workspace.path(names[0])).status == 0)
    try FileManager.default.createDirectory(
      atPath: workspace.path("links"), withIntermediateDirectories: true)
    for name in names {
      let target = name == names[0] ? "../\(name)" : "../disk/\(name)"
      try link(workspace.path("links/\(name)"), to: target)
    }
    let refused = try FathomProcess("inspect", workspace.path("links/\(names[0])"))
    #expect(refused.status == 65)
    #expect(refused.messages.contains("links/\(names[1]): is a link out of the folder"))
    #expect(
      try FathomProcess("inspect", workspace.path("links/\(names[0])"), "--follow-links").status
        == 0)
  }

  @Test func aSingleFileThatIsALinkIsTheUsersChoice() throws {
    #expect(try FathomProcess(toGGUF).status == 0)
    try link("\(model)/here.gguf", to: "../out.gguf")
    #expect(try FathomProcess("inspect", "\(model)/here.gguf").status == 0)
    try moveOut("model.safetensors")
    #expect(try FathomProcess("inspect", "\(model)/model.safetensors").status == 0)
  }

  @Test func namesInAManifestStayInTheFolder() throws {
    let out = workspace.path("out")
    #expect(try FathomProcess("convert", model, out, "--to", "hf").status == 0)
    let manifest = out + "/fathom-manifest.json"
    let text = String(decoding: try contents(manifest), as: UTF8.self)
    for name in ["../\u{301}secret", "a/b", ".."] {
      let entry =
        #"{"name": "\#(name)", "bytes": 2, "kind": "side", "hash": "\#(String(repeating: "0", count: 64))"}"#
      let changed = text.replacingOccurrences(
        of: "\"files\": [", with: "\"files\": [\n\(entry),", options: .backwards)
      try #require(changed != text)
      try workspace.write("out/fathom-manifest.json", changed.utf8)
      let run = try FathomProcess("validate", out, "--manifest")
      #expect(run.status == 65, "\(run.messages)")
      #expect(run.messages.contains("outside of the model's folder"), "\(run.messages)")
    }
  }

  // MARK: Names that are not UTF-8

  /// Runs a line of the shell in the workspace, `fathom` being the command.
  private func shell(_ line: String, _ environment: [String: String] = [:]) throws -> FathomProcess
  {
    try FathomProcess(
      program: "/bin/sh", ["-c", "fathom() { '\(FathomProcess.path)' \"$@\"; }; \(line)"],
      environment: environment, folder: workspace.path)
  }

  @Test func anArgumentThatIsNotUTF8IsRefused() throws {
    let run = try shell("fathom convert tiny-bf16 \"$(printf 'q\\377')\" --to hf")
    #expect(run.status == 64)
    #expect(run.messages.contains("argument 3 is not UTF-8"), "\(run.messages)")
    #expect(run.messages.contains("q\\\\xff"))
    #expect(try workspace.names() == ["id_rsa", "tiny-bf16"])
  }

  @Test func aFileWhoseNameIsNotUTF8IsLeftOutAloudAndNotPacked() throws {
    #expect(try shell("touch \"$(printf 'tiny-bf16/x\\377')\"").status == 0)
    let run = try FathomProcess("convert", model, workspace.path("out"), "--to", "hf")
    #expect(run.status == 0, "\(run.messages)")
    #expect(run.messages.contains("x\\\\xff has a name that is not UTF-8 and is not copied"))
    let packed = try FathomProcess("pack", model, workspace.path("packed"))
    #expect(packed.status == 65)
    #expect(packed.messages.contains("x\\\\xff"), "\(packed.messages)")
    #expect(try workspace.names() == ["id_rsa", "out", "tiny-bf16"])
  }

  @Test func aShardWhoseNameIsNotUTF8IsNotPassedOver() throws {
    #expect(try shell("touch \"$(printf 'tiny-bf16/x\\377.safetensors')\"").status == 0)
    let run = try FathomProcess("inspect", model)
    #expect(run.status == 65)
    #expect(run.messages.contains("x\\\\xff.safetensors"), "\(run.messages)")
  }
}
