import Support
import Testing

/// A recipe for another size from what was measured for the first.
@Suite struct RecipeEvidenceTests {
  let workspace: Workspace
  let ids: String
  let sample = Repository.samples + "/tiny-trained"

  init() throws {
    workspace = try Workspace()
    ids = try workspace.write("ids.json", "\([(0..<24).map { 3 + $0 * 7 }])".utf8)
  }

  private func recipe(_ name: String, _ more: String...) throws -> FathomProcess {
    try FathomProcess(
      ["recipe", sample, "--tokens", ids, "--groups", "8", "-o", workspace.path(name)] + more)
  }

  private let types = ["q4_k,q8_0", "q4_k,q6_k,q8_0"]

  @Test func whatWasMeasuredIsNotMeasuredAgain() throws {
    let (few, all) = (types[0], types[1])
    #expect(try recipe("first.json", "--bpw", "6", "--types", few).status == 0)
    let fresh = try recipe("fresh.json", "--bpw", "7", "--types", all)
    #expect(fresh.status == 0, "\(fresh.messages)")
    // One type was measured before for each group, another was not.
    let first = workspace.path("first.json")
    let again = try recipe("again.json", "--bpw", "7", "--types", all, "--evidence", first)
    #expect(again.status == 0, "\(again.messages)")
    #expect(again.output.contains("the same headers") && !fresh.output.contains("the same headers"))
    #expect(try contents(workspace.path("again.json")) == contents(workspace.path("fresh.json")))
    // Where nothing is missing, whole choices are not measured again either.
    let same = try recipe(
      "same.json", "--bpw", "7", "--types", all, "--evidence", workspace.path("again.json"))
    #expect(same.status == 0, "\(same.messages)")
    #expect(try contents(workspace.path("same.json")) == contents(workspace.path("fresh.json")))
    // A number that no measurement gives shows that there was none.
    let document = String(decoding: try contents(first), as: UTF8.self)
    let group = try #require(
      JSONDocument(document).list("evidence", "groups").first { $0.string("name") == "attention" })
    let loss = try #require(group.list("options").last?.number("kl"))
    let changed = document.replacing("\(loss)", with: "12.5")
    try #require(changed != document)
    let other = try workspace.write("other.json", changed.utf8)
    let misled = try recipe(
      "misled.json", "--bpw", "7", "--types", all, "--evidence", other, "--format", "json")
    let found = try #require(
      try JSONDocument(misled.output).list("evidence", "groups").first {
        $0.string("name") == "attention"
      })
    #expect(found.list("options").last?.number("kl") == 12.5)
    #expect(found.string("type") != "q8_0")
  }

  @Test func evidenceOfSomethingElseIsRefused() throws {
    let first = workspace.path("first.json")
    #expect(try recipe("first.json", "--bpw", "6", "--types", types[0]).status == 0)
    let tokens = try workspace.write("more.json", "\([(0..<24).map { 3 + $0 * 5 }])".utf8)
    let rest = [
      "--bpw", "7", "--types", types[0], "--groups", "8", "-o", workspace.path("no.json"),
      "--evidence",
    ]
    let hand = try workspace.write(
      "hand.json", #"{"schema": "fathom.recipe/1", "default": "q8_0"}"#.utf8)
    let untold = String(decoding: try contents(first), as: UTF8.self)
      .replacing("\"hashes\"", with: "\"former\"")
    let old = try workspace.write("old.json", untold.utf8)
    let unread = String(decoding: try contents(first), as: UTF8.self)
      .replacing("\"klSum\"", with: "\"sum\"")
    let slip = try workspace.write("slip.json", unread.utf8)
    let matrix = workspace.path("imatrix.gguf")
    #expect(try FathomProcess(["imatrix", sample, "--tokens", ids, "-o", matrix]).status == 0)
    for (arguments, status, words) in [
      ([sample, "--tokens", tokens] + rest + [first], 64, "another text"),
      ([Repository.samples + "/tiny-bf16", "--tokens", ids] + rest + [first], 64, "another model"),
      ([sample, "--tokens", ids, "--imatrix", matrix] + rest + [first], 64, "another importance"),
      ([sample, "--tokens", ids] + rest + [old], 64, "does not say"),
      ([sample, "--tokens", ids] + rest + [slip], 65, "cannot be read"),
      ([sample, "--tokens", ids] + rest + [hand], 65, "has no measurements"),
      ([sample, "--tokens", ids] + rest + [ids], 65, "has no measurements"),
    ] {
      let run = try FathomProcess(["recipe"] + arguments)
      #expect(run.status == status && run.messages.contains(words), "\(words): \(run.messages)")
    }
    let module = try FathomProcess([
      "recipe", sample, "--tokens", ids, "--to", "mlx", "--bpw", "7", "--evidence", first, "-o",
      workspace.path("no.json"),
    ])
    #expect(module.status == 64 && module.messages.contains("another format"))
    #expect(try !workspace.names().contains("no.json"))
  }
}
