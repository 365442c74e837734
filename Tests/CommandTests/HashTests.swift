import Foundation
import Support
import Testing

/// `fathom hash`; scripts/make hash-fixtures computed the known answers.
@Suite struct HashTests {
  let workspace: Workspace
  let sample = Repository.samples + "/tiny-fp8-block32"

  init() throws { workspace = try Workspace() }

  static let samples: [(name: String, tensors: Int, checkpoint: String)] = {
    let path = Repository.root + "/Tests/CommandTests/Fixtures/hashes.json"
    let document = try? JSONDocument(String(decoding: contents(path), as: UTF8.self))
    return (document?.list("cases") ?? []).map {
      ($0.string("sample") ?? "", $0.integer("tensors") ?? 0, $0.string("checkpoint") ?? "")
    }
  }()

  private func hash(_ arguments: String..., status: Int32 = 0) throws -> JSONDocument {
    try JSONDocument(printedBy: ["hash"] + arguments, schema: "fathom.hash.2", status: status)
  }

  private func convert(_ model: String, _ name: String, _ options: String...) throws -> String {
    let path = workspace.path(name)
    let run = try FathomProcess(["convert", model, path, "--to"] + options)
    #expect(run.status == 0, "\(run.messages)")
    return path
  }

  @Test func everySampleHasItsAnswer() {
    #expect(HashTests.samples.map(\.name) == Repository.sampleNames)
  }

  @Test(arguments: samples.map(\.name))
  func hashesAreThoseOfThePeer(name: String) throws {
    let expected = try #require(HashTests.samples.first { $0.name == name })
    let document = try hash("\(Repository.samples)/\(name)")
    #expect(document.string("checkpoint") == expected.checkpoint)
    #expect(document.integer("totals", "tensors") == expected.tensors)
    #expect(document.list("tensors").count == expected.tensors)
  }

  @Test func neitherShardsNorThreadsMatter() throws {
    let before = try FathomProcess("hash", sample, "--threads", "1").output
    let cut = try convert(sample, "cut", "hf", "--max-shard-size", "60KB")
    #expect(try workspace.names("cut").count { $0.hasSuffix(".safetensors") } > 5)
    #expect(try FathomProcess("hash", cut, "--threads", "5").output == before)
    #expect(before.split(separator: "\n").count == 170)
  }

  /// What a GGUF file stores as it is has the same hash there, under its other name.
  @Test func formatsDoNotMatter() throws {
    let gguf = try convert(Repository.samples + "/tiny-bf16", "b.gguf", "gguf", "--quant", "bf16")
    let hashes = try [Repository.samples + "/tiny-bf16", gguf].map { model in
      Dictionary(
        uniqueKeysWithValues: try hash(model).list("tensors").map {
          ($0.string("name") ?? "", $0.string("hash"))
        })
    }
    for (name, other) in [
      ("model.embed_tokens.weight", "token_embd.weight"), ("lm_head.weight", "output.weight"),
      ("model.layers.1.self_attn.o_proj.weight", "blk.1.attn_output.weight"),
      ("model.layers.1.mlp.gate.e_score_correction_bias", "blk.1.exp_probs_b.bias"),
    ] {
      #expect(hashes[0][name] != nil && hashes[0][name] == hashes[1][other], "\(name)")
    }
    // Type and shape count as well: a norm is F32 in GGUF.
    #expect(hashes[0]["model.norm.weight"] != hashes[1]["output_norm.weight"])
  }

  @Test(arguments: ["text", "json"])
  func aListIsChecked(format: String) throws {
    let list = workspace.path("list")
    let made = try FathomProcess("hash", sample, "--format", format, "-o", list)
    #expect(made.status == 0)
    #expect(try hash(sample, "--check", list).string("check", "verdict") == "same")
    #expect(
      try FathomProcess("hash", sample, "--check", list).output.hasPrefix("same: 169 tensors"))
    let cut = try convert(sample, "cut", "hf", "--max-shard-size", "60KB")
    #expect(try FathomProcess("hash", cut, "--check", list).status == 0)
    // One bit of the first weight.
    let shards = try workspace.names("cut").filter { $0.hasSuffix(".safetensors") }
    let shard = workspace.path("cut/\(try #require(shards.first))")
    var bytes = try contents(shard)
    bytes[bytes.count - 1] ^= 1
    try Data(bytes).write(to: URL(fileURLWithPath: shard))
    let document = try hash(cut, "--check", list, status: 1)
    let difference = try #require(document.list("check", "differences").first)
    #expect(document.list("check", "differences").count == 1)
    #expect(difference.string("problem") == "different")
    #expect(difference.string("expected") != difference.string("found"))
    let other = try hash(Repository.samples + "/tiny-mtp2", "--check", list, status: 1)
    let problems = Set(other.list("check", "differences").compactMap { $0.string("problem") })
    #expect(problems == ["different", "missing", "unexpected"])
  }

  @Test(arguments: [
    "", "\n", "nonsense\n", "{}", "{\"schema\": \"fathom.hash/3\", \"tensors\": []}",
    "{\"tensors\": [{}]}",
    "{\"schema\": \"fathom.hash/1\", \"tensors\": [{\"name\": \"a\", \"hash\": \"00\"}]}",
  ])
  func otherFilesAreNoLists(text: String) throws {
    let list = try workspace.write("list", text.utf8)
    let run = try FathomProcess("hash", sample, "--check", list)
    #expect(run.status == 65 && run.messages.contains("list: "), "\(run.messages)")
  }

  @Test func whatIsNotThere() throws {
    #expect(try FathomProcess("hash", workspace.path("nothing")).status == 66)
    #expect(try FathomProcess("hash", sample, "--check", workspace.path("nothing")).status == 66)
    #expect(try FathomProcess("hash", sample, "-o", sample).status == 73)
  }
}
