import Foundation
import Platform
import Support
import Testing

/// Outputs that appear complete or not at all.
@Suite struct OutputTests {
  @Test func aFileAppearsAsAWhole() throws {
    let workspace = try Workspace()
    let first = try AtomicFile(at: OutputPath(workspace.path("file"), overwrite: false))
    try first.file.append([1, 2])
    #expect(try !workspace.names().contains("file"))
    try first.commit()
    #expect(try contents(workspace.path("file")) == [1, 2])
    let lost = try AtomicFile(at: OutputPath(workspace.path("file"), overwrite: true))
    try lost.file.append([3])
    lost.discard()
    #expect(try contents(workspace.path("file")) == [1, 2])
    let second = try AtomicFile(at: OutputPath(workspace.path("file"), overwrite: true))
    try second.file.append([4])
    try second.commit()
    #expect(try contents(workspace.path("file")) == [4])
    #expect(try workspace.names() == ["file"])
  }

  @Test func manyWindowsOfAFileAreWritten() throws {
    let workspace = try Workspace()
    let file = try OutputFile(creating: workspace.path("long"))
    let piece = (0..<5_000_011).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    for _ in 0..<14 { try file.append(piece) }
    #expect(file.count == 14 * piece.count)
    try file.finish()
    let written = try contents(workspace.path("long"))
    #expect(written.count == file.count)
    #expect(Array(written.suffix(piece.count)) == piece)
    #expect(Array(written[piece.count..<2 * piece.count]) == piece)
  }

  /// Whether the file system shares blocks or not, both files are what they should be.
  @Test func aCloneHasTheBytesOfTheOtherFile() throws {
    let workspace = try Workspace()
    let bytes = (0..<300_001).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let path = try workspace.write("source", bytes)
    let file = try OutputFile(creating: workspace.path("clone"))
    if try !file.clone(InputFile(path: path)) {
      #expect(file.count == 0)
      try file.append(bytes)
    }
    #expect(file.count == bytes.count)
    try file.replaceBeginning([9, 9])
    try file.append([7])
    try file.finish()
    #expect(try contents(workspace.path("clone")) == [9, 9] + bytes.dropFirst(2) + [7])
    #expect(try contents(path) == bytes)
  }

  @Test func aFileThatHasGrownIsNotCloned() throws {
    let workspace = try Workspace()
    let path = try workspace.write("source", [1, 2, 3])
    let source = try InputFile(path: path)
    try workspace.write("source", [1, 2, 3, 4])
    let file = try OutputFile(creating: workspace.path("clone"))
    #expect(try !file.clone(source))
    try file.append([5])
    try file.finish()
    #expect(try contents(workspace.path("clone")) == [5])
  }

  @Test func placesThatCannotBe() throws {
    let workspace = try Workspace()
    try workspace.write("file", [1])
    for (link, target) in [("dangling", "nowhere"), ("link", "file"), ("folder-link", ".")] {
      try FileManager.default.createSymbolicLink(
        atPath: workspace.path(link), withDestinationPath: target)
    }
    for (name, overwrite) in [
      ("file", false), ("missing/out", false), ("file/out", false), ("/", true), ("", true),
      ("dangling", true), ("link", true), ("link", false), ("folder-link", true),
      ("folder-link/", true),
    ] {
      let fault = #expect(throws: Fault.self, "\(name)") {
        try OutputPath(
          ["", "/"].contains(name) ? name : workspace.path(name), overwrite: overwrite)
      }
      #expect(fault?.kind == .cannotCreate)
      let isLink = name.hasPrefix("dangling") || name.contains("link")
      #expect(fault?.message.contains("symbolic link") == isLink, "\(name)")
    }
    #expect(throws: Fault.self) {
      try OutputPath(workspace.path("big"), overwrite: false).requireSpace(Int.max)
    }
    try OutputPath(workspace.path("small"), overwrite: false).requireSpace(1)
  }

  /// The folder around a source is no place either, however its name is spelled.
  @Test(arguments: ["source", "\u{301}source", "\u{FC}"])
  func outputsKeepApartFromTheSource(name: String) throws {
    let workspace = try Workspace()
    try workspace.write("models/\(name)/a", [1])
    try workspace.write("models/source-2/a", [1])
    try workspace.write("models/u\u{308}/a", [1])
    let model = "models/\(name)"
    let anything = Replaceable("anything", refusal: "") { _ in nil }
    var inputs = InputPlaces()
    inputs.add(folder: workspace.path(model))
    try FileManager.default.linkItem(
      atPath: workspace.path(model + "/a"), toPath: workspace.path("second-name"))
    for name in [model, model + "/out", model + "/a", "models", "second-name", "models/../models"] {
      #expect(throws: Fault.self, "\(name)") {
        try OutputPath(
          workspace.path(name), overwrite: true, replacing: anything, sparing: inputs
        ).requireApart()
      }
    }
    for name in ["models/source-2", "models/other", "models/u\u{308}"] {
      try OutputPath(workspace.path(name), overwrite: true, sparing: inputs).requireApart()
    }
  }

  @Test func pathsAreBytes() {
    #expect(Folder.name(of: "data/\u{301}model").utf8.elementsEqual("\u{301}model".utf8))
    #expect(Folder.parent(of: "data/\u{301}model") == "data")
    #expect(Folder.join("data/", "\u{301}model").utf8.elementsEqual("data/\u{301}model".utf8))
    let parts: [(String, String, String)] = [
      ("a", ".", "a"), ("/a", "/", "a"), ("a/", ".", "a"), ("a//b//", "a", "b"), ("/", "/", "/"),
      ("//a", "/", "a"), ("a/b/c", "a/b", "c"), ("", ".", ""),
    ]
    for (path, parent, name) in parts {
      #expect(Folder.parent(of: path) == parent, "\(path)")
      #expect(Folder.name(of: path) == ExactText(name), "\(path)")
    }
  }

  @Test func aSourceThatIsWrittenToIsNoticed() throws {
    let workspace = try Workspace()
    let path = try workspace.write("source", [1, 2, 3])
    let file = try InputFile(path: path)
    try file.requireUnchanged()
    // Another file under the same name does not concern the one that is open.
    try FileManager.default.removeItem(atPath: path)
    try workspace.write("source", [7, 7])
    try file.requireUnchanged()
    let again = try InputFile(path: path)
    let handle = try #require(FileHandle(forWritingAtPath: path))
    try handle.write(contentsOf: Data([7]))
    try handle.close()
    #expect(throws: Fault.self) { try again.requireUnchanged() }
  }
}
