import Foundation
import Support
import Testing

/// `fathom diff`: weights beside each other, across formats.
@Suite struct DiffTests {
  let workspace: Workspace
  let sample = Repository.samples + "/tiny-trained"

  init() throws { workspace = try Workspace() }

  private func diff(_ arguments: String..., status: Int32 = 0) throws -> JSONDocument {
    try JSONDocument(printedBy: ["diff"] + arguments, schema: "fathom.diff.1", status: status)
  }

  private func convert(_ model: String, _ name: String, _ options: String...) throws -> String {
    let path = workspace.path(name)
    let run = try FathomProcess(["convert", model, path, "--to"] + options)
    #expect(run.status == 0, "\(run.messages)")
    return path
  }

  @Test func nothingDiffersFromItself() throws {
    let document = try diff(sample, sample, "--min-sqnr", "300")
    let count = try #require(document.integer("totals", "compared"))
    #expect(count >= 38 && document.integer("totals", "identical") == count)
    #expect(document.string("verdict") == "pass")
    #expect(document.list("tensors").allSatisfy { $0.number("equalBytes") == 1 })
  }

  /// FP8 with scales, F32 safetensors and an F32 GGUF file in other names and halves: all the same.
  @Test func formatsDoNotMatter() throws {
    let plain = try convert(sample, "plain", "hf", "--quant", "f32")
    let gguf = try convert(sample, "plain.gguf", "gguf", "--quant", "f32")
    for (a, b) in [(sample, plain), (sample, gguf), (gguf, plain), (gguf, gguf)] {
      let document = try diff(a, b)
      #expect(document.integer("totals", "compared") == document.integer("totals", "identical"))
      #expect(document.list("onlyInA").isEmpty && document.list("onlyInB").isEmpty)
      #expect(document.list("reshaped").isEmpty)
    }
    let names = try diff(sample, gguf).list("tensors").compactMap { $0.string("name") }
    #expect(names.contains("model.layers.0.self_attn.kv_b_proj.weight"))
    #expect(!names.contains { $0.hasSuffix("_scale_inv") || $0.contains("k_b_proj.") })
  }

  /// Names, shapes and types alone: what differs is the way in which numbers are stored.
  @Test func headersAreEnoughForNamesAndTypes() throws {
    let four = try convert(sample, "q4.gguf", "gguf", "--quant", "q4_k_m")
    let document = try JSONDocument(
      printedBy: ["diff", sample, four, "--headers"], schema: "fathom.diff-headers.1")
    #expect(document.string("verdict") == "pass")
    let tensors = document.list("tensors")
    #expect(tensors.count == (try diff(sample, four).integer("totals", "compared")))
    let experts = try #require(
      tensors.first { $0.string("name")?.hasSuffix("experts.2.up_proj.weight") == true })
    #expect(experts.string("typeA") == "F8_E4M3" && experts.string("typeB") == "Q4_K")
    let (a, b) = (experts.integer("bytesA"), experts.integer("bytesB"))
    #expect(try #require(b) * 256 == (try #require(a)) * 144)
    let text = try FathomProcess(["diff", sample, four, "--headers"]).output
    #expect(text.contains("F8_E4M3 → Q4_K") && text.contains("weights were not read"))
    #expect(text.hasSuffix("pass: names and shapes agree\n"))
  }

  @Test func headersTellWhatIsMissingOrOfAnotherShape() throws {
    let other = Repository.samples + "/tiny-bf16"
    let document = try JSONDocument(
      printedBy: ["diff", sample, other, "--headers"], schema: "fathom.diff-headers.1", status: 1)
    #expect(document.string("verdict") == "fail")
    #expect(!document.list("onlyInA").isEmpty)
    let text = try FathomProcess(["diff", sample, other, "--headers", "--top", "1"]).output
    let lines = text.split(separator: "\n")
    #expect(lines.count { $0.hasPrefix("only in \(sample): ") } == 1)
    #expect(lines.count { $0.hasPrefix("other shape: ") } == 1 && text.contains("more: --top 0"))
    #expect(lines.last?.hasPrefix("fail: ") == true)
    let bounds = try FathomProcess(["diff", sample, other, "--headers", "--max-abs", "0"])
    #expect(bounds.status == 64 && bounds.messages.contains("--headers"))
  }

  @Test func theWorstStandsFirst() throws {
    let four = try convert(sample, "q4.gguf", "gguf", "--quant", "q4_k_m")
    let document = try diff(sample, four)
    let tensors = document.list("tensors")
    let noise = tensors.compactMap { $0.number("sqnrDb") }
    #expect(noise.count > 20 && noise == noise.sorted())
    // Four bits and a fifth of a bit of scales give about 20 dB, six about 35.
    #expect(noise.allSatisfy { (15...60).contains($0) })
    let worst = try #require(tensors.first)
    #expect(worst.string("typeB") == "Q4_K" && worst.string("typeA") != "F32")
    #expect(worst["equalBytes"] is NSNull)
    #expect(try #require(worst.number("cosine")) < 0.9999)
    let eight = try convert(sample, "q8.gguf", "gguf", "--quant", "q8_0")
    let better = try diff(sample, eight).list("tensors").compactMap { $0.number("sqnrDb") }
    #expect(try #require(better.first) > noise[noise.count / 2] + 15)
  }

  @Test func boundsDecideTheVerdict() throws {
    let four = try convert(sample, "q4.gguf", "gguf", "--quant", "q4_0")
    #expect(try diff(sample, four, "--min-sqnr", "10").string("verdict") == "pass")
    #expect(try diff(sample, four, "--min-sqnr", "40", status: 1).string("verdict") == "fail")
    #expect(try diff(sample, four, "--max-abs", "1e-6", status: 1).string("verdict") == "fail")
    let norms = try diff(sample, four, "--min-sqnr", "40", "--tensors", "*norm*")
    #expect(norms.integer("totals", "identical") == norms.integer("totals", "compared"))
  }

  @Test func whatOneSideLacksIsNamed() throws {
    let whole = Repository.samples + "/tiny-fp8"
    let without = try convert(whole, "without", "hf", "--mtp", "drop")
    let document = try diff(whole, without)
    #expect(document.list("onlyInB").isEmpty && !document.list("onlyInA").isEmpty)
    _ = try diff(whole, without, "--min-sqnr", "1", status: 1)
    let dropped = try diff(whole, without, "--min-sqnr", "1", "--mtp", "drop")
    #expect(dropped.list("onlyInA").isEmpty)
    let other = try diff(whole, Repository.samples + "/tiny-bf16", "--max-abs", "9", status: 1)
    #expect(!other.list("reshaped").isEmpty)
  }

  /// One element of the sample's head is changed by hand.
  @Test func oneElementIsFound() throws {
    let folder = try workspace.copy(sample: "tiny-bf16")
    let path = folder + "/model.safetensors"
    var bytes = try contents(path)
    let size = bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    let header = try JSONDocument(String(decoding: bytes[8..<8 + size], as: UTF8.self))
    let name = "model.layers.1.self_attn.o_proj.weight"
    let start = try #require(header.list(name, "data_offsets").first?.root as? Int)
    let place = 8 + size + start + 2 * 33
    // The sign.
    bytes[place + 1] ^= 0x80
    try FileManager.default.removeItem(atPath: path)
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    let document = try diff(Repository.samples + "/tiny-bf16", folder)
    let worst = try #require(document.list("tensors").first)
    #expect(worst.string("name") == name && worst.integer("worstElement") == 33)
    let count = Double(
      try #require(document.list("tensors").first).list("shape").reduce(1) {
        $0 * (($1.root as? Int) ?? 0)
      })
    #expect(worst.number("equalValues") == (count - 1) / count)
    #expect(worst.number("equalBytes") == (2 * count - 1) / (2 * count))
    let value = UInt32(bytes[place]) << 16 | UInt32(bytes[place + 1] & 0x7F) << 24
    #expect(worst.number("maxAbsDifference") == Double(2 * Float(bitPattern: value)))
    #expect(document.integer("totals", "identical") == document.list("tensors").count - 1)
    // NaN stands before all else.
    bytes[place] = 0xC1
    bytes[place + 1] = 0xFF
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    let broken = try diff(
      Repository.samples + "/tiny-bf16", folder, "--min-sqnr=-99", status: 1)
    #expect(broken.list("tensors").first?.integer("nonFinite") == 1)
  }

  /// Bytes are counted 32 at a time: the last ones of a vector of any size count too.
  @Test(arguments: [1, 3, 7, 8, 9, 15, 17, 31, 33, 63, 64, 65, 127])
  func theLastByteOfAVectorCounts(count: Int) throws {
    var folders: [String] = []
    for (folder, last) in [("a", UInt8(0)), ("b", 1)] {
      let path = workspace.path(folder)
      try FileManager.default.copyItem(atPath: Repository.samples + "/tiny-bf16", toPath: path)
      var file = try SafetensorsRewriter(path + "/model.safetensors")
      let bytes = [UInt8](repeating: 0x3F, count: 2 * count - 2) + [last, 0x3F]
      file.add("extra", "BF16", count: count, bytes)
      try file.write()
      folders.append(path)
    }
    let document = try diff(folders[0], folders[1], "--max-abs", "0", status: 1)
    let worst = try #require(document.list("tensors").first)
    #expect(worst.string("name") == "extra" && worst.integer("worstElement") == count - 1)
    #expect(document.integer("totals", "outOfBounds") == 1)
    #expect(try diff(folders[0], folders[0], "--max-abs", "0").string("verdict") == "pass")
  }

  /// A gate that nothing could fail is none.
  @Test(arguments: [
    ["--max-abs", "nan"], ["--max-abs", "inf"], ["--max-abs=-1"], ["--max-abs=-inf"],
    ["--min-sqnr", "nan"], ["--min-sqnr", "inf"], ["--min-sqnr=-inf"],
    ["--tensors", "nosuch*"], ["--tensors", "nosuch*", "--max-abs", "1"], ["--tensors", ""],
  ])
  func boundsThatSayNothingAreRefused(options: [String]) throws {
    let run = try FathomProcess(["diff", sample, sample] + options)
    #expect(run.status == 64 && run.output.isEmpty, "\(run.output)\(run.messages)")
  }

  @Test func threadsChangeNothing() throws {
    let four = try convert(sample, "q4.gguf", "gguf", "--quant", "q5_k_m")
    let one = try FathomProcess(
      "diff", sample, four, "--format", "json", "--threads", "1", "--progress", "never")
    let three = try FathomProcess("diff", sample, four, "--format", "json", "--threads", "3")
    #expect(one.status == 0 && one.output == three.output)
  }

  @Test func theTableIsShort() throws {
    let four = try convert(sample, "q4.gguf", "gguf", "--quant", "q4_k_m")
    let run = try FathomProcess("diff", sample, four, "--top", "3")
    let lines = run.output.split(separator: "\n")
    #expect(lines.count == 6 && lines[0].hasPrefix("  TENSOR"))
    #expect(lines[4].contains("more: --top 0") && lines[5].contains("compared"))
    #expect(try FathomProcess("diff", sample, "nothing").status == 66)
    #expect(try FathomProcess("diff", sample, four, "--top", "-1").status == 64)
  }
}
