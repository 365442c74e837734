import Foundation
import Support
import Testing

/// What serving a model takes, beside numbers that follow from the published shapes.
@Suite struct ServingTests {
  private static let sample = Repository.samples + "/tiny-fp8"
  private static let published = Repository.samples + "/deepseek-v3/config.json"

  private func serving(_ model: String, _ options: String...) throws -> JSONDocument {
    try JSONDocument(
      printedBy: ["inspect", model] + options, schema: "fathom.inspect.1")
  }

  @Test func cachesAreThoseOfTheNetwork() throws {
    let document = try serving(ServingTests.published, "--context", "4096", "--batch", "8")
    #expect(document.integer("serving", "caches", "latents") == 2 * 61 * 512)
    #expect(document.integer("serving", "caches", "rotaryKeys") == 2 * 61 * 64)
    #expect(document.integer("serving", "caches", "indexKeys") == 0)
    #expect(document.integer("serving", "caches", "allHeads") == 2 * 61 * 128 * (192 + 128))
    #expect(document.integer("serving", "cacheBytesPerToken") == 70_272)
    #expect(document.integer("serving", "cacheBytes") == 70_272 * 4096 * 8)
    let programs = document.list("serving", "programs")
    func bytes(_ name: String) -> Int? {
      programs.first { $0.string("name")?.hasPrefix(name) == true }?.integer("cacheBytesPerToken")
    }
    #expect(bytes("transformers") == 70_272)
    #expect(bytes("llama.cpp") == 70_272)
    #expect(bytes("vLLM, BF16") == 70_272)
    #expect(bytes("vLLM, --kv-cache-dtype fp8") == 61 * 576)
    let total = try #require(document.integer("totals", "bytes"))
    let weights = try #require(document.integer("serving", "weightBytes"))
    let mtp = try #require(document.integer("serving", "mtpBytes"))
    // A config alone implies all of its tensors, the scales of FP8 among them.
    #expect(weights + mtp == total)
    #expect(document["serving", "devices"] == nil)
  }

  @Test func sparseAttentionKeepsKeysOfItsOwn() throws {
    let document = try serving(
      Repository.samples + "/tiny-v32", "--context", "100", "--batch", "1")
    let (layers, width) = (
      document.list("layers").count { $0.string("kind") != "mtp" },
      try #require(document.integer("serving", "caches", "indexKeys"))
    )
    #expect(width > 0 && width % (2 * layers) == 0)
    #expect(
      document.list("serving", "programs").contains {
        $0.string("name")?.hasSuffix("fp8_ds_mla") == true
      })
  }

  /// Bytes on each device, added up from the names of the tensors by the rules of vLLM's classes.
  @Test func devicesHoldTheirParts() throws {
    let document = try serving(
      ServingTests.sample, "--context", "64", "--batch", "3", "--devices", "2x100MB", "--tensors")
    let layers = document.list("layers").count { $0.string("kind") != "mtp" }
    var (divided, experts, common, all) = (0, 0, 0, 0)
    for tensor in document.list("tensors") {
      let name = try #require(tensor.string("name"))
      let bytes = try #require(tensor.integer("bytes"))
      let parts = name.split(separator: ".")
      if parts[1] == "layers", try #require(Int(parts[2])) >= layers { continue }
      all += bytes
      let isCut = ["q_b_proj", "q_proj", "kv_b_proj", "o_proj", "embed_tokens", "lm_head"].contains
      {
        parts.contains(Substring($0))
      }
      if name.contains(".experts.") {
        experts += bytes
      } else if isCut || name.contains("shared_experts")
        || name.contains(".mlp.") && !name.contains(".mlp.gate.")
      {
        divided += bytes
      } else {
        common += bytes
      }
    }
    #expect(document.integer("serving", "weightBytes") == all)
    let layouts = document.list("serving", "devices", "layouts")
    #expect(layouts.compactMap { $0.string("layout") } == ["tensor", "expert"])
    let (tensor, expert) = (try #require(layouts.first), try #require(layouts.last))
    // Halves are rounded up, share by share.
    let half = common + (divided + experts) / 2
    #expect((half...half + 3).contains(tensor.integer("weightBytes") ?? 0))
    #expect(expert.integer("weightBytes") == common + divided + experts / 2)
    let cache = try #require(document.integer("serving", "cacheBytesPerToken"))
    #expect(tensor.integer("cacheBytes") == cache * 64 * 3)
    #expect(expert.integer("cacheBytes") == cache * 64 * 2)
  }

  /// One sequence more than the largest batch does not fit, nor one token more.
  @Test(arguments: ["tensor", "expert"])
  func theLargestIsTheLargest(layout: String) throws {
    func fits(_ context: Int, _ batch: Int) throws -> JSONDocument {
      let document = try serving(
        Repository.samples + "/tiny-bf16", "--context", "\(context)", "--batch", "\(batch)",
        "--devices",
        "2x2MB")
      return try #require(
        document.list("serving", "devices", "layouts").first { $0.string("layout") == layout })
    }
    let first = try fits(100, 3)
    let (batch, context) = (
      try #require(first.integer("largestBatch")), try #require(first.integer("largestContext"))
    )
    #expect(batch > 3 && context > 100)
    #expect(try fits(100, batch).bool("fits") == true)
    #expect(try fits(100, batch + 1).bool("fits") == false)
    #expect(try fits(context, 3).bool("fits") == true)
    #expect(try fits(context + 1, 3).bool("fits") == false)
  }

  @Test func whatCannotBeDividedSaysWhy() throws {
    let run = try FathomProcess(
      "inspect", ServingTests.published, "--context", "4096", "--devices", "3x80GB")
    #expect(run.status == 0)
    #expect(run.output.contains("tensor      not possible: 128 heads are not divided by 3"))
    let blocks = try FathomProcess(
      "inspect", ServingTests.published, "--context", "4096", "--devices", "32x80GB")
    #expect(
      blocks.output.contains("a width of 18,432 cut into 32 is no whole number of FP8 blocks")
        || blocks.output.contains("cut into 32 is no whole number of FP8 blocks of 128"),
      "\(blocks.output)")
    let many = try FathomProcess(
      "inspect", ServingTests.published, "--context", "4096", "--devices", "512x80GB")
    #expect(many.output.contains("there are 256 experts for 512 devices"))
    let fitting = try FathomProcess(
      "inspect", ServingTests.published, "--context", "4096", "--devices", "16x80GB")
    #expect(fitting.output.contains("fits; at most "), "\(fitting.output)")
    #expect(fitting.output.contains("note: expert: 16 of 256 experts on each device"))
  }

  @Test func optionsBelongTogether() throws {
    for arguments in [
      ["--batch", "2"], ["--devices", "8x80GB"], ["--context", "5", "--batch", "0"],
      ["--context", "5", "--devices", "0x80GB"], ["--context", "5", "--devices", "8x8x80GB"],
      ["--context", "5", "--devices", "8xlarge"],
    ] {
      let run = try FathomProcess(["inspect", ServingTests.sample] + arguments)
      #expect(run.status == 64, "\(arguments): \(run.messages)")
    }
  }
}
