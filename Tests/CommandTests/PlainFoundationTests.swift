import Foundation
import PlainFoundation
import Support
import Testing

/// A released program writes JSON for man pages by a few lines of its own in place of Foundation's.
@Suite struct PlainFoundationTests {
  /// A JSON value that encodes as what it is.
  enum Value: Codable {
    case null
    case flag(Bool)
    case number(Int)
    case text(String)
    case list([Value])
    case members([String: Value])

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if container.decodeNil() {
        self = .null
      } else if let flag = try? container.decode(Bool.self) {
        self = .flag(flag)
      } else if let number = try? container.decode(Int.self) {
        self = .number(number)
      } else if let text = try? container.decode(String.self) {
        self = .text(text)
      } else if let list = try? container.decode([Value].self) {
        self = .list(list)
      } else {
        self = .members(try container.decode([String: Value].self))
      }
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      switch self {
      case .null: try container.encodeNil()
      case .flag(let flag): try container.encode(flag)
      case .number(let number): try container.encode(number)
      case .text(let text): try container.encode(text)
      case .list(let list): try container.encode(list)
      case .members(let members): try container.encode(members)
      }
    }
  }

  private struct Row: Encodable {
    let name: String
    let rest: Int?
    let more: [Value]
  }

  private func expectSame(_ value: some Encodable) throws {
    let (theirs, ours) = (Foundation.JSONEncoder(), PlainFoundation.JSONEncoder())
    theirs.outputFormatting = [.prettyPrinted, .sortedKeys]
    ours.outputFormatting = [.prettyPrinted, .sortedKeys]
    let expected = String(decoding: try theirs.encode(value), as: UTF8.self)
    let data = try ours.encode(value)
    #expect(String(decoding: data.bytes, as: UTF8.self) == expected)
  }

  @Test func theCommandsDeclarationsAreFoundations() throws {
    let dump = try FathomProcess("--experimental-dump-help").output
    let value = try JSONDecoder().decode(Value.self, from: Foundation.Data(dump.utf8))
    try expectSame(value)
    let encoded = try PlainFoundation.JSONEncoder().encode(value)
    #expect(String(decoding: encoded.bytes, as: UTF8.self) + "\n" == dump)
  }

  @Test func strangeTextsAndEmptyListsAreFoundations() throws {
    try expectSame(HostileText.name)
    try expectSame((0..<0x100).compactMap { Unicode.Scalar($0).map(String.init) })
    try expectSame(["b": Value.list([]), "a": .members([:]), "B": .null, "é": .flag(true)])
    try expectSame(Row(name: "x/y", rest: nil, more: [.number(-7), .list([.text("")])]))
    try expectSame([UInt8.max, 0])
  }

  @Test func aNumberThatIsNotWholeIsRefused() {
    #expect(throws: EncodingError.self) { try PlainFoundation.JSONEncoder().encode(0.5) }
  }
}
