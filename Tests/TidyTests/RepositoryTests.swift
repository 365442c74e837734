import Foundation
import Support
import Testing

/// What the repository may hold.
@Suite struct RepositoryTests {
  @Test func filesAreSmall() throws {
    var samples = 0
    for path in SourceTree.paths {
      let attributes = try FileManager.default.attributesOfItem(
        atPath: "\(Repository.root)/\(path)")
      let size = (attributes[.size] as? Int) ?? 0
      #expect(size <= 2_000_000, "\(path)")
      if path.hasPrefix("Samples/") { samples += size }
    }
    #expect(samples > 0)
    #expect(samples <= 16_000_000)
  }

  @Test func noPathOfAMachine() throws {
    let pattern = try Regex(
      #"(^|[^A-Za-z0-9_.])/(work|farm|root|home/[a-z]+|opt/(swift|wheels)|tmp/[a-z])/"#)
    for file in SourceTree.files(
      below: "", endings: [".swift", ".c", ".h", ".md", ".py", ".txt", ".yml", ".json"])
    {
      for (index, line) in file.lines.enumerated() {
        #expect(line.firstMatch(of: pattern) == nil, "\(file.path):\(index + 1)")
      }
    }
  }

  @Test func everySchemaNamesItself() throws {
    let schemas = SourceTree.paths.filter {
      $0.hasPrefix("Schemas/") && $0.hasSuffix(".json")
    }
    #expect(!schemas.isEmpty)
    for path in schemas {
      let text = String(decoding: try contents("\(Repository.root)/\(path)"), as: UTF8.self)
      let name = (path as NSString).lastPathComponent.replacingOccurrences(
        of: ".schema.json", with: "")
      let id = try #require(try JSONDocument(text).string("$id"))
      #expect(id.replacingOccurrences(of: "/", with: ".") == name)
    }
  }

  @Test func everyDependencyOfARoomIsInThePackage() throws {
    let package = String(
      decoding: try contents(Repository.root + "/Package.swift"), as: UTF8.self)
    for room in LayeringTests.rooms.keys { #expect(package.contains("name: \"\(room)\"")) }
    #expect(!package.contains("unsafe" + "Flags"))
  }
}
