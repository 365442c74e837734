import Foundation
import Support
import Testing

/// What others can call: the two libraries, whose declarations are listed, so that none comes, goes
/// or changes by chance.
@Suite struct PublicSurfaceTests {
  /// Rooms that are products.
  static let libraries: Set<String> = ["FathomFormats", "FathomCodecs"]

  /// The public declarations of a file, each in a line behind what it is declared in; cases of public
  /// enumerations are public too, and so may conformances be.
  static func declarations(_ file: SourceFile) -> [String] {
    var found: [String] = []
    // What the line at hand lies in, by the depth that the formatter gives it.
    var outer: [(depth: Int, name: String, isPublicEnum: Bool)] = []
    for (index, line) in file.lines.enumerated() {
      let code = line.drop { $0 == " " }
      let depth = line.count - code.count
      guard !code.isEmpty, !code.hasPrefix("//"), !code.hasPrefix("public import") else { continue }
      outer.removeAll { $0.depth >= depth }
      let place = ([file.room] + outer.map(\.name)).joined(separator: ".")
      let isCase =
        code.hasPrefix("case ") && !code.hasPrefix("case .") && outer.last?.isPublicEnum == true
      let isConformance = code.firstMatch(of: #/^extension [\w.]+: /#) != nil
      if code.hasPrefix("public ") || isCase || isConformance {
        found.append("\(place): \(whole(file.lines[index...]))")
      }
      let type = #/^(?:[a-z]+ )*(struct|class|enum|extension|protocol|actor) ([\w.]+)/#
      if let match = code.firstMatch(of: type) {
        let isPublic = code.hasPrefix("public ") && match.1 == "enum"
        outer.append((depth, String(match.2), isPublic))
      }
    }
    return found
  }

  /// A declaration without its body or value, in one line.
  private static func whole(_ lines: ArraySlice<Substring>) -> String {
    var text = ""
    for line in lines {
      let code = line.drop { $0 == " " }
      text += text.isEmpty || text.hasSuffix("(") || code.hasPrefix(")") ? "" : " "
      text += code
      let isOpen = text.count { $0 == "(" } > text.count { $0 == ")" }
      // A type alias ends with what it stands for.
      if !isOpen, !text.hasSuffix("=") { break }
    }
    let value = #/^(.* (?:let|var) .*?) = /#
    if let match = text.firstMatch(of: value) { text = String(match.1) }
    if let body = text.firstRange(of: #/ \{.*$/#) { text.removeSubrange(body) }
    return text
  }

  @Test func declarationsAreFound() {
    let code = """
      public import Platform
      /// Public.
      public enum Kind: String {
        case one(Int)
        public var size: Int { 1 }
        func inner() { switch self { case .one: break } }
      }
      extension Kind: Comparable {
        public static let all = [Kind.one(1)]
        public func made(
          of part: Int, by other: Int = 1
        ) throws -> Kind {
          switch self {
          case .one: self
          }
        }
      }
      enum Hidden { case one }
      """
    let lines = code.split(separator: "\n", omittingEmptySubsequences: false)
    let file = SourceFile(path: "Sources/Room/Kind.swift", lines: lines)
    let expected = [
      "Room: public enum Kind: String", "Room.Kind: case one(Int)",
      "Room.Kind: public var size: Int", "Room: extension Kind: Comparable",
      "Room.Kind: public static let all",
      "Room.Kind: public func made(of part: Int, by other: Int = 1) throws -> Kind",
    ]
    #expect(PublicSurfaceTests.declarations(file) == expected)
  }

  @Test func theLibrariesOfferWhatIsListed() throws {
    let path = Repository.root + "/Tests/TidyTests/Fixtures/public-surface.txt"
    let listed = String(decoding: try contents(path), as: UTF8.self).split(separator: "\n")
      .map(String.init)
    let found = SourceTree.sources.filter { PublicSurfaceTests.libraries.contains($0.room) }
      .flatMap(PublicSurfaceTests.declarations).sorted()
    #expect(found.count > 100)
    let differences = found.difference(from: listed).map { change in
      switch change {
      case .insert(_, let line, _): "+ \(line)"
      case .remove(_, let line, _): "- \(line)"
      }
    }
    #expect(differences == [], "\(differences.joined(separator: "\n"))")
  }

  /// Whether a line declares, imports or extends something for others.
  static func isPublic(_ line: Substring) -> Bool {
    let code = line.drop { $0 == " " }
    return code.firstMatch(of: #/^(?:@\w+(?:\([^)]*\))? |[a-z]+ )*(?:public|open) [a-z]+/#) != nil
      && !code.hasPrefix("let ") && !code.hasPrefix("var ")
  }

  @Test func whatIsPublicIsFound() {
    for line in ["  public let a = 1", "@frozen public enum A {", "  final public class A {"] {
      #expect(PublicSurfaceTests.isPublic(line[...]), "\(line)")
    }
    for line in ["package let a = 1", "/// public let a", "let open = public", "guard open >= 0"] {
      #expect(!PublicSurfaceTests.isPublic(line[...]), "\(line)")
    }
  }

  /// What is in no library is this package's alone, and free to change.
  @Test(arguments: SourceTree.sources.filter { !libraries.contains($0.room) })
  func nothingElseIsPublic(file: SourceFile) {
    for (index, line) in file.lines.enumerated() {
      #expect(!PublicSurfaceTests.isPublic(line), "\(file.path):\(index + 1): \(line)")
    }
  }
}
