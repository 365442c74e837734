import Foundation
import Support
import Tensors
import Testing

@Suite struct InspectTests {
  static let sample = Repository.samples + "/tiny-fp8"

  @Test func theSummaryIsOneScreen() throws {
    let run = try FathomProcess("inspect", InspectTests.sample)
    #expect(run.status == 0)
    let lines = run.output.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count <= 24)
    #expect(lines.allSatisfy { $0.count <= 110 && !$0.hasSuffix(" ") })
    for line in [
      "architecture  deepseek_v3", "layers        4: 1 dense, 3 MoE; plus 1 MTP",
      "KV cache      1.16 KiB per token in 16 bits; plain multi-head attention: 1.88 KiB (1.6 times)",
      "stored        501 tensors, 1,089,526 elements, 1.24 MiB in 3 files",
    ] { #expect(run.output.contains(line + "\n"), "\(line)") }
  }

  /// Positions as they are read, whichever way the config spells them.
  @Test func positionsAreShown() throws {
    let workspace = try Workspace()
    var model = try SampleTensors("tiny-bf16")
    model.config["rope_theta"] = nil
    model.config["rope_scaling"] = nil
    model.config["rope_parameters"] = [
      "rope_type": "yarn", "rope_theta": 50000.5, "factor": 8, "beta_fast": 4, "mscale": 0.707,
      "mscale_all_dim": 0.5, "original_max_position_embeddings": 2048, "truncate": false,
    ]
    let path = try model.write(to: workspace)
    let run = try FathomProcess("inspect", path)
    #expect(
      run.output.contains(
        "positions     base 50000.5; YaRN 8 times 2,048, betas 4 and 1, mscale 0.707, "
          + "mscale_all_dim 0.5, not truncated\n"), "\(run.output)")
    let document = try JSONDocument(
      printedBy: ["inspect", path, "--format", "json"], schema: "fathom.inspect.1")
    #expect(document.number("positions", "ropeTheta") == 50000.5)
    #expect(document.number("positions", "yarn", "factor") == 8)
    #expect(document.number("positions", "yarn", "betaSlow") == 1)
    model.config["rope_parameters"] = ["rope_type": "default", "rope_theta": 1_000_000]
    model.config["rope_interleave"] = false
    let plain = try FathomProcess("inspect", model.write(to: workspace, as: "plain"))
    #expect(
      plain.output.contains("positions     base 1,000,000, half-split; no extension\n"),
      "\(plain.output)")
  }

  @Test func tablesHaveALinePerThing() throws {
    let layers = try FathomProcess("inspect", InspectTests.sample, "--layers")
    #expect(layers.output.split(separator: "\n").count == 1 + 5)
    let experts = try FathomProcess("inspect", InspectTests.sample, "--experts")
    #expect(experts.output.split(separator: "\n").count == 1 + 4)
    let all = try FathomProcess("inspect", InspectTests.sample, "--tensors")
    #expect(all.output.split(separator: "\n").count == 1 + 501)
    let some = try FathomProcess("inspect", InspectTests.sample, "--tensors", "*.2.*gate.weight")
    #expect(some.output.split(separator: "\n").count == 1 + 1)
    #expect(some.output.contains("model.layers.2.mlp.gate.weight  BF16  [16, 136]  4.25 KiB"))
  }

  @Test func undeclaredMTPLayersAreCountedAndTold() throws {
    let run = try FathomProcess(
      "inspect", MalformedTests.folder + "/mtp-mismatch-undeclared", "--layers")
    #expect(run.output.contains(" mtp "))
    let summary = try FathomProcess("inspect", MalformedTests.folder + "/mtp-mismatch-undeclared")
    #expect(summary.output.contains("note: config.json declares 0 MTP layers, 1 stored"))
  }

  @Test func statisticsAreThoseOfTheScaledNumbers() throws {
    let workspace = try Workspace()
    try workspace.write("config.json", contents(Repository.samples + "/malformed/none/config.json"))
    // Codes 1.0, −2.0, 0, NaN, 448, 0.5 in two rows, in blocks of 16 × 16: one scale, 0.25.
    let fixture = SafetensorsFixture([
      ("w.weight", .f8E4M3, [2, 3]), ("w.weight_scale_inv", .f32, [1, 1]), ("x", .bf16, [2]),
    ])
    let codes: [UInt8] = [0x38, 0xC0, 0x00, 0x7F, 0x7E, 0x30, 0, 0, 0x80, 0x3E, 0x80, 0x3F, 0, 0]
    try workspace.write("model.safetensors", fixture.header + codes)
    let run = try FathomProcess("inspect", workspace.path, "--stats", "--format", "json")
    #expect(run.status == 0, "\(run.messages)")
    let document = try JSONDocument(run.output)
    #expect(try JSONSchema(named: "fathom.inspect.1").faults(in: document).isEmpty)
    let rows = document.list("stats")
    #expect(rows.map { $0.string("name") } == ["w.weight", "x"])
    let row = try #require(rows.first)
    #expect(row.integer("elements") == 6)
    #expect(row.integer("zeros") == 1)
    #expect(row.integer("nonFinite") == 1)
    #expect(row.number("smallest") == -0.5)
    #expect(row.number("largest") == 112)
    #expect(row.number("mean") == (0.25 - 0.5 + 0 + 112 + 0.125) / 5)
    #expect(row.number("rms") == ((0.0625 + 0.25 + 12544 + 0.015625) / 5).squareRoot())
  }

  @Test func thePageEscapesWhatItShows() throws {
    let workspace = try Workspace()
    let folder = workspace.path("<b>&\"x'")
    try FileManager.default.copyItem(atPath: InspectTests.sample, toPath: folder)
    let page = workspace.path("page.html")
    let run = try FathomProcess("inspect", folder, "--format", "html", "-o", page)
    #expect(run.status == 0)
    #expect(run.output.isEmpty)
    let text = String(decoding: try contents(page), as: UTF8.self)
    #expect(text.contains("&lt;b&gt;&amp;&quot;x&#39;"))
    #expect(!text.contains("<b>"))
    #expect(!text.contains("://"))
    // Bars of the whole, of nine parts, and of layers, of which three are alike.
    #expect(text.components(separatedBy: "<svg").count == 1 + 1 + 9 + 3)
    #expect(text.contains("<td>1–3</td>") && text.contains("<summary>Layers 1–3: "))
    #expect(text.contains("model.layers.*.mlp.experts.*.gate_proj.weight"))
    let again = try FathomProcess("inspect", folder, "--format", "html", "-o", page)
    #expect(again.status == 73)
    #expect(try workspace.names() == ["<b>&\"x'", "page.html"])
  }

  /// The page has the numbers of weights by layer where they were read, and says where they were not.
  @Test func thePageHasStatistics() throws {
    let workspace = try Workspace()
    func page(_ more: String...) throws -> String {
      let path = workspace.path("page\(more.count).html")
      let arguments = ["inspect", InspectTests.sample, "--format", "html", "-o", path]
      let run = try FathomProcess(arguments + more)
      #expect(run.status == 0, "\(run.messages)")
      return String(decoding: try contents(path), as: UTF8.self)
    }
    #expect(try page().contains("Weights were not read: --stats says what their numbers are."))
    let text = try page("--stats")
    #expect(!text.contains("Weights were not read"))
    let listed = try FathomProcess(
      "inspect", InspectTests.sample, "--stats", "--tensors", "--format", "json")
    let rows = try JSONDocument(listed.output).list("stats")
    #expect(rows.count > 20)
    // Each layer folds away, and what lies in none; experts share a row.
    let section = try #require(text.components(separatedBy: "<section id=\"statistics\">").last)
    var layers: Set<String> = []
    for row in rows {
      let name = (row.string("name") ?? "").components(separatedBy: ".")
      layers.insert(name.count > 2 && name[1] == "layers" ? name[2] : "")
    }
    #expect(section.components(separatedBy: "<details>").count == 1 + layers.count)
    let head = try #require(rows.first { $0.string("name") == "lm_head.weight" })
    let row = try #require(
      section.components(separatedBy: "<tr>").first { $0.contains("<td>lm_head.weight</td>") })
    let cells: [Double] = row.replacing(/<[^>]*>/, with: " ").split(separator: " ")
      .compactMap { Double(String($0)) }
    let largest = head.number("largest") ?? 0
    #expect(cells.contains { abs($0 - largest) < 1e-3 })
    #expect(section.contains("model.layers.*.mlp.experts.*.gate_proj.weight"))
  }

  @Test func wrongUsageIs64() throws {
    #expect(try FathomProcess("inspect").status == 64)
    #expect(try FathomProcess("inspect", InspectTests.sample, "--threads", "0").status == 64)
    #expect(try FathomProcess("inspect", InspectTests.sample, "--format", "xml").status == 64)
    #expect(try FathomProcess("nonsense").status == 64)
  }

  @Test func aFullDiskIsTold() throws {
    let run = try FathomProcess.toFullDevice(["inspect", InspectTests.sample])
    #expect(run.status == 74)
    #expect(run.messages.contains("No space left on device"))
  }
}
