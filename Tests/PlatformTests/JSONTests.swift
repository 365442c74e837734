import Platform
import Testing

@Suite struct JSONTests {
  private func parse(_ text: String) throws(Fault) -> JSONValue {
    try JSONValue(parsing: Array(text.utf8), file: "x.json")
  }

  @Test func valuesAreWhatTheTextSays() throws {
    let value = try parse(
      #"{"b": [1, -2.50, 1e-06, true, null, "é\n\u00e9\ud83d\ude00\u0000"], "a": {}, "c": 18446744073709551615}"#
    )
    #expect(
      value
        == .object([
          "b": .array([
            .integer(1), .number(-2.5, text: "-2.50"), .number(1e-6, text: "1e-06"), .bool(true),
            .null, .string("é\né😀\u{0}"),
          ]),
          "a": .object([:]),
          "c": .number(0x1p64, text: "18446744073709551615"),
        ]))
  }

  @Test func rewritingChangesNoDigitAndNoOrder() throws {
    let text = #"{"z":1e-06,"a":[2.50,-0.0,10000],"é":"\"\\\n\u0001\u007f/"}"#
    #expect(try parse(text).text(indent: nil) == text)
    #expect(try parse(parse(text).text(indent: 2)) == parse(text))
  }

  @Test func keysKeepTheirOrderWhenChanged() throws {
    guard case .object(var object) = try parse(#"{"a":1,"b":2,"c":3}"#) else {
      Issue.record("no object")
      return
    }
    object["b"] = .integer(5)
    object["a"] = nil
    object["d"] = .null
    #expect(JSONValue.object(object).text(indent: nil) == #"{"b":5,"c":3,"d":null}"#)
  }

  @Test(arguments: [
    ("{\"a\": NaN}", 6), ("{'a': 1}", 1), ("[1.]", 3), ("[1e400]", 1), ("[1] x", 4), ("[1,]", 3),
    ("{\"a\":1,\"b\":{},\"a\":2}", 14), ("{\"x\":{\"a\":1,\"\\u0061\":2}}", 12), ("[01]", 2),
    ("[\"\u{1}\"]", 2), ("[\"\\ud800x\"]", 8), ("[\"\\udc00\"]", 8), ("", 0), ("[", 1),
    ("[123456789012345678901234567890]", 1), ("[-9223372036854775809]", 1), ("[\"\\x\"]", 3),
    ("[nul]", 4), ("{\"a\" 1}", 5), ("[1 2]", 3), ("\u{FEFF}[]", 0), ("[-]", 2), ("[\"a]", 4),
  ])
  func whatIsNoJSONIsRefusedAtItsOffset(text: String, offset: UInt64) {
    do {
      let value = try parse(text)
      Issue.record("\(text) gave \(value)")
    } catch {
      #expect(error.kind == .malformed)
      #expect(error.file == "x.json")
      #expect(error.offset == offset, "\(text): \(error)")
    }
  }

  private static let pythons: [(String, JSONValue)] = [
    ("\u{FEFF}{\"a\":1}", JSONValue.object(["a": .integer(1)])),
    ("[NaN,1]", .array([.number(.nan, text: "NaN"), .integer(1)])),
    ("[Infinity]", .array([.number(.infinity, text: "Infinity")])),
    ("[-Infinity]", .array([.number(-.infinity, text: "-Infinity")])),
    (
      "[1000000000000000019884624838656]",
      .array([.number(1e30, text: "1000000000000000019884624838656e0")])
    ),
  ]

  /// What Python writes is read where it was asked for, and nowhere else.
  @Test(arguments: pythons)
  func pythonsJSONIsRead(text: String, value: JSONValue) throws {
    let found = try JSONValue(parsing: Array(text.utf8), file: "x", dialect: .python)
    #expect("\(found)" == "\(value)")
    #expect(throws: Fault.self) { try parse(text) }
  }

  @Test(arguments: ["[nan]", "[+Infinity]", "[Inf]", "[-NaN]", "[NaNx]", "[--Infinity]"])
  func whatPythonDoesNotReadIsRefused(text: String) {
    #expect(throws: Fault.self) {
      try JSONValue(parsing: Array(text.utf8), file: "x", dialect: .python)
    }
  }

  /// The key is named, at its second place.
  @Test(arguments: [
    (#"{"a":1,"b":{},"a":2}"#, "a", 14), (#"{"x":{"a":1,"\u0061":2}}"#, "a", 12),
    (#"[{"a":1},{"a":1, "é":2,"é":3}]"#, "é", 24),
  ])
  func aKeyThatStandsTwiceIsNamed(text: String, key: String, offset: UInt64) {
    let fault = #expect(throws: Fault.self) { try parse(text) }
    #expect(fault?.message == "has the key \"\(key)\" twice in one object")
    #expect(fault?.offset == offset)
  }

  @Test func invalidUTF8IsRefused() {
    let sequences: [[UInt8]] = [
      [0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82],
    ]
    for sequence in sequences {
      for filler in [0, 7, 8, 9] {
        let text = Array("[\"".utf8) + [UInt8](repeating: 0x61, count: filler)
        #expect {
          try JSONValue(parsing: text + sequence + Array("\"]".utf8), file: "x")
        } throws: { error in
          (error as? Fault)?.offset == UInt64(text.count)
        }
      }
    }
  }

  /// As many as a config may have are read, a few more are refused.
  @Test(arguments: [
    ("0", 199_990), ("[]", 19_990), ("{}", 19_990),
    ("{\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0}", 19_990),
  ])
  func countsAreBounded(value: String, count: Int) throws {
    func read(_ count: Int, _ limits: JSONLimits) throws {
      let values = String(repeating: value + ",", count: count - 1) + value
      _ = try JSONValue(parsing: Array("[\(values)]".utf8), file: "x", limits: limits)
    }
    try read(count, .document)
    let fault = #expect(throws: Fault.self) { try read(count + 20, .document) }
    #expect(fault?.message == "has more values than may be read")
    try read(count + 20, .tokenizer)
  }

  @Test func depthIsBounded() throws {
    let deepest = JSONValue.depthLimit
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    _ = try parse(nested(deepest))
    #expect(throws: Fault.self) { try parse(nested(deepest + 2)) }
  }
}
