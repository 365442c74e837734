import Foundation
import Support
import Testing

/// Each change that `scripts/mutate` tries still has its place in the code, and tests that exist.
@Suite struct MutantTests {
  private let rows: [JSONDocument]

  init() throws {
    let table = try contents(Repository.root + "/Tests/mutants.json")
    let text = String(decoding: table, as: UTF8.self)
    rows = try JSONDocument("{\"rows\": \(text)}").list("rows")
  }

  @Test func thereAreMutants() throws {
    #expect(rows.count >= 30)
    let names = try rows.map { try #require($0.string("name")) }
    #expect(Set(names).count == names.count)
  }

  @Test func everyMutantHasItsPlace() throws {
    for row in rows {
      let name = try #require(row.string("name"))
      let (file, text) = (try #require(row.string("file")), try #require(row.string("text")))
      let original = try #require(row.string("original"))
      let paths = SourceTree.sources.filter { $0.path.hasSuffix("/\(file)") }
      #expect(paths.count == 1, "\(name): \(file)")
      let code = paths.first?.lines.joined(separator: "\n") ?? ""
      #expect(code.components(separatedBy: text).count == 2, "\(name): \(text)")
      #expect(text.components(separatedBy: original).count == 2, "\(name): \(original)")
      #expect(row.string("breaks")?.isEmpty == false, "\(name)")
    }
  }

  @Test func everyMutantHasItsTests() throws {
    let tests = StyleTests.swift.filter { $0.path.hasPrefix("Tests/") }
    for row in rows {
      let wanted = row.root as? [String: Any]
      let names = try #require(wanted?["tests"] as? [String])
      #expect(!names.isEmpty)
      for name in names {
        let parts = name.split(separator: "/")
        let suites = tests.filter { file in
          file.lines.contains { $0.contains("struct \(parts[0]) ") }
        }
        #expect(!suites.isEmpty, "\(name)")
        guard parts.count == 2 else { continue }
        #expect(
          suites.contains { file in file.lines.contains { $0.contains("func \(parts[1])(") } },
          "\(name)")
      }
    }
  }
}
