import Calibration
import Passes
import Platform
import Support
import Testing

/// What a search for a recipe says before it measures and while it does.
@Suite struct RecipeRunTests {
  private func search(_ change: (inout RecipeRequest) -> Void = { _ in }) throws -> RecipeRun {
    let path = Repository.samples + "/tiny-trained"
    var request = RecipeRequest(
      sequences: [Array(3..<11)], text: "ids.json", goal: .bitsPerWeight(6))
    // What is named twice is measured once.
    request.types = ["q4_k", "q8_0", "q4_k"]
    request.groups = 8
    change(&request)
    return try RecipeRun(path, try ModelFiles(path: path, threads: 1), request)
  }

  @Test func allThatIsMeasuredIsPartOfTheProgress() throws {
    var told: [(done: Int, total: Int)] = []
    let recipe = try search().choose { told.append(($0, $1)) }
    #expect(recipe.together.count == 6 && recipe.groups.allSatisfy { $0.options.count == 2 })
    // Groups in types, whole choices and what was chosen are one round each, of two layers.
    #expect(told.map(\.done) == Array(0..<6) && told.allSatisfy { $0.total == 6 })
  }

  @Test func whatCouldNotBeReadAgainIsRefusedBeforeItIsMeasured() throws {
    let run = try search()
    let bytes = try run.choose { _, _ in }.json.printed().text.utf8.count
    #expect(bytes <= run.mostBytes && run.mostBytes < 1 << 16 + 2 * bytes)
    let fault = try #require(throws: Fault.self) {
      try search { $0.mostBytes = run.mostBytes - 1 }
    }
    #expect(fault.kind == .usage && fault.expected?.contains("--groups") == true)
    #expect(throws: Never.self) { try search { $0.mostBytes = run.mostBytes } }
  }
}
