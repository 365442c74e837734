import Foundation
import Support
import Testing

/// Keys and values of files, facts of tokenizers, and tables for programs.
@Suite struct MetadataTests {
  private static let sample = Repository.samples + "/tiny-fp8"

  private func gguf(_ workspace: Workspace) throws -> String {
    let path = workspace.path("model.gguf")
    let run = try FathomProcess(
      "convert", MetadataTests.sample, path, "--to", "gguf", "--quant", "q8_0")
    #expect(run.status == 0, "\(run.messages)")
    return path
  }

  @Test func keysHaveTheTypesOfGGUFDump() throws {
    let workspace = try Workspace()
    let path = try gguf(workspace)
    let document = try JSONDocument(
      printedBy: ["inspect", path, "--metadata"], schema: "fathom.inspect.1")
    let rows = document.list("metadata")
    func row(_ key: String) throws -> JSONDocument {
      try #require(rows.first { $0.string("key") == key }, "\(key)")
    }
    #expect(try row("general.architecture").string("value") == "deepseek2")
    #expect(try row("general.architecture").string("type") == "STRING")
    #expect(try row("general.file_type").string("type") == "UINT32")
    #expect(try row("deepseek2.attention.layer_norm_rms_epsilon").string("type") == "FLOAT32")
    #expect(try row("deepseek2.attention.layer_norm_rms_epsilon").number("value") == 1e-6)
    #expect(rows.allSatisfy { $0["files"] == nil })
    let some = try FathomProcess("inspect", path, "--metadata", "general.arch*")
    #expect(
      some.output.split(separator: "\n").map(String.init) == [
        "type    count  key                   value",
        "STRING      1  general.architecture  deepseek2",
      ])
    #expect(try FathomProcess("inspect", path, "--metadata", "nothing.*").status == 64)
  }

  @Test func longListsAreCutAndSaySo() throws {
    let workspace = try Workspace()
    let path = try gguf(workspace)
    let values = (0..<40).map(String.init).joined(separator: ",")
    let edit = try FathomProcess(
      "edit", path, "--set", "general.tags=[str]:[\"a\",\"b\"]", "--set",
      "x.long=[i16]:[\(values)]",
      "--set", "x.large=u64:18446744073709551615", "--set", "x.flags=[bool]:[true,false]",
      "--force")
    #expect(edit.status == 0, "\(edit.messages)")
    let rows = try JSONDocument(
      printedBy: ["inspect", path, "--metadata"], schema: "fathom.inspect.1"
    ).list("metadata")
    func row(_ key: String) throws -> JSONDocument {
      try #require(rows.first { $0.string("key") == key }, "\(key)")
    }
    let long = try row("x.long")
    #expect(long.string("type") == "[INT16]" && long.integer("count") == 40)
    #expect(long.bool("cut") == true && long["value"] as? [Int] == Array(0..<8))
    let tags = try row("general.tags")
    #expect(tags["value"] as? [String] == ["a", "b"] && tags["cut"] == nil)
    #expect(try row("x.large").string("value") == "18446744073709551615")
    #expect(try row("x.flags")["value"] as? [Bool] == [true, false])
    let text = try FathomProcess("inspect", path, "--metadata", "x.long")
    #expect(text.output.contains("[0, 1, 2, 3, 4, 5, 6, 7, …]"))
  }

  @Test func safetensorsFilesAreCounted() throws {
    let rows = try JSONDocument(
      printedBy: ["inspect", MetadataTests.sample, "--metadata"], schema: "fathom.inspect.1"
    ).list("metadata")
    #expect(rows.count == 1)
    #expect(rows.first?.string("key") == "format" && rows.first?.string("value") == "pt")
    #expect(rows.first?.integer("files") == 3)
  }

  @Test func tablesForPrograms() throws {
    let folder = MetadataTests.sample
    let document = try JSONDocument(
      printedBy: ["inspect", folder, "--tensors", "--stats"], schema: "fathom.inspect.1")
    func lines(_ arguments: String...) throws -> [Substring] {
      let run = try FathomProcess(["inspect", folder] + arguments)
      #expect(run.status == 0, "\(run.messages)")
      return run.output.split(separator: "\n")
    }
    let tensors = try lines("--tensors", "--format", "tsv")
    #expect(tensors.first == "name\ttype\tshape\tbytes\tfile\toffset")
    #expect(tensors.count == 1 + document.list("tensors").count)
    let first = try #require(document.list("tensors").first)
    let cells = tensors[1].split(separator: "\t")
    #expect(cells[0] == first.string("name") ?? "" && cells[3] == "\(first.integer("bytes") ?? 0)")
    let shape = (first["shape"] as? [Int] ?? []).map(String.init).joined(separator: ",")
    #expect(cells[2] == "[\(shape)]")
    let objects = try lines("--tensors", "--format", "jsonl").map { try JSONDocument(String($0)) }
    #expect(objects.count == document.list("tensors").count)
    #expect(objects.first?.string("name") == first.string("name"))
    let layers = try lines("--layers", "--format", "tsv")
    #expect(layers.count == 1 + document.list("layers").count)
    #expect(layers[1].hasSuffix("F8_E4M3 F32 BF16") || layers[1].contains("F8_E4M3"))
    #expect(try lines("--experts", "--format", "jsonl").count == 4)
    #expect(
      try lines("--metadata", "--format", "tsv") == [
        "key\ttype\tcount\tvalue\tfiles", "format\tSTRING\t1\tpt\t3",
      ])
    #expect(try lines("--stats", "--format", "jsonl").count > 10)
    for wrong in [[], ["--layers", "--experts"], ["--tensors", "--metadata"]] {
      let run = try FathomProcess(["inspect", folder, "--format", "tsv"] + wrong)
      #expect(run.status == 64, "\(wrong)")
    }
  }

  @Test func aDashIsStandardOutput() throws {
    let workspace = try Workspace()
    let run = try FathomProcess("inspect", MetadataTests.sample, "-o", "-")
    #expect(run.status == 0)
    let plain = try FathomProcess("inspect", MetadataTests.sample)
    #expect(run.output == plain.output)
    #expect(try workspace.names().isEmpty)
  }

  @Test func tokenizersAreDescribed() throws {
    let workspace = try Workspace()
    let folder = try workspace.copy(sample: "tiny-bf16")
    let tokenizer = """
      {"version": "1.0", "added_tokens": [
        {"id": 0, "content": "<s>", "special": true}, {"id": 3, "content": "</s>", "special": true}],
       "model": {"type": "BPE", "vocab": {"<s>": 0, "a": 1, "b": 2}, "merges": ["a b"]}}
      """
    try workspace.write("tiny-bf16/tokenizer.json", Array(tokenizer.utf8))
    let settings =
      #"{"bos_token": "<s>", "eos_token": {"content": "</s>"}, "chat_template": "{{x}}"}"#
    try workspace.write("tiny-bf16/tokenizer_config.json", Array(settings.utf8))
    let document = try JSONDocument(printedBy: ["inspect", folder], schema: "fathom.inspect.1")
    #expect(document.string("tokenizerFacts", "kind") == "BPE")
    #expect(document.integer("tokenizerFacts", "tokens") == 4)
    #expect(document.integer("tokenizerFacts", "added") == 2)
    #expect(document.integer("tokenizerFacts", "merges") == 1)
    #expect(document.bool("tokenizerFacts", "chatTemplate") == true)
    let text = try FathomProcess("inspect", folder).output
    #expect(
      text.contains("  tokens      BPE of 4 tokens (2 added); bos 0, eos 3; chat template\n"),
      "\(text)")
    // What is broken is for validate to name.
    try workspace.write("tiny-bf16/tokenizer.json", Array("{".utf8))
    let broken = try FathomProcess("inspect", folder)
    #expect(broken.status == 0 && !broken.output.contains("  tokens  "))
  }
}
