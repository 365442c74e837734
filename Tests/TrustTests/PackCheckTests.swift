import Foundation
import Support
import Testing

/// What `unpack` does with files that `pack` has not seen.
@Suite struct PackCheckTests {
  let workspace: Workspace
  private static let sample = Repository.samples + "/tiny-bf16"

  init() throws { workspace = try Workspace() }

  private func packed() throws -> String {
    let path = workspace.path("packed")
    #expect(try FathomProcess("pack", PackCheckTests.sample, path).status == 0)
    return path
  }

  private func check(_ path: String, status: Int32 = 0) throws -> JSONDocument {
    try JSONDocument(
      printedBy: ["unpack", path, "--check"], schema: "fathom.unpack.1", status: status)
  }

  @Test(arguments: ["modeling_x.py", "chat_template.jinja", "pytorch_model.bin", "cafe\u{301}"])
  func whatWasAddedIsFoundAndNotGivenBack(name: String) throws {
    let path = try packed()
    #expect(try check(path).string("verdict") == "same")
    try workspace.write("packed/" + name, "x".utf8)
    let document = try check(path, status: 1)
    #expect(document.string("verdict") == "different")
    #expect(document.list("unexpected").compactMap { $0.root as? String } == [name])
    let run = try FathomProcess("unpack", path, "--check")
    #expect(run.output.hasPrefix("not what was packed") && run.messages.contains("was not packed"))
    let output = try FathomProcess("unpack", path, workspace.path("u"))
    #expect(output.status == 0 && output.messages.contains("is not given back"))
    #expect(try files(workspace.path("u")) == files(PackCheckTests.sample))
  }

  /// A packed file of another model is no part of this one.
  @Test func anotherPackedFileIsFound() throws {
    let path = try packed()
    try FileManager.default.copyItem(
      atPath: path + "/model.safetensors", toPath: path + "/model-2.safetensors")
    #expect(
      try check(path, status: 1).list("unexpected").compactMap { $0.root as? String }
        == ["model-2.safetensors"])
  }

  @Test func foldersAreFoundAndHiddenEntriesCounted() throws {
    let path = try packed()
    try workspace.write("packed/.gitattributes", "".utf8)
    let document = try check(path)
    #expect(document.string("verdict") == "incomplete")
    #expect(document.list("notCompared").compactMap { $0.root as? String } == [".gitattributes"])
    try workspace.write("packed/code/x.py", "".utf8)
    #expect(
      try check(path, status: 1).list("unexpected").compactMap { $0.root as? String } == ["code"])
  }

  @Test func withoutItsListLessIsCompared() throws {
    let path = try packed()
    try FileManager.default.removeItem(atPath: path + "/fathom-pack.json")
    let document = try check(path)
    #expect(document.string("verdict") == "incomplete")
    #expect(document.integer("compared") == 1 && document.integer("notComparedCount") == 6)
  }
}
