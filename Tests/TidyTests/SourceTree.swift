import Foundation
import Support
import Testing

/// A source file of the repository.
struct SourceFile: Sendable, CustomTestStringConvertible {
  /// Path below the repository's root.
  let path: String
  /// Its lines.
  let lines: [Substring]

  /// Its path alone: a failing test needs no more.
  var testDescription: String { path }

  /// The room that it lies in: the first folder below `Sources`.
  var room: String { path.split(separator: "/").dropFirst().first.map(String.init) ?? "" }
}

/// The files that git tracks or would track; without git, as in an archive, all but hidden folders.
enum SourceTree {
  /// Paths below the root.
  static let paths: [String] = {
    let names = tracked.isEmpty ? walked : tracked
    return names.filter { FileManager.default.fileExists(atPath: "\(Repository.root)/\($0)") }
  }()

  static let walked: [String] = {
    let all = FileManager.default.enumerator(atPath: Repository.root)
    var paths: [String] = []
    while let path = all?.nextObject() as? String {
      let isFolder = all?.fileAttributes?[.type] as? FileAttributeType == .typeDirectory
      let name = path.split(separator: "/").last ?? ""
      if isFolder, name.hasPrefix("."), name != ".ci" { all?.skipDescendants() }
      if !isFolder, !name.hasPrefix(".") || name == ".gitignore" { paths.append(path) }
    }
    return paths
  }()

  private static let tracked: [String] = {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [
      "git", "-C", Repository.root, "ls-files", "--cached", "--others", "--exclude-standard",
    ]
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return [] }
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { return [] }
    return String(decoding: data, as: UTF8.self).split(separator: "\n").map(String.init)
  }()

  /// Files below a folder with one of these endings.
  static func files(below folder: String, endings: [String]) -> [SourceFile] {
    paths.filter { path in
      path.hasPrefix(folder) && endings.contains { path.hasSuffix($0) }
    }.compactMap { path in
      guard let bytes = try? contents("\(Repository.root)/\(path)") else { return nil }
      let text = String(decoding: bytes, as: UTF8.self)
      return SourceFile(
        path: path, lines: text.split(separator: "\n", omittingEmptySubsequences: false))
    }
  }

  /// The Swift files of the product.
  static let sources = files(below: "Sources/", endings: [".swift"])
}
