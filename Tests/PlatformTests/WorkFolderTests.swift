import Foundation
import Platform
import Support
import Testing

/// Folders and files that grow in a hidden folder and appear complete or not at all.
@Suite struct WorkFolderTests {
  private func work(
    _ name: String, _ workspace: Workspace, _ form: WorkFolder.Form = .folder,
    overwrite: Bool = false
  ) throws -> WorkFolder {
    try WorkFolder(
      for: OutputPath(workspace.path(name), overwrite: overwrite), form: form)
  }

  private func finish(_ name: String, _ bytes: [UInt8], in folder: WorkFolder) throws {
    let file = try folder.create(ExactText(name))
    try file.append(bytes)
    try file.finish()
  }

  @Test func aFolderAppearsAsAWhole() throws {
    let workspace = try Workspace()
    let folder = try work("out", workspace)
    try finish("a", [1, 2, 3], in: folder)
    #expect(try workspace.names() == [".out.fathom-part"])
    try folder.flushNames()
    #expect(try folder.commit(mark: "on the way") == nil)
    #expect(try workspace.names() == ["out"])
    #expect(try workspace.names("out") == ["a"])
    #expect(try contents(workspace.path("out/a")) == [1, 2, 3])
  }

  @Test func bytesThatAreThereStayWhereTheyArePassed() throws {
    let workspace = try Workspace()
    let folder = try work("out", workspace)
    try finish("a", [1, 2, 3, 4, 5, 6], in: folder)
    let file = try folder.share("a", from: 0)
    try file.append([9])
    try file.pass(3)
    #expect(file.count == 4)
    try file.append([8])
    try file.finish()
    #expect(try folder.read("a")?.contents(limit: 6) == [9, 2, 3, 4, 8, 6])
  }

  @Test func oneThatIsLetGoOfIsFoundAgain() throws {
    let workspace = try Workspace()
    do {
      let folder = try work("out", workspace)
      try folder.journal.append(["begun"])
      let file = try folder.create("a")
      try file.append([1, 2, 3, 4])
      try file.finish()
    }
    let folder = try work("out", workspace)
    #expect(folder.journal.lines == ["begun"])
    #expect(try folder.read("b") == nil)
    #expect(try folder.read("a")?.size == 4)
    let file = try folder.reopen("a", after: 2)
    #expect(file.count == 2)
    try file.append([9])
    try file.finish()
    let fault = #expect(throws: Fault.self) { try folder.reopen("a", after: 4) }
    #expect(fault?.kind == .inputOutput)
    #expect(try folder.commit(mark: "") == nil)
    #expect(try contents(workspace.path("out/a")) == [1, 2, 9])
  }

  @Test func beginningAnewForgetsEverything() throws {
    let workspace = try Workspace()
    do {
      let first = try work("out", workspace)
      try first.begin("begun")
      try finish("a", [1], in: first)
    }
    let folder = try work("out", workspace)
    try folder.restart()
    #expect(folder.journal.lines.isEmpty)
    #expect(try folder.read("a") == nil)
    try finish("b", [2], in: folder)
    #expect(folder.remove())
    #expect(try workspace.names().isEmpty)
  }

  /// Whatever else the folder holds, nothing empties it; the run that has made it may remove it.
  @Test(arguments: ["beginnings/model-1", "replaced/config.json", "output/a", "notes.txt"])
  func whatMayBeTheOnlyCopyIsNotEmptied(file: String) throws {
    let workspace = try Workspace()
    let hidden = ".out.fathom-part"
    try workspace.write("\(hidden)/\(file)", [1, 2, 3])
    // An empty journal, one that is damaged, and one that is whole.
    for journal in ["", "00000000 begun\n", "\(CRC32C("begun").text) begun\n"] {
      try workspace.write("\(hidden)/journal", Array(journal.utf8))
      let isProtected = !journal.hasPrefix(CRC32C("begun").text) || file.utf8.first != 0x6F
      let needsNoCare = journal.hasPrefix(CRC32C("begun").text) && file == "notes.txt"
      let folder = try work("out", workspace)
      guard isProtected && !needsNoCare else {
        try folder.requireNothingToLose()
        continue
      }
      let fault = #expect(throws: Fault.self) { try folder.restart() }
      #expect(fault?.kind == .cannotCreate && fault?.message == "is not emptied")
      #expect(fault?.advice?.contains("fathom resume --status \(workspace.path(hidden))") == true)
      #expect(try contents(workspace.path("\(hidden)/\(file)")) == [1, 2, 3])
      #expect(try contents(workspace.path("\(hidden)/journal")) == Array(journal.utf8))
    }
    let folder = try work("out", workspace)
    #expect(folder.remove())
    #expect(try workspace.names().isEmpty)
  }

  /// A crash while the folder is being removed leaves nothing that would have to be kept.
  @Test func whatIsBeingRemovedIsNotNeeded() throws {
    let workspace = try Workspace()
    do {
      let folder = try work("out", workspace)
      try folder.begin("begun")
      try folder.keep(beginnings: [("model-1", { () throws(Fault) in [7] })])
      #expect(throws: Fault.self) { try folder.restart() }
      try folder.journal.append([WorkFolder.expendable])
    }
    let folder = try work("out", workspace)
    #expect(folder.isExpendable)
    try folder.restart()
    #expect(try workspace.names(".out.fathom-part").allSatisfy { $0.hasPrefix("journal") })
  }

  @Test func oneProcessAtATimeHasIt() throws {
    let workspace = try Workspace()
    let folder = try work("out", workspace)
    let fault = #expect(throws: Fault.self) { try work("out", workspace) }
    #expect(fault?.kind == .cannotCreate)
    #expect(fault?.message == "is being written by another run of fathom")
    // Another output does not concern it.
    #expect(try work("other", workspace).remove())
    #expect(folder.remove())
    #expect(try work("out", workspace).remove())
  }

  @Test func aReplacedFolderStaysUntilTheNewOneIsComplete() throws {
    let workspace = try Workspace()
    try workspace.write("out/old", [9])
    #expect(throws: Fault.self) { try OutputPath(workspace.path("out"), overwrite: false) }
    let folder = try work("out", workspace, overwrite: true)
    try folder.requireFree()
    try finish("new", [1], in: folder)
    #expect(try workspace.names("out") == ["old"])
    #expect(try folder.commit(mark: "") == nil)
    #expect(try workspace.names("out") == ["new"])
    #expect(try workspace.names() == ["out"])
  }

  @Test func aNameThatIsTakenMeanwhileIsNotReplaced() throws {
    let workspace = try Workspace()
    let folder = try work("out", workspace)
    try finish("a", [1], in: folder)
    try workspace.write("out/theirs", [7])
    let fault = #expect(throws: Fault.self) { try folder.commit(mark: "") }
    #expect(fault?.kind == .cannotCreate)
    #expect(try workspace.names("out") == ["theirs"])
    // The work is not lost: it can still be given its name.
    try FileManager.default.removeItem(atPath: workspace.path("out"))
    #expect(try folder.commit(mark: "") == nil)
    #expect(try workspace.names() == ["out"])
    #expect(try workspace.names("out") == ["a"])
  }

  @Test func linksInAReplacedFolderAreNotFollowed() throws {
    let workspace = try Workspace()
    try workspace.write("precious/data", [5])
    try workspace.write("out/old", [9])
    try FileManager.default.createSymbolicLink(
      atPath: workspace.path("out/link"), withDestinationPath: workspace.path("precious"))
    let folder = try work("out", workspace, overwrite: true)
    try finish("new", [1], in: folder)
    #expect(try folder.commit(mark: "") == nil)
    #expect(try contents(workspace.path("precious/data")) == [5])
    #expect(try workspace.names() == ["out", "precious"])
  }

  @Test func aFolderWithFoldersIsNotReplaced() throws {
    let workspace = try Workspace()
    try workspace.write("out/deep/old", [9])
    let fault = #expect(throws: Fault.self) { try work("out", workspace, overwrite: true) }
    #expect(fault?.kind == .cannotCreate && fault?.found == "deep/")
    #expect(try workspace.names() == ["out"])
  }

  @Test func filesAppearTogetherBesideEachOther() throws {
    let workspace = try Workspace()
    let folder = try work("x.gguf", workspace, .files(["x-1", "x-2"]))
    try finish("x-1", [1], in: folder)
    try finish("x-2", [2], in: folder)
    // The first file comes last: where it is in the way, the second steps back again.
    try workspace.write("x-1", [7])
    let fault = #expect(throws: Fault.self) { try folder.commit(mark: "placing") }
    #expect(fault?.kind == .cannotCreate)
    #expect(try workspace.names() == [".x.gguf.fathom-part", "x-1"])
    #expect(throws: Fault.self) { try folder.requireFree() }
    try FileManager.default.removeItem(atPath: workspace.path("x-1"))
    try folder.requireFree()
    #expect(try folder.commit(mark: "placing") == nil)
    #expect(try workspace.names() == ["x-1", "x-2"])
    #expect(try contents(workspace.path("x-1")) == [1])
  }

  @Test func filesReplaceOthersTogether() throws {
    let workspace = try Workspace()
    try workspace.write("x-1", [7])
    try workspace.write("x-2", [8])
    let folder = try work("x.gguf", workspace, .files(["x-1", "x-2", "x-3"]), overwrite: true)
    for (number, name) in ["x-1", "x-2", "x-3"].enumerated() {
      try finish(name, [UInt8(number)], in: folder)
    }
    #expect(try folder.commit(mark: "placing") == nil)
    #expect(try workspace.names() == ["x-1", "x-2", "x-3"])
    #expect(try contents(workspace.path("x-2")) == [1])
  }

  /// A manifest that is left of a file that was deleted does not stand in the way of the next one;
  /// one of files that are there does, and so does what is no manifest, and a link.
  @Test(arguments: [nil, "x-2", "other", "strange", "link"])
  func aCompanionWithoutItsFilesIsReplaced(obstacle: String?) throws {
    let workspace = try Workspace()
    try workspace.write("x.json", obstacle == "strange" ? [8] : [7])
    if obstacle == "link" {
      try FileManager.default.moveItem(
        atPath: workspace.path("x.json"), toPath: workspace.path("far.json"))
      try FileManager.default.createSymbolicLink(
        atPath: workspace.path("x.json"), withDestinationPath: "far.json")
    } else if let obstacle {
      try workspace.write(obstacle, [8])
    }
    let companion = Companion("x.json") { standing throws(Fault) in
      try standing.beginning(limit: 8) == [7] ? ["other"] : nil
    }
    let form = WorkFolder.Form.files(["x-1", "x-2", "x.json"], companion: companion)
    let folder = try work("x-1", workspace, form)
    for name in ["x-1", "x-2", "x.json"] { try finish(name, [1], in: folder) }
    guard obstacle == nil else {
      let before = try contents(workspace.path("x.json"))
      #expect(throws: Fault.self) { try folder.requireFree() }
      #expect(throws: Fault.self) { try folder.commit(mark: "placing") }
      #expect(try contents(workspace.path("x.json")) == before)
      #expect(try !workspace.names().contains("x-1"))
      return
    }
    try folder.requireFree()
    #expect(try folder.commit(mark: "placing") == nil)
    #expect(try workspace.names() == ["x-1", "x-2", "x.json"])
    #expect(try contents(workspace.path("x.json")) == [1])
  }

  @Test func whatIsNotOursIsLeftAlone() throws {
    let workspace = try Workspace()
    try workspace.write(".file.fathom-part", [1])
    try workspace.write("precious/data", [5])
    try FileManager.default.createSymbolicLink(
      atPath: workspace.path(".link.fathom-part"), withDestinationPath: "precious")
    for name in ["file", "link"] {
      let fault = #expect(throws: Fault.self) { try work(name, workspace) }
      #expect(fault?.kind == .cannotCreate)
    }
    #expect(try workspace.names("precious") == ["data"])
    try workspace.write("taken", [1])
    let folder = try work("taken", workspace, overwrite: true)
    let fault = #expect(throws: Fault.self) { try folder.requireFree() }
    #expect(fault?.message == "is a file")
    #expect(folder.remove())
  }
}
