import Foundation
import Support
import Testing

/// What `--overwrite` replaces: a model by a model, whole and nothing beside it.
@Suite struct OverwriteTests {
  let workspace: Workspace

  init() throws { workspace = try Workspace() }

  private static let model = Repository.samples + "/tiny-tied"

  private func run(_ arguments: String..., environment: [String: String] = [:]) throws
    -> FathomProcess
  {
    try FathomProcess(arguments, environment: environment)
  }

  /// Every path below the folder.
  private func everything() throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: workspace.path).sorted()
  }

  /// Commands that write a folder, one row each.
  static let writers = ["convert", "pack", "unpack"]

  private func write(_ command: String, to name: String, _ more: String...) throws -> FathomProcess
  {
    let source = try Workspace()
    var arguments = [command, Self.model, workspace.path(name)]
    if command == "convert" { arguments += ["--to", "hf"] }
    if command == "unpack" {
      #expect(try run("pack", Self.model, source.path("packed")).status == 0)
      arguments[1] = source.path("packed")
    }
    return try FathomProcess(arguments + more)
  }

  @Test(
    arguments: writers,
    [
      ["thesis.tex"], ["thesis.tex", ".git/HEAD"],
      ["config.json", "model.safetensors", "thesis.tex"],
      ["config.json", "model.safetensors", ".git/HEAD"],
      ["config.json", "model.safetensors", "id"],
      ["config.json", "model.safetensors", "other.gguf"], ["README.md"], ["a.gguf", "b.gguf"],
      ["config.json", "model.safetensors", "x\u{301}.tex"],
    ])
  func foldersOfOtherThingsStay(command: String, names: [String]) throws {
    for name in names { try workspace.write("docs/\(name)", "{}".utf8) }
    let before = try everything()
    let run = try write(command, to: "docs", "--overwrite")
    #expect(run.status == 73, "\(run.messages)")
    #expect(run.messages.contains("is not replaced"))
    if names.count == 3, names[2] != ".git/HEAD" { #expect(run.messages.contains(names[2])) }
    #expect(try everything() == before)
  }

  @Test(arguments: writers)
  func modelsAreReplaced(command: String) throws {
    #expect(try write("convert", to: "out").status == 0)
    // What fathom lists as a model's file is one, whatever it is called.
    let source = try workspace.copy(sample: "tiny-bf16")
    try workspace.write("tiny-bf16/extra.tex", [1])
    #expect(try run("pack", source, workspace.path("packed")).status == 0)
    for name in ["out", "packed"] {
      let replaced = try write(command, to: name, "--overwrite")
      #expect(replaced.status == 0, "\(replaced.messages)")
      #expect(try !workspace.names(name).contains("extra.tex"))
    }
    #expect(try workspace.names() == ["out", "packed", "tiny-bf16"])
  }

  @Test func splitsThatHaveTheirFolderAreReplaced() throws {
    let splits = try run(
      "convert", Self.model, workspace.path("s.gguf"), "--to", "gguf", "--quant", "f16",
      "--max-shard-size", "100KB",
      "--no-manifest")
    #expect(splits.status == 0, "\(splits.messages)")
    let first = try #require(try workspace.names().first)
    #expect(try run("pack", workspace.path(first), workspace.path("packed")).status == 0)
    for _ in 0..<2 {
      let unpacked = try run(
        "unpack", workspace.path("packed"), workspace.path("back"), "--overwrite")
      #expect(unpacked.status == 0, "\(unpacked.messages)")
    }
    try workspace.write("back/a-00001-of-00002.gguf", "GGUF".utf8)
    let refused = try run(
      "unpack", workspace.path("packed"), workspace.path("back"), "--overwrite")
    #expect(refused.status == 73)
    #expect(refused.messages.contains("a-00001-of-00002.gguf"))
  }

  /// A name that is not UTF-8 is refused before any work, and nothing hidden stays behind.
  @Test(arguments: writers)
  func namesThatAreNoTextAreSaid(command: String) throws {
    #expect(try write("convert", to: "out").status == 0)
    let path = Array(workspace.path("out/x").utf8) + [0xFF, 0]
    let descriptor = path.map { CChar(bitPattern: $0) }.withUnsafeBufferPointer {
      open($0.baseAddress!, O_CREAT | O_WRONLY, 0o600)
    }
    close(descriptor)
    let run = try write(command, to: "out", "--overwrite")
    #expect(run.status == 73)
    #expect(run.messages.contains("x\\\\xff"), "\(run.messages)")
    #expect(try workspace.names() == ["out"])
  }

  @Test(arguments: ["folder", "file"])
  func linksAreNeitherFollowedNorReplaced(kind: String) throws {
    try workspace.write("real/config.json", "{}".utf8)
    try workspace.write("real/model.safetensors", [])
    try workspace.write("real.gguf", "GGUF".utf8)
    let ending = kind == "file" ? ".gguf" : ""
    try FileManager.default.createSymbolicLink(
      atPath: workspace.path("link" + ending), withDestinationPath: "real" + ending)
    let before = try everything()
    let run = try run(
      "convert", Self.model, workspace.path("link" + ending), "--to",
      kind == "file" ? "gguf" : "hf", "--quant", "f16",
      "--overwrite")
    #expect(run.status == 73)
    #expect(run.messages.contains("a link to real" + ending), "\(run.messages)")
    #expect(try everything() == before)
  }

  /// A manifest's name that is a link, a file of somebody else's, or another output's manifest.
  @Test(arguments: ["link", "strange", "splits"], [[], ["--overwrite"]])
  func manifestsOfOthersStay(kind: String, more: [String]) throws {
    let manifest = workspace.path("x.fathom-manifest.json")
    try workspace.write("home/.bashrc", "export A=1".utf8)
    switch kind {
    case "link":
      try FileManager.default.createSymbolicLink(
        atPath: manifest, withDestinationPath: "home/.bashrc")
    case "strange": try workspace.write("x.fathom-manifest.json", #"{"schema":"mine"}"#.utf8)
    default:
      let splits = try run(
        "convert", Self.model, workspace.path("x.gguf"), "--to", "gguf", "--quant", "f16",
        "--max-shard-size", "100KB"
      )
      #expect(splits.status == 0, "\(splits.messages)")
    }
    let (names, before) = (try workspace.names(), try contents(manifest))
    let run = try FathomProcess(
      ["convert", Self.model, workspace.path("x.gguf"), "--to", "gguf", "--quant", "f16"] + more)
    guard kind != "splits" || more.isEmpty else {
      // The user has said that what stands under the output's names may go.
      #expect(run.status == 0, "\(run.messages)")
      return
    }
    #expect(run.status == 73, "\(run.messages)")
    #expect(run.messages.contains("x.fathom-manifest.json"))
    #expect(try contents(manifest) == before && workspace.names() == names)
    #expect(try contents(workspace.path("home/.bashrc")) == Array("export A=1".utf8))
  }

  /// Another name in the moment before it is replaced: what comes out is looked at, and put back.
  @Test func aFolderThatIsSwappedInTheLastMomentIsPutBack() throws {
    #expect(try write("convert", to: "out").status == 0)
    try workspace.write("out.new/thesis", [7])
    let mishap = Mishap("swap", at: 1, name: "renameat2", target: workspace.path("out"))
    let run = try run(
      "convert", Self.model, workspace.path("out"), "--to", "hf", "--overwrite",
      environment: mishap.environment(below: workspace.path("out")))
    #expect(run.status == 73, "\(run.messages)")
    #expect(run.messages.contains("is not what stood there when the run began"))
    #expect(try files(workspace.path("out")) == ["thesis": [7]])
    #expect(try workspace.names("out.gone").contains("model.safetensors"))
  }

  @Test func aFileThatIsSwappedInTheLastMomentIsPutBack() throws {
    let (list, file) = (workspace.path("list"), workspace.path("x.gguf"))
    #expect(try run("hash", Self.model, "-o", list).status == 0)
    #expect(try run("convert", Self.model, file, "--to", "gguf", "--quant", "f16").status == 0)
    for (path, arguments, below) in [
      (list, ["hash", Self.model, "-o", list], list),
      (
        file, ["convert", Self.model, file, "--to", "gguf", "--quant", "f16"],
        workspace.path(".x.gguf.fathom-part/replaced")
      ),
    ] {
      try Data("theirs".utf8).write(to: URL(fileURLWithPath: path + ".new"))
      let mishap = Mishap("swap", at: below == path ? 1 : 2, target: path)
      let run = try FathomProcess(
        arguments + ["--overwrite"], environment: mishap.environment(below: below))
      #expect(run.status == 73, "\(run.messages)")
      #expect(try contents(path) == Array("theirs".utf8))
    }
    #expect(try workspace.names().filter { $0.hasPrefix(".list") }.isEmpty)
  }
}
