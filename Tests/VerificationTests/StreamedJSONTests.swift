import Platform
import Reports
import Testing

/// Lists that are written without the values of their entries.
@Suite struct StreamedJSONTests {
  @Test(arguments: [
    "plain", "", "\"q\"\\ \n\u{7}", "##vso[x]", "e\u{301}\u{9B}", "\u{202E}a\u{2028}",
  ])
  func linesAreThoseOfValues(text: String) throws {
    var (lines, values): (OutputText, OutputText) = ("", "")
    @Sendable func addLine(_ number: Int, _ line: inout JSONLine) {
      line.add("name", text)
      line.add("names", [text, "b"])
      line.add("number", number)
      line.add("shape", [3, number])
      line.add("scalar", [Int]())
      line.add("none", [String]())
      line.add("absent", nil)
    }
    func value(_ number: Int) -> JSONValue {
      .object([
        "name": .string(text), "names": .array([.string(text), "b"]),
        "number": .integer(number), "shape": .array([3, .integer(number)]), "scalar": .array([]),
        "none": .array([]), "absent": .null,
      ])
    }
    try StreamedJSON.list("x", lines: [0, -7], { lines += $0 }, addLine)
    try StreamedJSON.list("x", [0, -7], { values += $0 }, value)
    #expect(lines == values)
    for threads in [1, 2] {
      let count = StreamedJSON.byteCount(ofList: "x", lines: 2, threads: threads) {
        addLine([0, -7][$0], &$1)
      }
      #expect(count == lines.text.utf8.count)
    }
  }
}
