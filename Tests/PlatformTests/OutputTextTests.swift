import Platform
import Testing

/// Texts from outside as they are printed.
@Suite struct OutputTextTests {
  @Test(arguments: [
    ("model.layers.0.weight", "model.layers.0.weight"), ("Größe 模型 é", "Größe 模型 é"),
    ("a\nb\r\tc", #"a\nb\r\tc"#), ("\u{1b}[2J\u{9b}", #"\u{1b}[2J\u{9b}"#),
    (#"a\nb"#, #"a\\nb"#), (#"\u{1b}"#, #"\\u{1b}"#),
    ("\u{202e}\u{200b}\u{2066}\u{feff}", #"\u{202e}\u{200b}\u{2066}\u{feff}"#),
    ("\u{2028}\u{ad}\u{34f}\u{3164}\u{fe0f}", #"\u{2028}\u{ad}\u{34f}\u{3164}\u{fe0f}"#),
    ("\u{e000}\u{fffe}\u{e0041}", #"\u{e000}\u{fffe}\u{e0041}"#), ("a\u{a0}b c", #"a\u{a0}b c"#),
    ("::error::x", #"\u{3a}:error\u{3a}:x"#), ("a:b", "a:b"), (":::", #"\u{3a}\u{3a}:"#),
    ("##vso[x]", #"\u{23}#vso[x]"#), ("###[error]", #"\u{23}\u{23}#[error]"#), ("#1", "#1"),
  ])
  func whatDoesNotShowIsWritten(text: String, printed: String) {
    #expect(text.printable.text.unicodeScalars.elementsEqual(printed.unicodeScalars))
  }

  /// What could be an escape is one.
  @Test func differentTextsStayDifferent() {
    let pieces = ["\\", "n", "\n", "u{a}", "\u{a}", ":", "#", "\u{3a}:", "u{3a}", "e\u{301}", "é"]
    var seen: [String: [UInt8]] = [:]
    for one in pieces {
      for two in pieces {
        for three in pieces {
          let text = Array((one + two + three).utf8)
          // Byte by byte, since Swift takes composed and decomposed letters for equal.
          let printed = (one + two + three).printable.text.utf8.map { "\($0)" }
            .joined(separator: ",")
          if let other = seen.updateValue(text, forKey: printed) { #expect(other == text) }
        }
      }
    }
    #expect(seen.count > 500)
  }

  @Test func aLongTextKeepsItsEndsAndAHashOfTheRest() throws {
    let long = String(repeating: "x", count: 10_000)
    let one = ("begin" + long + "a" + long + "end").printable.text
    let other = ("begin" + long + "b" + long + "end").printable.text
    #expect(one != other)
    for text in [one, other] {
      #expect(text.hasPrefix("begin") && text.hasSuffix("xend") && text.count < 500)
      #expect(text.contains("[19609 characters, BLAKE3 "))
    }
    let whole = String(repeating: "\n", count: 500)
    #expect(whole.printable.text == String(repeating: #"\n"#, count: 500))
  }

  @Test func onlyTheWordsOfALiteralStayAsTheyAre() {
    let name = "x\n::error::"
    let text: OutputText = "line\n\(name) \(7) \(name.printable)\n"
    #expect(text.text == "line\n" + #"x\n\u{3a}:error\u{3a}: 7 x\n\u{3a}:error\u{3a}:"# + "\n")
    let fault = Fault(
      .malformed, "is \(name)", file: name, tensor: ExactText(name), offset: 1, found: name)
    let line: OutputText = "fathom: \(fault)"
    let shown = #"x\n\u{3a}:error\u{3a}:"#
    #expect(
      line.text
        == "fathom: \(shown): tensor \"\(shown)\": is \(shown) at byte 1: found \(shown)")
  }

  @Test func printedJSONShowsEverythingAndMeansTheSame() throws {
    let names = [
      "a\u{202e}b\u{200b}", "##vso[x] ###", "\u{1b}\u{9b}\n\"\\", "\u{e0041}\u{1f600}\u{2028}",
      "e\u{301}é 模型",
    ]
    let value = JSONValue.array(names.map { .object([$0: .string($0)]) })
    let text = value.printed().text
    #expect(!text.contains("##"))
    #expect(text.contains(#"\u202e"#) && text.contains(#"\udb40\udc41"#) && text.contains("😀"))
    let hidden: Set<Unicode.Scalar> = [
      "\u{202e}", "\u{200b}", "\u{1b}", "\u{9b}", "\u{e0041}", "\u{2028}",
    ]
    #expect(text.unicodeScalars.allSatisfy { !hidden.contains($0) })
    #expect(try JSONValue(parsing: Array(text.utf8), file: "x") == value)
    // Files get the bytes that other programs would write.
    #expect(value.text().contains("\u{202e}"))
  }
}
