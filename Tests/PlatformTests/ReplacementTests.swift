import Foundation
import Platform
import Support
import Testing

/// What is replaced is what was looked at, and nothing else is removed.
@Suite struct ReplacementTests {
  let workspace: Workspace

  init() throws { workspace = try Workspace() }

  private func finish(_ name: String, _ bytes: [UInt8], in folder: WorkFolder) throws {
    let file = try folder.create(ExactText(name))
    try file.append(bytes)
    try file.finish()
  }

  /// Puts something else in the place of a name.
  private func swap(_ name: String, for bytes: [UInt8], in folder: String? = nil) throws {
    let path = workspace.path(name)
    try FileManager.default.moveItem(atPath: path, toPath: path + ".gone")
    try workspace.write(folder.map { "\(name)/\($0)" } ?? name, bytes)
  }

  @Test(arguments: ["swapped", "added", "changed"])
  func aFolderThatChangesMeanwhileStays(how: String) throws {
    try workspace.write("out/old", [9])
    let folder = try WorkFolder(
      for: OutputPath(workspace.path("out"), overwrite: true), form: .folder)
    try folder.requireFree()
    try finish("new", [1], in: folder)
    switch how {
    case "swapped": try swap("out", for: [9], in: "old")
    case "added": try workspace.write("out/thesis", [5])
    default: try workspace.write("out/old", [8, 8])
    }
    let before = try files(workspace.path("out"))
    let fault = #expect(throws: Fault.self) { try folder.commit(mark: "") }
    #expect(fault?.kind == .cannotCreate)
    #expect(fault?.message.contains("is not what stood there") == true)
    #expect(try files(workspace.path("out")) == before)
    // The work is not lost.
    #expect(try folder.read("new")?.size == 1)
  }

  @Test func aFileThatIsSwappedMeanwhileStays() throws {
    try workspace.write("file", [1])
    let file = try AtomicFile(at: OutputPath(workspace.path("file"), overwrite: true))
    try file.file.append([2])
    try swap("file", for: [3, 3])
    let fault = #expect(throws: Fault.self) { try file.commit() }
    #expect(fault?.kind == .cannotCreate)
    #expect(try contents(workspace.path("file")) == [3, 3])
    #expect(try workspace.names() == ["file", "file.gone"])
  }

  @Test(arguments: [["x-1"], ["x-1", "x-2"]])
  func filesBesideEachOtherThatAreSwappedMeanwhileStay(names: [String]) throws {
    for name in names { try workspace.write(name, [1]) }
    let folder = try WorkFolder(
      for: OutputPath(workspace.path("x"), overwrite: true),
      form: .files(names.map { ExactText($0) }))
    try folder.requireFree()
    for name in names { try finish(name, [2], in: folder) }
    try swap("x-1", for: [3, 3])
    #expect(throws: Fault.self) { try folder.commit(mark: "placing") }
    #expect(try contents(workspace.path("x-1")) == [3, 3])
    for name in names.dropFirst() { #expect(try contents(workspace.path(name)) == [1]) }
    try folder.requireFree()
    #expect(try folder.commit(mark: "placing") == nil)
    for name in names { #expect(try contents(workspace.path(name)) == [2]) }
    #expect(try workspace.names() == (names + ["x-1.gone"]).sorted())
  }

  /// What has come into being beside other files during the run is not replaced by it.
  @Test func whatComesIntoBeingMeanwhileStays() throws {
    let folder = try WorkFolder(
      for: OutputPath(workspace.path("x"), overwrite: true), form: .files(["x-1", "x-2"]))
    try folder.requireFree()
    for name in ["x-1", "x-2"] { try finish(name, [2], in: folder) }
    try workspace.write("x-2", [7])
    let fault = #expect(throws: Fault.self) { try folder.commit(mark: "placing") }
    #expect(fault?.message == "has come into being meanwhile")
    #expect(try contents(workspace.path("x-2")) == [7])
  }

  @Test func aFolderThatGoesMeanwhileNeedsNoReplacing() throws {
    try workspace.write("out/old", [9])
    let folder = try WorkFolder(
      for: OutputPath(workspace.path("out"), overwrite: true), form: .folder)
    try finish("new", [1], in: folder)
    try FileManager.default.moveItem(
      atPath: workspace.path("out"), toPath: workspace.path("elsewhere"))
    #expect(try folder.commit(mark: "") == nil)
    #expect(try workspace.names() == ["elsewhere", "out"])
    #expect(try workspace.names("elsewhere") == ["old"])
  }

  @Test func theFolderAroundItIsTheSame() throws {
    try workspace.write("around/keep", [1])
    let file = try AtomicFile(at: OutputPath(workspace.path("around/file"), overwrite: true))
    try FileManager.default.moveItem(
      atPath: workspace.path("around"), toPath: workspace.path("moved"))
    // A link to it would lead there too, and could soon lead elsewhere.
    try FileManager.default.createSymbolicLink(
      atPath: workspace.path("around"), withDestinationPath: "moved")
    let fault = #expect(throws: Fault.self) { try file.commit() }
    #expect(fault?.message.contains("is not the folder any more") == true)
    #expect(try !workspace.names("moved").contains("file"))
  }

  @Test func hiddenNamesAreNotFollowedEither() throws {
    try workspace.write("precious", [5])
    try FileManager.default.createDirectory(
      atPath: workspace.path(".out.fathom-part"), withIntermediateDirectories: true)
    try FileManager.default.linkItem(
      atPath: workspace.path("precious"), toPath: workspace.path(".out.fathom-part/journal"))
    let fault = #expect(throws: Fault.self) {
      try WorkFolder(for: OutputPath(workspace.path("out"), overwrite: false), form: .folder)
    }
    #expect(fault?.message == "has other names and is not written to")
    #expect(try contents(workspace.path("precious")) == [5])
  }

  @Test func aFileWithASecondNameIsNotContinued() throws {
    let folder = try WorkFolder(
      for: OutputPath(workspace.path("out"), overwrite: false), form: .folder)
    try finish("a", [1, 2, 3], in: folder)
    try FileManager.default.linkItem(
      atPath: workspace.path(".out.fathom-part/output/a"), toPath: workspace.path("precious"))
    let fault = #expect(throws: Fault.self) { try folder.reopen("a", after: 1) }
    #expect(fault?.kind == .cannotCreate)
    #expect(try contents(workspace.path("precious")) == [1, 2, 3])
  }

  /// Where others can put folders, only what is this user's is gone on with.
  @Test(.enabled(if: geteuid() == 0), arguments: [0o777, 0o1777, 0o770, 0o755])
  func anotherUsersFolderIsRefusedWhereOthersCanPutIt(mode: Int) throws {
    let hidden = workspace.path(".out.fathom-part")
    try FileManager.default.createDirectory(atPath: hidden, withIntermediateDirectories: true)
    try FileManager.default.setAttributes([.ownerAccountID: 12345], ofItemAtPath: hidden)
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: workspace.path)
    let place = try OutputPath(workspace.path("out"), overwrite: false)
    guard mode != 0o755 else {
      #expect(try WorkFolder(for: place, form: .folder).remove())
      return
    }
    let fault = #expect(throws: Fault.self) { try WorkFolder(for: place, form: .folder) }
    #expect(fault?.message == "belongs to another user")
    #expect(try workspace.names(".out.fathom-part").isEmpty)
  }

  @Test func whatKilledRunsLeftIsNamed() throws {
    let place = try OutputPath(workspace.path("report"), overwrite: false)
    let file = try AtomicFile(at: place)
    try workspace.write(".report.fathom-1a2b", [1])
    try workspace.write(".other.fathom-zz9", [1])
    for name in [".report.fathom-part", ".report.fathom-A", "report.fathom-1", ".x.fathom-"] {
      try workspace.write(name, [1])
    }
    // The one that is being written is nobody's leftover.
    #expect(
      place.leftovers
        == [".other.fathom-zz9", ".report.fathom-1a2b"].map {
          "\(workspace.path($0)) was left by a run that was killed: remove it"
        })
    withExtendedLifetime(file) {}
  }

  /// What a run makes has no folders in its folders: one that has came there by an exchange.
  @Test func somebodysFolderUnderAHiddenNameIsNotRemoved() throws {
    let folder = try WorkFolder(
      for: OutputPath(workspace.path("out"), overwrite: false), form: .folder)
    try workspace.write(".out.fathom-part/output/thesis/chapter", [5])
    try workspace.write(".out.fathom-part/output/thesis.tex", [5])
    #expect(!folder.remove())
    #expect(try workspace.names(".out.fathom-part/output") == ["thesis", "thesis.tex"])
  }

  /// Names of folders that are removed may be any bytes.
  @Test func namesNeedNotBeText() throws {
    let folder = try WorkFolder(
      for: OutputPath(workspace.path("out"), overwrite: false), form: .folder)
    try finish("a", [1], in: folder)
    let name = Array("\(workspace.path(".out.fathom-part"))/output/x".utf8) + [0xFF, 0]
    let descriptor = name.map { CChar(bitPattern: $0) }.withUnsafeBufferPointer {
      open($0.baseAddress!, O_CREAT | O_WRONLY, 0o600)
    }
    #expect(descriptor >= 0)
    close(descriptor)
    #expect(folder.remove())
    #expect(try workspace.names().isEmpty)
    #expect(RawName([0x78, 0xFF, 0x0A]).shown == "x\\xff\n")
    #expect(RawName("é\n").shown == "é\n")
  }
}
