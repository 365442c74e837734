import Support
import Testing

/// Commands on GGUF files of DeepSeek-V4, made of the fixture.
@Suite struct DeepSeekV4CommandTests {
  private static let model = Repository.root + "/Tests/ReferenceTests/Fixtures/deepseek-v4"
  let workspace: Workspace
  private let tokens: String

  init() throws {
    workspace = try Workspace()
    tokens = try workspace.write("tokens.json", "[\((0..<30).map { ($0 * 7 + 3) % 32 })]".utf8)
  }

  private func convert(_ name: String, _ options: String...) throws -> String {
    let path = workspace.path(name)
    let run = try FathomProcess(["convert", Self.model, path, "--to", "gguf"] + options)
    #expect(run.status == 0, "\(run.messages)")
    return path
  }

  private func document(_ arguments: [String], _ schema: String, status: Int32 = 0) throws
    -> JSONDocument
  {
    let run = try FathomProcess(arguments + ["--format", "json"])
    #expect(run.status == status, "\(run.messages)")
    let document = try JSONDocument(run.output)
    let faults = try JSONSchema(named: schema).faults(in: document)
    #expect(faults.isEmpty, "\(faults)")
    return document
  }

  private func findings(_ path: String, status: Int32) throws -> [String] {
    try document(["validate", path], "fathom.validate.1", status: status).list("findings").map {
      "\($0.string("severity") ?? "") \($0.string("rule") ?? "") \($0.string("tensor") ?? "")"
    }
  }

  @Test func everyCommandTakesTheFile() throws {
    let path = try convert("v4.gguf")
    let inspection = try document(["inspect", path, "--tensors"], "fathom.inspect.1")
    #expect(inspection.string("architecture") == "deepseek4")
    let source = try document(["inspect", Self.model], "fathom.inspect.1")
    for key in ["main", "activePerToken"] {
      #expect(inspection.integer("parameters", key) == source.integer("parameters", key), "\(key)")
    }
    let deep = try document(["validate", path, "--deep"], "fathom.validate.1")
    // What llama.cpp's loader stops at, the streams and the indexer's width.
    #expect(deep.string("verdict") == "valid" && deep.list("findings").count == 2)
    let report = try document(
      ["verify", Self.model, path, "--tokens", tokens, "--mtp", "drop", "--isolate", "--blame"],
      "fathom.verify.1")
    let loss = try #require(report.number("main", "klMean"))
    #expect(loss > 0 && loss < 0.01, "\(loss)")
    #expect(report.list("layers").count == 3 && !report.list("blame").isEmpty)
    let notes = report["notes"] as? [String] ?? []
    for pair in ["F4 stored in MXFP4", "I64 stored in I32"] {
      #expect(notes.contains { $0.hasSuffix(pair + ": nothing is rounded") }, "\(notes)")
    }
    let exact = try document(
      [
        "verify", Self.model, try convert("f32.gguf", "--quant", "f32"), "--tokens", tokens,
        "--mtp",
        "drop",
      ], "fathom.verify.1")
    #expect(exact.number("main", "klMax") == 0)
    let types = try FathomProcess("types", "gguf", "--model", path)
    #expect(types.status == 0 && types.output.contains("q4_k_m"), "\(types.messages)")
  }

  /// Shards of the network's own code give every command what the checkpoint gives.
  @Test func everyCommandTakesShards() throws {
    let source = try Workspace()
    try SmallFlash.write(to: source)
    let (model, shards) = (source.path, workspace.path("shards"))
    let made = try FathomProcess(
      "convert", model, shards, "--to", "deepseek", "--mp", "2", "--format", "json")
    #expect(made.status == 0, "\(made.messages)")
    let found = try document(["inspect", shards, "--tensors"], "fathom.inspect.1")
    let whole = try document(["inspect", model], "fathom.inspect.1")
    #expect(found.string("format") == "deepseek" && found.string("architecture") == "deepseek_v4")
    for key in ["main", "mtp", "activePerToken"] {
      #expect(found.integer("parameters", key) == whole.integer("parameters", key), "\(key)")
    }
    for key in ["flopsPerToken", "kvCacheBytesPerToken"] {
      #expect(found.integer("cost", key) == whole.integer("cost", key), "\(key)")
    }
    let deep = try document(["validate", shards, "--deep"], "fathom.validate.1")
    #expect(deep.list("findings").filter { $0.string("severity") == "error" }.isEmpty)
    for (path, output) in [(model, "a"), (shards, "b")] {
      let run = try FathomProcess(
        "logits", path, "--tokens", tokens, "-o", workspace.path("\(output).safetensors"))
      #expect(run.status == 0, "\(run.messages)")
    }
    #expect(
      try contents(workspace.path("a.safetensors")) == contents(workspace.path("b.safetensors")))
    let report = try document(
      ["verify", model, shards, "--tokens", tokens, "--isolate", "--blame"], "fathom.verify.1")
    #expect(report.number("main", "klMax") == 0 && report.number("mtp", "klMax") == 0)
    let file = try FathomProcess("convert", shards, workspace.path("s.gguf"), "--to", "gguf")
    #expect(file.status == 0, "\(file.messages)")
    let list = try FathomProcess("inspect", workspace.path("s.gguf"), "--tensors").output
    #expect(list.contains("MXFP4"))
  }

  /// A config that is not that of the shards, by the shards' own names and keys.
  @Test(arguments: [
    ("\"hc_mult\": 2", "\"hc_mult\": 4", "wrong-shape layers.0.hc_attn_fn"),
    ("\"n_mtp_layers\": 1", "\"n_mtp_layers\": 0", "mtp-mismatch mtp.0.attn.attn_sink"),
    ("\"n_hash_layers\": 1", "\"n_hash_layers\": 0", "missing-tensor layers.0.ffn.gate.bias"),
    ("\"o_groups\": 2", "\"o_groups\": 1", "metadata-mismatch layers.0.attn.wo_a.weight"),
  ])
  func wrongKeysOfShardsAreNamed(key: String, value: String, finding: String) throws {
    let source = try Workspace()
    try SmallFlash.write(to: source)
    let shards = workspace.path("shards")
    let made = try FathomProcess("convert", source.path, shards, "--to", "deepseek", "--mp", "2")
    #expect(made.status == 0, "\(made.messages)")
    let config = String(decoding: try contents(shards + "/config.json"), as: UTF8.self)
    #expect(config.contains(key))
    try workspace.write(
      "shards/config.json", config.replacing(key, with: value).utf8)
    #expect(try findings(shards, status: 1).contains("error " + finding))
    #expect(try !FathomProcess("validate", shards).output.contains("num_nextn_predict_layers"))
  }

  /// Keys that no longer fit the tensors: refused when they are set, named when they are read.
  @Test(arguments: [
    ("hash_layer_count", "0", "missing-tensor blk.0.exp_probs_b.bias"),
    ("hyper_connection.count", "4", "wrong-shape output_hc_base.weight"),
    ("attention.indexer.head_count", "8", "wrong-shape blk.1.indexer.attn_q_b.weight"),
    ("attention.output_lora_rank", "4", "wrong-shape blk.0.attn_output_a.weight"),
  ])
  func wrongKeysAreNamed(key: String, value: String, finding: String) throws {
    let path = try convert("v4.gguf")
    let change = ["edit", path, "--set", "deepseek4.\(key)=u32:\(value)"]
    let refused = try FathomProcess(change)
    #expect(refused.status == 64 && refused.messages.contains("--force"), "\(refused.messages)")
    #expect(try FathomProcess(change + ["--force"]).status == 0)
    #expect(try findings(path, status: 1).contains("error " + finding))
    let run = try FathomProcess(
      "logits", path, "--tokens", tokens, "-o", workspace.path("l.safetensors"))
    #expect(run.status == 65)
  }

  @Test func theMTPLayerHasAFileOfItsOwn() throws {
    let path = try convert("mtp.gguf", "--mtp", "only")
    let errors = try findings(path, status: 0).filter { $0.hasPrefix("error") }
    #expect(errors.isEmpty, "\(errors)")
    let run = try FathomProcess(
      "logits", path, "--tokens", tokens, "-o", workspace.path("l.safetensors"))
    #expect(run.status == 65 && run.messages.contains("missing"), "\(run.messages)")
    let other = try FathomProcess(
      "convert", Repository.samples + "/tiny-fp8", workspace.path("o.gguf"), "--to", "gguf",
      "--quant", "f32", "--mtp", "only")
    #expect(other.status == 64 && other.messages.contains("DeepSeek-V4"), "\(other.messages)")
  }

  /// Sums of what is multiplied, by llama.cpp's names; one set for all groups of the output's first
  /// half.
  @Test func importanceIsMeasured() throws {
    let matrix = workspace.path("matrix.gguf")
    let run = try FathomProcess("imatrix", Self.model, "--tokens", tokens, "-o", matrix)
    #expect(run.status == 0, "\(run.messages)")
    #expect(run.output.contains("note: MTP layers are not measured"), "\(run.output)")
    let document = try JSONDocument(
      printedBy: [
        "imatrix", Self.model, "--tokens", tokens, "-o", workspace.path("j.gguf"), "--format",
        "json",
      ], schema: "fathom.imatrix.1")
    let notes = document["notes"] as? [String] ?? []
    #expect(notes.contains { $0.hasPrefix("MTP layers are not measured") }, "\(notes)")
    let dropped = try FathomProcess(
      "imatrix", Self.model, "--tokens", tokens, "--mtp", "drop", "-o", workspace.path("m.gguf"))
    #expect(dropped.status == 0 && !dropped.output.contains("MTP"), "\(dropped.messages)")
    let list = try FathomProcess("inspect", matrix, "--tensors").output
    for name in [
      "blk.0.hc_attn_fn", "blk.1.attn_compressor_gate", "blk.1.indexer.attn_q_b",
      "blk.1.indexer_compressor_kv", "blk.2.attn_output_a", "blk.2.ffn_down_exps",
    ] {
      #expect(list.contains(name + ".weight.in_sum2"), "\(name)")
    }
    for name in ["_ape", "tid2eid", "blk.0.attn_compressor", "blk.2.indexer", "blk.3."] {
      #expect(!list.contains(name), "\(name)")
    }
    let mixed = try convert("mixed.gguf", "--quant", "iq4_nl", "--imatrix", matrix)
    #expect(try findings(mixed, status: 0).allSatisfy { $0.hasPrefix("warning") })
  }

  /// A recipe's evidence, and what the file by it is and loses.
  private func search(
    _ options: String..., model: String = Self.model
  ) throws -> (recipe: JSONDocument, tensors: [String: String]) {
    let (recipe, path) = (workspace.path("r.json"), workspace.path("r.gguf"))
    let chosen = try document(
      ["recipe", model, "--tokens", tokens, "--groups", "8", "-o", recipe, "--overwrite"]
        + options, "recipe")
    let run = try FathomProcess([
      "convert", model, path, "--to", "gguf", "--recipe", recipe, "--overwrite",
      "--allow-requantize",
    ])
    #expect(run.status == 0, "\(run.messages)")
    let verdict = try document(
      ["verify", model, path, "--tokens", tokens, "--mtp", "drop"], "fathom.verify.1")
    #expect(verdict.integer("main", "sizeBytes") == chosen.integer("evidence", "bytes"))
    let (found, said) = (
      try #require(verdict.number("main", "klMean")),
      try #require(chosen.number("evidence", "klMeasured"))
    )
    #expect(abs(found - said) <= 1e-6 * said, "\(found) \(said)")
    let list = try document(["inspect", path, "--tensors"], "fathom.inspect.1").list("tensors")
    let types = list.map { ($0.string("name") ?? "", $0.string("type") ?? "") }
    return (chosen, Dictionary(types) { first, _ in first })
  }

  /// Experts stay FP4, which loses nothing, and what weighs the streams may stay F32.
  @Test func typesAreChosenByMeasurement() throws {
    let (recipe, tensors) = try search("--max-kl", "1e-3")
    let groups = recipe.list("evidence", "groups")
    #expect(
      Set(groups.compactMap { $0.string("name")?.split(separator: ",").first.map(String.init) })
        == [
          "token_embd", "output", "attention", "streams and places", "shared experts",
          "experts gate", "experts up", "experts down",
        ])
    for group in groups {
      let name = group.string("name") ?? ""
      let exact = group.list("options").filter {
        ["mxfp4", "f32"].contains($0.string("type") ?? "")
      }
      #expect(exact.allSatisfy { $0.number("kl") == 0 })
      let wanted = name.hasPrefix("experts") ? "mxfp4" : name.hasPrefix("streams") ? "f32" : nil
      #expect(exact.map { $0.string("type") } == (wanted.map { [$0] } ?? []), "\(name)")
    }
    #expect(tensors["blk.1.ffn_down_exps.weight"] == "MXFP4")
    #expect(recipe.list("rules").allSatisfy { $0.string("match")?.hasPrefix("blk.3.") == false })
    // Of the weights that the file has, without those of the MTP layer.
    let size = try document(["inspect", Self.model], "fathom.inspect.1")
    let (bytes, weights) = (
      try #require(recipe.integer("evidence", "bytes")),
      try #require(size.integer("parameters", "main"))
    )
    let bits = try #require(recipe.number("evidence", "bitsPerWeight"))
    #expect(abs(bits - 8 * Double(bytes) / Double(weights)) < 0.01 * bits)
  }

  /// Everything in few bits, the places in compressed keys and what puts the streams together too.
  @Test func allThatIsQuantizedIsMeasured() throws {
    let (recipe, tensors) = try search("--max-kl", "99", "--types", "q4_0")
    #expect(tensors["blk.1.attn_compressor_ape.weight"] == "Q4_0")
    #expect(
      tensors["output_hc_fn.weight"] == "Q4_0" && tensors["blk.2.ffn_up_exps.weight"] == "Q4_0")
    #expect(
      recipe.list("evidence", "groups").allSatisfy { group in
        group.list("options").allSatisfy { ($0.number("kl") ?? 0) > 0 }
      })
  }

  /// A GGUF file as the source, whose experts are blocks already and stay so.
  @Test func typesAreChosenForAFileToo() throws {
    let file = try convert("v4.gguf")
    let (recipe, tensors) = try search("--max-kl", "1e-3", model: file)
    let downs = recipe.list("evidence", "groups").filter {
      $0.string("name")?.hasPrefix("experts down") == true
    }
    #expect(!downs.isEmpty && downs.allSatisfy { $0.string("type") == "mxfp4" })
    #expect(tensors["blk.1.ffn_down_exps.weight"] == "MXFP4")
  }

  /// What puts the streams together is to blame where it alone differs.
  @Test func theHeadOfTheStreamsIsBlamed() throws {
    let recipe = try workspace.write(
      "one.json",
      """
      {"schema": "fathom.recipe/1", "default": "f32",
       "rules": [{"match": "output_hc_fn.weight", "type": "q4_0"}]}
      """.utf8)
    let path = try convert("one.gguf", "--recipe", recipe)
    let report = try document(
      ["verify", Self.model, path, "--tokens", tokens, "--mtp", "drop", "--blame"],
      "fathom.verify.1")
    let worst = try #require(report.list("blame").first)
    #expect(worst.string("name") == "model.hc_head.hc_fn" && (worst.number("klMean") ?? 0) > 0)
    #expect(worst.number("klMean") == report.number("main", "klMean"))
  }

  @Test func whatIsNotMadeIsRefusedByName() throws {
    for arguments in [
      ["convert", Self.model, workspace.path("o"), "--to", "mlx", "--quant", "4bit"],
      [
        "recipe", Self.model, "--to", "mlx", "--bpw", "4", "--tokens", tokens, "-o",
        workspace.path("r.json"),
      ],
      ["types", "mlx", "--model", Self.model],
    ] {
      let run = try FathomProcess(arguments)
      #expect(run.status == 64 && run.messages.contains("DeepSeek-V4"), "\(run.messages)")
    }
  }
}
