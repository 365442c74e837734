import Foundation
import Support
import Testing

/// Metadata are changed, tensors are not.
@Suite struct EditTests {
  private static let sample = Repository.samples + "/tiny-bf16"

  private func gguf(_ workspace: Workspace, _ options: String...) throws -> String {
    let path = workspace.path("model.gguf")
    let run = try FathomProcess(
      ["convert", EditTests.sample, path, "--to", "gguf", "--quant", "q8_0", "--no-manifest"]
        + options)
    #expect(run.status == 0, "\(run.messages)")
    return path
  }

  private func edit(_ path: String, _ options: String...) throws -> JSONDocument {
    try JSONDocument(printedBy: ["edit", path] + options, schema: "fathom.edit.1")
  }

  private func value(_ key: String, of path: String) throws -> String? {
    let rows = try JSONDocument(
      printedBy: ["inspect", path, "--metadata"], schema: "fathom.inspect.1"
    ).list("metadata")
    return rows.first { $0.string("key") == key }?["value"].map { "\($0)" }
  }

  private func hash(_ path: String) throws -> String {
    let run = try FathomProcess("hash", path)
    #expect(run.status == 0, "\(run.messages)")
    return run.output
  }

  @Test func whatFitsIsChangedInPlace() throws {
    let workspace = try Workspace()
    let path = try gguf(workspace)
    let (bytes, hashes) = (try contents(path), try hash(path))
    let inode = try FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? Int
    let document = try edit(path, "--set", "deepseek2.context_length=u32:4096")
    #expect(document.string("way") == "in-place" && document.integer("movedBytes") == 0)
    #expect(document.list("changes").count == 1)
    let after = try contents(path)
    #expect(after.count == bytes.count)
    #expect(zip(bytes, after).count { $0 != $1 } <= 4 && after != bytes)
    #expect(
      try FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? Int == inode)
    #expect(try value("deepseek2.context_length", of: path) == "4096")
    #expect(try hash(path) == hashes)
    #expect(try workspace.names() == ["model.gguf"])
    // Asked once more there is nothing to do.
    let again = try edit(path, "--set", "deepseek2.context_length=u32:4096")
    #expect(again.string("way") == "none" && again.list("changes").isEmpty)
  }

  @Test func whatDoesNotFitIsWrittenAnew() throws {
    let workspace = try Workspace()
    let path = try gguf(workspace)
    let (bytes, hashes) = (try contents(path), try hash(path))
    let name = String(repeating: "long ", count: 40)
    let options = ["--set", "general.name=str:\(name)", "--remove", "general.quantization_version"]
    let dry = try JSONDocument(
      printedBy: ["edit", path, "--dry-run"] + options, schema: "fathom.edit.1")
    #expect(dry.string("way") == "new-file" && dry.bool("dryRun") == true)
    #expect(try contents(path) == bytes)
    let document = try JSONDocument(printedBy: ["edit", path] + options, schema: "fathom.edit.1")
    let tensors = try #require(document.integer("movedBytes"))
    #expect(tensors == bytes.count - (document.integer("headerBytes", "before") ?? 0))
    #expect(try contents(path).suffix(tensors) == bytes.suffix(tensors))
    #expect(try value("general.name", of: path) == name)
    #expect(try value("general.quantization_version", of: path) == nil)
    #expect(try hash(path) == hashes)
    #expect(try FathomProcess("validate", path, "--deep").status == 0)
    #expect(try workspace.names() == ["model.gguf"])
  }

  @Test func anotherOutputLeavesTheModel() throws {
    let workspace = try Workspace()
    let path = try gguf(workspace)
    let bytes = try contents(path)
    let template = try workspace.write("chat.jinja", Array("{{ messages }}\n".utf8))
    let other = workspace.path("other.gguf")
    let document = try edit(path, "--set-file", "tokenizer.chat_template=\(template)", "-o", other)
    #expect(document.string("output") == other)
    #expect(try contents(path) == bytes)
    #expect(try value("tokenizer.chat_template", of: other) == "{{ messages }}\n")
    let taken = try FathomProcess(
      "edit", path, "--set", "general.name=str:x", "-o", other)
    #expect(taken.status == 73, "\(taken.messages)")
    let own = try FathomProcess(
      "edit", path, "--set", "general.name=str:x", "-o", path, "--overwrite")
    #expect(own.status == 73, "\(own.messages)")
    #expect(try contents(path) == bytes)
  }

  @Test(arguments: [
    ("general.architecture=str:llama", "it decides how all tensors are read"),
    ("general.alignment=u32:64", "it decides where tensors lie"),
    ("split.count=u16:2", "it says which files belong together"),
    ("fathom.version=str:x", "it says what the file was made from"),
    ("general.nam=str:x", "did you mean general.name?"),
    ("deepseek2.context_length=u64:4096", "readers expect the type that it has"),
    ("deepseek2.block_count=u32:2", "tensors would not have the shapes that the keys imply"),
    ("deepseek2.embedding_length=u32:64", "the metadata is not changed"),
  ])
  func whatWouldMisleadIsRefused(change: String, reason: String) throws {
    let workspace = try Workspace()
    let path = try gguf(workspace)
    let bytes = try contents(path)
    let run = try FathomProcess("edit", path, "--set", change)
    #expect(run.status == 64 && run.messages.contains(reason), "\(run.messages)")
    #expect(run.messages.contains("--force does it all the same"))
    #expect(try contents(path) == bytes)
    let forced = try FathomProcess("edit", path, "--set", change, "--force", "--dry-run")
    #expect(forced.status == 0 || forced.status == 65, "\(forced.messages)")
    #expect(forced.messages.contains("forced: ") || forced.status == 65)
  }

  /// What could not be read again is not written, whatever the user says.
  @Test func forceMakesNoFileThatCannotBeRead() throws {
    let workspace = try Workspace()
    let path = try gguf(workspace)
    let bytes = try contents(path)
    for change in ["general.alignment=u32:24", "general.alignment=u32:4096"] {
      let run = try FathomProcess("edit", path, "--set", change, "--force")
      #expect(run.status == 65, "\(run.status): \(run.messages)")
      #expect(run.messages.contains("could not be read, so that nothing is written"))
      #expect(try contents(path) == bytes)
    }
  }

  @Test(arguments: [
    "general.name", "=str:x", "general.name=x", "general.name=u33:1", "general.name=u8:256",
    "general.name=i8:-129", "general.name=f32:nan", "general.name=bool:1",
    "general.name=[u8]:[1,2", "general.name=[u8]:[\"1\"]", "general.name=[u8]:[256]",
  ])
  func whatIsNoChangeIsWrongUsage(change: String) throws {
    let run = try FathomProcess("edit", "nowhere.gguf", "--set", change)
    #expect(run.status == 64, "\(run.messages)")
  }

  @Test func safetensorsKeepTheirTensors() throws {
    let workspace = try Workspace()
    let folder = try workspace.copy(sample: "tiny-bf16")
    // Known answers beside the weights are a file of tensors, too.
    try FileManager.default.removeItem(atPath: folder + "/expected.safetensors")
    let file = folder + "/model.safetensors"
    let (bytes, hashes) = (try contents(file), try hash(folder))
    let document = try edit(folder, "--set", "made.by=str:nobody \"at\" all", "--set", "x=str:1")
    #expect(document.string("format") == "safetensors" && document.string("file") == file)
    #expect(try value("made.by", of: folder) == "nobody \"at\" all")
    #expect(try value("format", of: folder) == "pt")
    #expect(try hash(folder) == hashes)
    let length = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    let tensors = bytes.count - 8 - length
    #expect(try contents(file).suffix(tensors) == bytes.suffix(tensors))
    let removed = try edit(folder, "--remove", "x")
    // A shorter text has room.
    #expect(removed.string("way") == "in-place")
    #expect(try value("x", of: folder) == nil)
    for change in [["--set", "a=u32:1"], ["--remove", "format"], ["--remove", "nothing"]] {
      let run = try FathomProcess(["edit", folder] + change)
      #expect(run.status == 64, "\(change): \(run.messages)")
    }
    #expect(try hash(folder) == hashes)
    let several = try FathomProcess(
      "edit", Repository.samples + "/tiny-fp8", "--set", "a=str:1", "--dry-run")
    #expect(several.status == 64 && several.messages.contains("files of weights, each with"))
  }

  @Test func linksAndOtherNamesAreNotChangedInPlace() throws {
    let workspace = try Workspace()
    let path = try gguf(workspace)
    let bytes = try contents(path)
    let link = workspace.path("link.gguf")
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
    let change = "deepseek2.context_length=u32:4096"
    let linked = try FathomProcess("edit", link, "--set", change)
    #expect(linked.status == 73 && linked.messages.contains("symbolic link"), "\(linked.messages)")
    try FileManager.default.linkItem(atPath: path, toPath: workspace.path("second.gguf"))
    let named = try FathomProcess("edit", path, "--set", change)
    #expect(named.status == 73 && named.messages.contains("other names"), "\(named.messages)")
    #expect(try contents(path) == bytes)
  }

  @Test func packedFilesAndManifestsAreHeeded() throws {
    let workspace = try Workspace()
    let path = try gguf(workspace)
    let packed = workspace.path("packed.gguf")
    #expect(try FathomProcess("pack", path, packed).status == 0)
    let run = try FathomProcess("edit", packed, "--set", "general.name=str:x")
    #expect(run.status == 65 && run.messages.contains("fathom unpack"), "\(run.messages)")
    let other = workspace.path("noted.gguf")
    let made = try FathomProcess(
      "convert", EditTests.sample, other, "--to", "gguf", "--quant", "q8_0")
    #expect(made.status == 0)
    let noted = try FathomProcess("edit", other, "--set", "deepseek2.context_length=u32:4096")
    #expect(noted.status == 0 && noted.messages.contains("is of the file as it was"))
    #expect(try FathomProcess("validate", other, "--manifest").status == 1)
  }

  @Test func theFirstSplitHasTheMetadata() throws {
    let workspace = try Workspace()
    let path = try gguf(workspace, "--max-shard-size", "200KB")
    let first = try #require(try workspace.names().first { $0.hasSuffix(".gguf") })
    #expect(first.contains("-00001-of-"), "\(path)")
    let split = workspace.path(first)
    let before = try hash(split)
    let document = try edit(split, "--set", "general.name=str:\(String(repeating: "n", count: 99))")
    #expect(document.string("way") == "new-file")
    #expect(try hash(split) == before)
    #expect(try value("general.name", of: split)?.count == 99)
  }
}
