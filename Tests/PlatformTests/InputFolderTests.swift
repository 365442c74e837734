import Foundation
import Platform
import Support
import Testing

/// The door to the files of a model's folder.
@Suite struct InputFolderTests {
  private let workspace: Workspace
  private let folder: String

  init() throws {
    workspace = try Workspace()
    folder = workspace.path("model")
    try workspace.write("model/config.json", "config".utf8)
    try workspace.write("model/sub/deep.json", "deep".utf8)
    try workspace.write("secret", "key".utf8)
  }

  private func link(_ name: String, to target: String) throws {
    try FileManager.default.createSymbolicLink(
      atPath: workspace.path(name), withDestinationPath: target)
  }

  private func text(_ name: String, in path: String? = nil) throws -> String? {
    let bytes = try InputFolder(path: path ?? folder).contents(of: ExactText(name), limit: 100)
    return bytes.map { String(decoding: $0, as: UTF8.self) }
  }

  private func fault(_ name: String, in path: String? = nil) throws -> Fault {
    try #require(throws: Fault.self) { try text(name, in: path) }
  }

  @Test func linksWithinTheFolderAreFollowed() throws {
    try link("model/one", to: "config.json")
    try link("model/two", to: "one")
    try link("model/three", to: "sub/deep.json")
    try link("model/four", to: folder + "/sub/../config.json")
    try link("model/five", to: "../model/sub/deep.json")
    try link("elsewhere", to: "model")
    for path in [folder, folder + "/", workspace.path("elsewhere")] {
      #expect(try text("config.json", in: path) == "config")
      for (name, expected) in [
        ("one", "config"), ("two", "config"), ("three", "deep"), ("four", "config"),
        ("five", "deep"),
      ] {
        #expect(try text(name, in: path) == expected, "\(name)")
      }
    }
    #expect(try text("absent") == nil)
  }

  @Test(arguments: ["../secret", "chain", "up/secret", "/etc/passwd", "../model.d/config.json"])
  func linksOutOfTheFolderAreRefused(target: String) throws {
    try link("model/up", to: "..")
    try link("model/chain", to: "link")
    try workspace.write("model.d/config.json", "other".utf8)
    if target == "chain" { try link("model/link", to: "../secret") }
    try link("model/tokenizer.json", to: target)
    let fault = try fault("tokenizer.json")
    #expect(fault.kind == .malformed)
    #expect(fault.file == folder + "/tokenizer.json")
    #expect(fault.found == "a link to \(target)")
    #expect(fault.advice?.contains("--follow-links") == true)
    guard case .linkOut(to: target)? = try InputFolder(path: folder).entry("tokenizer.json") else {
      Issue.record("the entry is no link out of the folder")
      return
    }
  }

  @Test func theUserMayAllowLinksAnywhere() throws {
    try link("model/tokenizer.json", to: "../secret")
    let open = try LinkRule.$current.withValue(.anywhere) { try InputFolder(path: folder) }
    #expect(try open.contents(of: "tokenizer.json", limit: 3) == Array("key".utf8))
    try link("model/device", to: "/dev/zero")
    #expect(throws: Fault.self) { try open.find("device") }
  }

  @Test func theFileThatTheUserNamedMayBeALinkAndNoOther() throws {
    try link("model/m.gguf", to: "../secret")
    try link("model/n.gguf", to: "../secret")
    let folder = try InputFolder(around: workspace.path("model/m.gguf"))
    #expect(try folder.contents(of: "m.gguf", limit: 3) == Array("key".utf8))
    #expect(throws: Fault.self) { try folder.find("n.gguf") }
  }

  @Test func linksOfTheHuggingFaceCacheAreFollowed() throws {
    let blob = String(repeating: "a1", count: 32)
    try workspace.write("hub/models--x/blobs/\(blob)", "blob".utf8)
    try workspace.write("hub/models--x/blobs/below/\(blob)", "no blob".utf8)
    try workspace.write("hub/models--y/blobs/\(blob)", "of another".utf8)
    try workspace.write("hub/models--x/snapshots/1/sub/file", "".utf8)
    let snapshot = "hub/models--x/snapshots/1"
    try link("\(snapshot)/config.json", to: "../../blobs/\(blob)")
    try link("\(snapshot)/sub/config.json", to: "../../../blobs/\(blob)")
    try link("\(snapshot)/below", to: "../../blobs/below/\(blob)")
    try link("\(snapshot)/other", to: "../../../models--y/blobs/\(blob)")
    try link("\(snapshot)/secret", to: "../../../../secret")
    try link("given", to: snapshot)
    for path in [snapshot, "given"] {
      #expect(try text("config.json", in: workspace.path(path)) == "blob")
      for name in ["below", "other", "secret"] {
        #expect(try fault(name, in: workspace.path(path)).kind == .malformed, "\(name)")
      }
    }
    #expect(try text("config.json", in: workspace.path(snapshot + "/sub")) == "blob")
  }

  @Test func blobsThatAreALinkThemselvesAreNone() throws {
    try workspace.write("private/key", "key".utf8)
    try workspace.write("hub/snapshots/1/file", "".utf8)
    try link("hub/blobs", to: "../private")
    try link("hub/snapshots/1/config.json", to: "../../blobs/key")
    #expect(try fault("config.json", in: workspace.path("hub/snapshots/1")).kind == .malformed)
  }

  @Test func whatIsNoFileIsRefusedAtOnce() throws {
    #expect(mkfifo(workspace.path("model/pipe"), 0o600) == 0)
    try link("model/linked", to: "pipe")
    try link("model/nothing", to: "nowhere")
    try link("model/loop", to: "loop")
    for name in ["pipe", "linked", "nothing", "loop", "sub"] {
      let fault = try fault(name)
      #expect(fault.kind == .notFound, "\(name)")
      #expect(fault.file == folder + "/" + name)
    }
    #expect(try fault("nothing").message == "is a link to nothing")
  }

  @Test(arguments: [
    "", ".", "..", "../secret", "sub/deep.json", "../\u{301}secret", "config.json\0x",
    "/etc/passwd",
  ])
  func onlyPlainNamesAreLookedAt(name: String) throws {
    try workspace.write("\u{301}secret", "key".utf8)
    #expect(!Folder.isPlain(ExactText(name)))
    #expect(try fault(name).kind == .malformed)
  }

  @Test func whatIsOpenIsReadWhateverTakesItsName() throws {
    let file = try #require(try InputFolder(path: folder).find("config.json"))
    try FileManager.default.removeItem(atPath: folder + "/config.json")
    try link("model/config.json", to: "../secret")
    #expect(try file.contents(limit: 10) == Array("config".utf8))
    let again = try LinkRule.$current.withValue(.anywhere) {
      try InputFolder(path: folder).open("config.json")
    }
    #expect(again.version != file.version)
  }

  @Test func namesThatAreNotUTF8AreListedApart() throws {
    let descriptor = (folder.utf8 + Array("/x".utf8) + [0xFF, 0x0A]).map(CChar.init(bitPattern:))
    let made = open(descriptor + [0], O_CREAT | O_WRONLY, 0o600)
    try #require(made >= 0)
    close(made)
    try workspace.write("model/é", [])
    let listing = try InputFolder(path: folder).listing()
    #expect(listing.names == ["config.json", "sub", "é"])
    #expect(listing.unreadable == ["x\\xff\n"])
    let fault = try #require(throws: Fault.self) { try Folder.names(in: folder) }
    #expect(fault.description.contains("x\\\\xff\\n"))
  }

  @Test func pathsAreBytes() {
    #expect(Folder.name(of: "data/\u{301}model") == "\u{301}model")
    #expect(Folder.parent(of: "data/\u{301}model").utf8.elementsEqual("data".utf8))
    #expect(Folder.join("data/", "\u{301}model").utf8.elementsEqual("data/\u{301}model".utf8))
    for (path, parent, name) in [
      ("a", ".", "a"), ("a/", ".", "a"), ("/a", "/", "a"), ("/", "/", "/"), ("a//b//", "a", "b"),
      ("//a", "/", "a"),
    ] {
      #expect(Folder.parent(of: path) == parent, "\(path)")
      #expect(Folder.name(of: path) == ExactText(name), "\(path)")
    }
  }
}
