import Support
import Testing

/// What only a trained network shows: losses that follow from bits, drafts that are kept, recipes
/// that hold on text that nothing was chosen by. Origin: `scripts/make trained`.
@Suite struct TrainedTests {
  let workspace: Workspace
  let sample = Repository.samples + "/tiny-trained"

  init() throws { workspace = try Workspace() }

  /// Tokens that were left out of training, in pieces of 256, as it was done.
  private let unseen = ["--tokens", Repository.samples + "/text/unseen.json"]
  /// Tokens that were learned.
  private let learned = [
    "--text", Repository.samples + "/text/learned.txt", "--max-tokens", "2048", "--chunk-size",
    "256",
  ]

  private func run(_ arguments: [String]) throws {
    let run = try FathomProcess(arguments)
    try #require(run.status == 0, "\(run.messages)")
  }

  /// The sample as a GGUF file.
  private func file(_ name: String, _ options: String...) throws -> String {
    let path = workspace.path(name + ".gguf")
    try run(["convert", sample, path, "--to", "gguf"] + options)
    return path
  }

  /// What each file loses on text that the network did not learn.
  private func losses(_ files: [String]) throws -> [Double] {
    let report = try verifyDocument([sample] + files + unseen + ["--mtp", "drop"])
    return try report.list("candidates").map { try #require($0.number("main", "klMean")) }
  }

  /// On random weights BF16 alone loses 0.03, and the types stand close together.
  @Test func eightBitsLoseFarLessThanFourAndFourThanTwo() throws {
    let types = ["q8_0", "q4_k_m", "q2_k"]
    let found = try losses(types.map { try file($0, "--quant", $0) })
    #expect(found[0] < 3e-4, "\(found)")
    #expect(20 * found[0] < found[1] && 5 * found[1] < found[2], "\(found)")
  }

  @Test func textIsFollowedAndDraftsAreKept() throws {
    let report = try verifyDocument([sample, sample] + unseen)
    // Of 288 tokens each is as likely where nothing is known.
    #expect(try #require(report.number("main", "perplexityReference")) < 12)
    let accepted = try #require(report.number("mtp", "acceptance", "reference"))
    #expect(accepted > 0.6 && report.number("mtp", "acceptance", "candidate") == accepted)
  }

  /// Matrix and search saw other text. docs/low-bits.md has more sizes, and what is reached with
  /// more types.
  @Test func aRecipeLosesLessThanTheMixOfItsSize() throws {
    let matrix = workspace.path("imatrix.gguf")
    try run(["imatrix", sample, "-o", matrix] + learned)
    let mix = try file("mix", "--quant", "q4_k_m", "--imatrix", matrix)
    let size = try #require(try measured(mix).integer("main", "sizeBytes"))
    let recipe = workspace.path("recipe.json")
    try run(
      [
        "recipe", sample, "--size", "\(size)B", "--imatrix", matrix, "--groups", "10",
        "--types", "q3_k,q4_k,q5_k,q6_k", "-o", recipe,
      ] + learned)
    let chosen = try file("chosen", "--recipe", recipe, "--imatrix", matrix)
    #expect(try #require(try measured(chosen).integer("main", "sizeBytes")) <= size)
    let found = try losses([mix, chosen])
    #expect(found[1] < 0.95 * found[0], "\(found)")
  }

  private func measured(_ file: String) throws -> JSONDocument {
    try verifyDocument([sample, file] + unseen + ["--mtp", "drop"])
  }
}
