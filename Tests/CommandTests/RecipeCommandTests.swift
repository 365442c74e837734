import Foundation
import Support
import Testing

/// `fathom imatrix` and `fathom recipe` as their users see them.
@Suite struct RecipeCommandTests {
  let workspace: Workspace
  /// Rows of whole blocks of 256.
  let sample = Repository.samples + "/tiny-trained"

  init() throws { workspace = try Workspace() }

  private func tokens() throws -> String {
    let ids = (0..<2).map { n in (0..<24).map { 3 + (n * 31 + $0 * 7) % 200 } }
    return try workspace.write("ids.json", "\(ids)".utf8)
  }

  @Test func aRecipeSaysWhatItsFileLoses() throws {
    let (ids, matrix) = (try tokens(), workspace.path("imatrix.gguf"))
    let measured = try FathomProcess([
      "imatrix", sample, "--tokens", ids, "-o", matrix, "--format", "json",
    ])
    #expect(measured.status == 0, "\(measured.messages)")
    let document = try JSONDocument(measured.output)
    #expect(try JSONSchema(named: "fathom.imatrix.1").faults(in: document).isEmpty)
    #expect(document.integer("tokens") == 48 && document.integer("chunkSize") == 24)
    let recipe = workspace.path("recipe.json")
    let chosen = try FathomProcess([
      "recipe", sample, "--bpw", "6", "--tokens", ids, "--imatrix", matrix, "--types",
      "iq3_s,q4_k,q8_0", "--groups", "8", "-o", recipe, "--format", "json",
    ])
    #expect(chosen.status == 0, "\(chosen.messages)")
    let report = try JSONDocument(chosen.output)
    #expect(try JSONSchema(named: "recipe").faults(in: report).isEmpty)
    #expect(try contents(recipe) == Array(chosen.output.utf8))
    #expect(report.number("evidence", "bitsPerWeight") ?? 99 <= 6)
    let types = Set(report.list("rules").compactMap { $0.string("type") })
    #expect(types.count > 1, "a mix: \(types)")
    // The file that it leads to has its size and loses what it says.
    let file = workspace.path("mix.gguf")
    let converted = try FathomProcess([
      "convert", sample, file, "--to", "gguf", "--recipe", recipe, "--imatrix", matrix,
      "--allow-requantize",
    ])
    #expect(converted.status == 0, "\(converted.messages)")
    let run = try FathomProcess([
      "verify", sample, file, "--tokens", ids, "--mtp", "drop", "--format", "json",
    ])
    let found = try JSONDocument(run.output)
    #expect(found.integer("main", "sizeBytes") == report.integer("evidence", "bytes"))
    let (a, b) = (
      try #require(found.number("main", "klMean")),
      try #require(report.number("evidence", "klMeasured"))
    )
    #expect(abs(a - b) <= 1e-3 * b, "\(a) \(b)")
  }

  /// A search for another format than GGUF.
  struct Search: Sendable, CustomTestStringConvertible {
    let sample: String
    let target: String
    let types: String
    let goal: [String]
    var testDescription: String { "\(sample) \(target)" }
  }

  static let searches = [
    Search(
      sample: "tiny-trained", target: "mlx", types: "3bit,4bit-g32,mxfp4,8bit,bf16",
      goal: ["--bpw", "6"]),
    // F32, so that scales and what is not quantized are F32 whatever the types are.
    Search(
      sample: "tiny-tied", target: "mlx", types: "bf16,4bit-g32,8bit-g32",
      goal: ["--max-kl", "0.3"]),
    // FP8, whose blocks are kept, and grids of rows that a band of rows does not begin with.
    Search(
      sample: "tiny-trained", target: "compressed-tensors",
      types: "int4-g32-asymmetric,nvfp4,fp8-block,plain", goal: ["--bpw", "8"]),
    Search(
      sample: "tiny-bf16", target: "compressed-tensors", types: "int4-g32,nvfp4,fp8-block",
      goal: ["--bpw", "11"]),
    Search(
      sample: "tiny-kimi-k25", target: "compressed-tensors",
      types: "int4-g32,nvfp4,mxfp4,fp8-channel,plain", goal: ["--max-kl", "0.1"]),
  ]

  /// What is predicted for a model is what its files lose, module by module as the recipe says.
  @Test(arguments: searches) func aRecipeForModulesSaysWhatItsFilesLose(search: Search) throws {
    let sample = "\(Repository.samples)/\(search.sample)"
    let (ids, recipe) = (try tokens(), workspace.path("modules.json"))
    let chosen = try FathomProcess(
      ["recipe", sample, "--to", search.target] + search.goal + [
        "--tokens", ids, "--types", search.types, "--groups", "8", "-o", recipe, "--format", "json",
      ])
    #expect(chosen.status == 0, "\(chosen.messages)")
    let report = try JSONDocument(chosen.output)
    #expect(try JSONSchema(named: "recipe").faults(in: report).isEmpty)
    #expect(report.string("target") == search.target)
    let types = Set(report.list("rules").compactMap { $0.string("type") })
    #expect(types.count > 1, "a mix: \(types)")
    let folder = workspace.path("mix")
    let converted = try FathomProcess([
      "convert", sample, folder, "--to", search.target, "--recipe", recipe, "--strict",
    ])
    #expect(converted.status == 0, "\(converted.messages)")
    let run = try FathomProcess([
      "verify", sample, folder, "--tokens", ids, "--mtp", "drop", "--format", "json",
    ])
    let found = try JSONDocument(run.output)
    #expect(found.integer("main", "sizeBytes") == report.integer("evidence", "bytes"))
    let (a, b) = (
      try #require(found.number("main", "klMean")),
      try #require(report.number("evidence", "klMeasured"))
    )
    #expect(abs(a - b) <= 1e-6 * b, "\(a) \(b)")
  }

  /// The plot's numbers are the recipe's, and those of a mix are what its file loses.
  @Test(arguments: ["gguf", "mlx", "compressed-tensors"]) func thePageShowsWhatTheRecipeHas(
    target: String
  ) throws {
    let (ids, page) = (try tokens(), workspace.path("page.html"))
    let recipe = workspace.path("recipe.json")
    let (types, name, quant) =
      switch target {
      case "gguf": ("q3_k,q4_k,q8_0", "Q4_K_M", "q4_k_m")
      case "mlx": ("3bit,4bit,8bit", "4bit", "4bit")
      default: ("int4-g128,nvfp4,fp8-block,plain", "nvfp4-experts", "nvfp4-experts")
      }
    let run = try FathomProcess([
      "recipe", sample, "--to", target, "--bpw", target == "compressed-tensors" ? "8" : "6",
      "--tokens", ids, "--types", types, "--groups", "8", "-o", recipe, "--page", page, "--format",
      "json",
    ])
    #expect(run.status == 0, "\(run.messages)")
    let evidence = try JSONDocument(run.output)
    #expect(try JSONSchema(named: "recipe").faults(in: evidence).isEmpty)
    let text = String(decoding: try contents(page), as: UTF8.self)
    _ = try XMLSchema.parse(Data(text.utf8))
    let points = try points(of: text)
    let standards = evidence.list("evidence", "standards")
    let frontier = evidence.list("evidence", "frontier")
    #expect(standards.count > 5 && frontier.count > 5)
    #expect(points.count == standards.count + frontier.count + 1)
    func check(_ name: String, _ bits: Double?, _ divergence: Double?) throws {
      let (bits, divergence) = (try #require(bits), try #require(divergence))
      let found = points.contains { point in
        point.name == name && abs(point.bits - bits) < 6e-4
          && abs(point.divergence - divergence) <= 6e-4 * divergence
      }
      #expect(found, "\(name) \(bits) \(divergence)")
    }
    for mix in standards {
      try check(mix.string("name") ?? "", mix.number("bitsPerWeight"), mix.number("klMeasured"))
    }
    for point in frontier {
      try check("best choice", point.number("bitsPerWeight"), point.number("klPredicted"))
    }
    try check(
      "this recipe", evidence.number("evidence", "bitsPerWeight"),
      evidence.number("evidence", "klMeasured"))
    try checkNames(in: text)
    // Where a point is drawn follows from what it says: a line through all of them.
    let sorted = points.sorted { $0.bits < $1.bits }
    let (first, last) = (try #require(sorted.first), try #require(sorted.last))
    for point in points {
      let share = (point.bits - first.bits) / (last.bits - first.bits)
      #expect(abs(point.x - first.x - share * (last.x - first.x)) < 0.2, "\(point)")
    }
    let file = workspace.path(target == "gguf" ? "mix.gguf" : "mix")
    let converted = try FathomProcess([
      "convert", sample, file, "--to", target, "--quant", quant,
    ])
    #expect(converted.status == 0, "\(converted.messages)")
    let verified = try JSONDocument(
      FathomProcess([
        "verify", sample, file, "--tokens", ids, "--mtp", "drop", "--format", "json",
      ]).output)
    let mix = try #require(standards.first { $0.string("name") == name })
    #expect(verified.integer("main", "sizeBytes") == mix.integer("bytes"))
    let (a, b) = (
      try #require(verified.number("main", "klMean")), try #require(mix.number("klMeasured"))
    )
    #expect(abs(a - b) <= 1e-3 * b, "\(a) \(b)")
  }

  /// Names that are drawn beside points leave room for each other, and the recipe's is there.
  private func checkNames(in page: String) throws {
    let name = try Regex(
      #"<text class="(|end)" x="([0-9.]+)" y="([0-9.]+)">([^<]+)</text>\n</g>"#,
      as: (Substring, Substring, Substring, Substring, Substring).self)
    let names = page.matches(of: name).map { match in
      let (_, anchor, place, y, text) = match.output
      let (x, width) = (Double(place) ?? .nan, 7 * Double(text.count))
      let left = anchor == "end" ? x - width : x
      return (text: String(text), left: left, right: left + width, y: Double(y) ?? .nan)
    }
    #expect(names.contains { $0.text == "this recipe" })
    #expect(names.count > 5)
    for (index, one) in names.enumerated() {
      for other in names.dropFirst(index + 1) where abs(one.y - other.y) < 12 {
        #expect(one.right <= other.left || other.right <= one.left, "\(one) \(other)")
      }
    }
  }

  /// The points of a page's plot: what the pointer is told of each, and the middle of its mark.
  private func points(
    of page: String
  ) throws -> [(name: String, bits: Double, divergence: Double, x: Double)] {
    let point = try Regex(
      #"<title>([^<:]+): ([0-9.]+) bits per weight, KL [a-z]+ ([0-9.e-]+)</title>"#
        + #"<rect class="s[0-9]" x="([0-9.]+)" y="[0-9.]+" width="([0-9.]+)""#,
      as: (Substring, Substring, Substring, Substring, Substring, Substring).self)
    return page.matches(of: point).map { match in
      let (_, name, bits, divergence, x, width) = match.output
      return (
        String(name), Double(bits) ?? .nan, Double(divergence) ?? .nan,
        (Double(x) ?? .nan) + (Double(width) ?? .nan) / 2
      )
    }
  }

  @Test func optionsOfOtherFormatsAreRefused() throws {
    let ids = try tokens()
    let start = ["recipe", sample, "--tokens", ids, "-o", workspace.path("recipe.json")]
    for more in [
      ["--to", "mlx", "--bpw", "6", "--types", "q4_k"],
      ["--to", "mlx", "--bpw", "6", "--types", "4bit-g33"],
      ["--to", "mlx", "--bpw", "6", "--types", "mxfp4-g64"],
      ["--to", "mlx", "--bpw", "6", "--imatrix", ids],
      ["--to", "compressed-tensors", "--bpw", "6", "--types", "4bit"],
      ["--to", "hf", "--bpw", "6"],
      ["--bpw", "6", "--types", "4bit"], ["--bpw", "6", "--types", "bf16"],
      ["--bpw", "6", "--page", workspace.path("recipe.json")],
    ] {
      let run = try FathomProcess(start + more)
      #expect(run.status == 64, "\(more): \(run.messages)")
    }
    #expect(try workspace.names() == ["ids.json"])
    let recipe = try workspace.write(
      "gguf.json", #"{"schema": "fathom.recipe/1", "default": "q8_0"}"#.utf8)
    let run = try FathomProcess([
      "convert", sample, workspace.path("out"), "--to", "mlx", "--recipe", recipe,
    ])
    #expect(run.status == 64 && run.messages.contains("another format"), "\(run.messages)")
  }

  @Test func goalsThatCannotBeKeptAreRefused() throws {
    let ids = try tokens()
    for (goal, value) in [("--bpw", "0.5"), ("--size", "1KB"), ("--max-kl", "1e-12")] {
      let run = try FathomProcess([
        "recipe", sample, goal, value, "--tokens", ids, "--types", "q4_k,q8_0", "--groups", "4",
        "-o", workspace.path("recipe.json"),
      ])
      #expect(run.status == 64 && run.messages.contains("expected at least"), "\(run.messages)")
    }
    #expect(try workspace.names() == ["ids.json"])
    let both = try FathomProcess(["recipe", sample, "--bpw", "3", "--size", "1GB", "--tokens", ids])
    #expect(both.status == 64)
    let needy = try FathomProcess([
      "recipe", sample, "--bpw", "9", "--tokens", ids, "--types", "iq1_s,q8_0",
      "-o", workspace.path("recipe.json"),
    ])
    #expect(needy.status == 64 && needy.messages.contains("IQ1_S"), "\(needy.messages)")
  }

  /// The older format holds the same entries; the head has one where it is asked for.
  @Test(arguments: ["gguf", "dat"]) func theHeadIsMeasuredWhereAsked(format: String) throws {
    let ids = try tokens()
    for (name, more) in [("without", []), ("with", ["--process-output"])] {
      let path = workspace.path("\(name).\(format)")
      let run = try FathomProcess(
        ["imatrix", sample, "--tokens", ids, "-o", path, "--output-format", format] + more)
      #expect(run.status == 0, "\(run.messages)")
      let bytes = try contents(path)
      #expect(bytes.starts(with: "GGUF".utf8) == (format == "gguf"))
      let others = count(of: "attn_output.weight", in: bytes)
      #expect(others > 0 && (count(of: "output.weight", in: bytes) > others) == (name == "with"))
      let file = workspace.path("\(name)-\(format).gguf")
      let made = try FathomProcess([
        "convert", sample, file, "--to", "gguf", "--quant", "q4_k_m", "--imatrix", path,
      ])
      #expect(made.status == 0, "\(made.messages)")
    }
  }

  private func count(of text: String, in bytes: [UInt8]) -> Int {
    bytes.ranges(of: Array(text.utf8)).count
  }

  @Test func matricesAreMergedWithoutAModel() throws {
    let ids = try tokens()
    let names = ["one.gguf", "two.gguf"].map(workspace.path)
    for name in names {
      #expect(try FathomProcess(["imatrix", sample, "--tokens", ids, "-o", name]).status == 0)
    }
    let output = workspace.path("sum.gguf")
    let run = try FathomProcess(["imatrix", "--merge"] + names + ["-o", output])
    #expect(run.status == 0 && run.output.contains("4 chunks of 24 tokens"), "\(run.messages)")
    #expect(try FathomProcess(["imatrix", "-o", output]).status == 64)
    #expect(try FathomProcess(["imatrix", "--merge", sample + "/config.json"]).status == 65)
    // What is no matrix is not replaced.
    let other = try workspace.write("notes.txt", "mine".utf8)
    let refused = try FathomProcess(
      ["imatrix", "--merge"] + names + ["-o", other, "--overwrite"])
    #expect(refused.status == 73)
    #expect(try contents(other) == Array("mine".utf8))
    let again = try FathomProcess(["imatrix", "--merge"] + names + ["-o", output, "--overwrite"])
    #expect(again.status == 0)
  }
}
