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

  @Test func placesThatCannotBe() throws {
    let workspace = try Workspace()
    try workspace.write("file", [1])
    try FileManager.default.createSymbolicLink(
      atPath: workspace.path("dangling"), withDestinationPath: "nowhere")
    for (name, overwrite) in [
      ("file", false), ("dangling", true), ("missing/out", false), ("file/out", false),
    ] {
      let fault = #expect(throws: Fault.self, "\(name)") {
        try OutputPath(workspace.path(name), overwrite: overwrite)
      }
      #expect(fault?.kind == .cannotCreate)
    }
    #expect(throws: Fault.self) {
      try OutputPath(workspace.path("big"), overwrite: false).requireSpace(Int.max)
    }
    try OutputPath(workspace.path("small"), overwrite: false).requireSpace(1)
  }

  @Test func outputsKeepApartFromTheSource() throws {
    let workspace = try Workspace()
    try workspace.write("models/source/a", [1])
    try workspace.write("models/source-2/a", [1])
    let source = workspace.path("models/source")
    for name in ["models/source", "models/source/out", "models"] {
      let place = try OutputPath(workspace.path(name), overwrite: true)
      #expect(throws: Fault.self, "\(name)") { try place.requireApart(from: source) }
    }
    for name in ["models/source-2", "models/other"] {
      try OutputPath(workspace.path(name), overwrite: true).requireApart(from: source)
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
