import Foundation
import Support
import Tensors
import Testing

/// `fathom logits` as its users see it.
@Suite struct LogitsTests {
  let workspace: Workspace
  let sample = Repository.samples + "/tiny-mtp2"

  init() throws { workspace = try Workspace() }

  private func run(tokens: String, _ options: String...) throws -> FathomProcess {
    let path = try workspace.write("tokens.json", tokens.utf8)
    return try FathomProcess(
      ["logits", sample, "--tokens", path, "-o", workspace.path("out")] + options)
  }

  @Test func tensorsAreNamedAndShaped() throws {
    let run = try run(tokens: "[[0, 5, 7, 9], [0, 1, 2, 3]]")
    #expect(run.status == 0, "\(run.messages)")
    let header = try SafetensorsView(workspace.path("out")).header
    #expect(header.keys.sorted() == ["logits", "mtp_logits", "mtp_logits_2"])
    #expect(header["logits"] == [2, 4, 288])
    #expect(header["mtp_logits"] == [2, 3, 288])
    #expect(header["mtp_logits_2"] == [2, 2, 288])
  }

  @Test func tokensComeInThreeForms() throws {
    #expect(try run(tokens: "[[3, 1, 4, 1]]").status == 0)
    let first = try contents(workspace.path("out"))
    #expect(try run(tokens: " [3, 1, 4, 1]\n", "--overwrite").status == 0)
    #expect(try contents(workspace.path("out")) == first)
    let ids: [Int64] = [3, 1, 4, 1]
    let file = SafetensorsFixture([(name: "input_ids", type: .i64, shape: [1, 4])]).header
    try workspace.write("ids", file + ids.withUnsafeBytes { Array($0) })
    let run = try FathomProcess(
      "logits", sample, "--tokens", workspace.path("ids"), "-o", workspace.path("out"),
      "--overwrite")
    #expect(run.status == 0, "\(run.messages)")
    #expect(try contents(workspace.path("out")) == first)
  }

  @Test func saysWhereTheTimeWent() throws {
    let tokens = "[[3, 1, 4, 1, 5, 9, 2, 6]]"
    let plain = try run(tokens: tokens)
    let first = try contents(workspace.path("out"))
    let run = try run(tokens: tokens, "--profile", "--overwrite")
    #expect(run.status == 0 && run.output == plain.output)
    #expect(try contents(workspace.path("out")) == first)
    #expect(plain.messages.isEmpty)
    let lines = run.messages.split(separator: "\n")
    #expect(lines.first?.hasPrefix("stage ") == true, "\(run.messages)")
    for name in ["attention", "router", "routed experts", "MLP, shared experts", "norm and head"] {
      #expect(lines.contains { $0.hasPrefix(name) }, "\(run.messages)")
    }
    for line in lines.dropFirst() {
      let shares = line.split(separator: "%").compactMap {
        $0.split(separator: " ").last.flatMap { Double($0) }
      }
      #expect(shares.count == 7, "\(line)")
      // What the threads did adds up to their time.
      #expect(abs(shares.dropFirst().reduce(0, +) - 100) < 5, "\(line)")
    }
    #expect(lines.last?.hasPrefix("all ") == true && lines.last?.contains("100.0 %") == true)
  }

  @Test(.enabled(if: Sanitizer.keepsMemory)) func neitherThreadsNorMemoryChangeAByte() throws {
    let tokens = "[[0, 5, 7], [8, 1, 2], [8, 1, 3], [4, 4, 4]]"
    #expect(try run(tokens: tokens, "--threads", "1").status == 0)
    let first = try contents(workspace.path("out"))
    for options in [["--threads", "3"], ["--memory", "40MB"], try least(tokens: tokens)] {
      let path = workspace.path("tokens.json")
      let run = try FathomProcess(
        ["logits", sample, "--tokens", path, "-o", workspace.path("out"), "--overwrite"] + options)
      #expect(run.status == 0, "\(run.messages)")
      #expect(try contents(workspace.path("out")) == first, "\(options)")
    }
  }

  /// The option with the least memory that the command says it can do with.
  private func least(tokens: String) throws -> [String] {
    let run = try run(tokens: tokens, "--memory", "1MB", "--overwrite")
    #expect(run.status == 64, "\(run.messages)")
    let words = run.messages.split { $0 == " " || $0 == "," }
    let place = try #require(words.firstIndex(of: "least"))
    return ["--memory", String(words[place + 1])]
  }

  @Test func aLimitThatCannotBeKeptLeavesNothing() throws {
    let option = try least(tokens: "[[1, 2], [3, 4]]")
    #expect(option[1].hasSuffix("MB"))
    #expect(try workspace.names() == ["tokens.json"])
  }

  @Test func withoutMTPOnlyTheMainModelRuns() throws {
    #expect(try run(tokens: "[1, 2]", "--mtp", "drop").status == 0)
    #expect(try SafetensorsView(workspace.path("out")).header == ["logits": [1, 2, 288]])
  }

  @Test func aSequenceTooShortForMTPLeavesItsTensorsEmpty() throws {
    #expect(try run(tokens: "[1]").status == 0)
    let header = try SafetensorsView(workspace.path("out")).header
    #expect(header["mtp_logits"] == [1, 0, 288] && header["mtp_logits_2"] == [1, 0, 288])
  }

  @Test(arguments: [
    ("[[0, 1], [0, 288]]", "token 1 of sequence 1 is not in the vocabulary"),
    ("[0, -1]", "token 1 of sequence 0 is not in the vocabulary"),
    ("[]", "holds no token ids"), ("[[]]", "sequence 0 of the input has no tokens"),
    ("[[0, 1], [2]]", "sequence 1 of the input is not as long as the first"),
    ("[1.5]", "element 0 is no token id"), ("[\"1\"]", "element 0 is no token id"),
    ("[[1], 2]", "mixes ids and sequences"), ("{\"a\": 1}", "token ids"), ("[1, 2", "at byte 5"),
    ("", "is not valid JSON"),
  ])
  func whatIsNoListOfTokensIsRefused(tokens: String, message: String) throws {
    let run = try run(tokens: tokens)
    #expect(run.status == 65, "\(run.messages)")
    #expect(run.messages.contains(message), "\(run.messages)")
    #expect(run.messages.split(separator: "\n").count == 1)
    #expect(try workspace.names() == ["tokens.json"], "nothing is left behind")
  }

  @Test func anOutputThatExistsIsKept() throws {
    try workspace.write("out", [1])
    let run = try run(tokens: "[1]")
    #expect(run.status == 73)
    #expect(try contents(workspace.path("out")) == [1])
  }

  @Test func aMissingTokenFileIsNotFound() throws {
    let run = try FathomProcess(
      "logits", sample, "--tokens", workspace.path("none"), "-o", workspace.path("out"))
    #expect(run.status == 66, "\(run.messages)")
  }
}
