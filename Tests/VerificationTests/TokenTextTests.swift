import Platform
import Support
import Testing
import Verification

/// Reports name tokens by their text where there is a tokenizer.
@Suite struct TokenTextTests {
  @Test func positionsHaveTheTextOfTheirTokens() throws {
    let workspace = try Workspace()
    let editor = try SampleEditor("tiny-tied", in: workspace)
    try editor.set("routed_scaling_factor", 1.0)
    var request = VerifyRequest(
      reference: Repository.samples + "/tiny-tied", candidates: [editor.path])
    request.tokenText = { $0[0] % 2 == 0 ? "<\($0[0])\u{1b}>" : nil }
    let report = try VerifyReports(request) { _, _ in }.reports[0]
    let document = try JSONDocument(report.json.text())
    #expect(try JSONSchema(named: "fathom.verify.1").faults(in: document).isEmpty)
    let rows = document.list("worstPositions")
    #expect(rows.count == 20)
    for row in rows {
      let (token, text) = (row.integer("token") ?? 0, row.string("text"))
      #expect(text == (token % 2 == 0 ? "<\(token)\u{1b}>" : nil))
    }
    let even = try #require(rows.prefix(5).compactMap { $0.integer("token") }.first { $0 % 2 == 0 })
    #expect(report.text.text.contains("\(even) \"<\(even)"))
    #expect(!report.text.text.contains("\u{1b}"), "control characters stay out of terminals")
  }
}
