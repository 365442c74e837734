import Foundation
import Support
import Testing

/// `fathom resume`, which looks at unfinished work and changes nothing.
@Suite struct ResumeCommandTests {
  private let hidden = ".out.fathom-part"

  private func killed(
    _ workspace: Workspace, _ model: String, _ mishap: Mishap, _ more: [String] = []
  ) throws {
    let run = try FathomProcess(
      ["convert", model, workspace.path("out"), "--to", "hf", "--flush-every", "60KB"] + more,
      environment: mishap.environment(below: workspace.path))
    #expect(run.status == 128 + SIGKILL, "\(run.messages)")
  }

  private func document(_ path: String) throws -> JSONDocument {
    let run = try FathomProcess(["resume", "--status", path, "--format", "json"])
    #expect(run.status == 0 && run.messages.isEmpty, "\(run.messages)")
    let document = try JSONDocument(run.output)
    let faults = try JSONSchema(named: "fathom.resume.1").faults(in: document)
    #expect(faults.isEmpty, "\(faults)")
    return document
  }

  @Test func itSaysWhatIsTheOnlyCopyAndHowToGoOn() throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "tiny-fp8")
    try killed(
      workspace, model, Mishap("kill", at: 2, name: "unlink", counted: model + "/model-"),
      ["--free-source", "--yes-delete-source"])
    let journal = try contents(workspace.path(hidden + "/journal"))
    for path in [workspace.path("out"), workspace.path(hidden), workspace.path(hidden) + "/"] {
      let document = try document(path)
      #expect(document.string("state") == "resumable")
      #expect(document.bool("onlyCopy") == true)
      #expect(document.bool("protected") == true)
      #expect((document.integer("safeBytes") ?? 0) > 100_000)
      let text = try FathomProcess("resume", "--status", path).output
      #expect(text.contains("  deleted   1 source file: model-0000"))
      #expect(text.contains("  only copy yes, of what was in it"))
      #expect(text.contains("do not remove the folder"))
      #expect(!text.contains("--overwrite"), "\(text)")
    }
    #expect(try contents(workspace.path(hidden + "/journal")) == journal)
    // The command that it prints is one that ends the conversion.
    let command = try FathomProcess("resume", workspace.path("out"))
    #expect(command.status == 0)
    let line = command.output.replacing(
      "&& fathom ", with: "&& '\(FathomProcess.path)' ", maxReplacements: 1)
    let shell = try FathomProcess(
      program: "/bin/sh", ["-c", line], environment: [:], folder: "/")
    #expect(shell.status == 0, "\(shell.messages)")
    #expect(try workspace.names() == ["out", "tiny-fp8"])
    #expect(try workspace.names("tiny-fp8").count { $0.hasPrefix("model-") } == 0)
  }

  /// Once a source file was deleted the work is the only copy of it, whatever has its name since.
  @Test func aFileWithTheNameOfADeletedOneIsNoCopyOfIt() throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "tiny-fp8")
    let before = Set(try workspace.names("tiny-fp8"))
    try killed(
      workspace, model, Mishap("kill", at: 2, name: "unlink", counted: model + "/model-"),
      ["--free-source", "--yes-delete-source"])
    let gone = before.subtracting(try workspace.names("tiny-fp8"))
    #expect(gone.count == 1)
    for name in gone {
      // Another revision, say, of which one weight differs.
      var bytes = try contents(Repository.samples + "/tiny-fp8/" + name)
      bytes[bytes.count - 1] ^= 1
      try workspace.write("tiny-fp8/" + name, bytes)
    }
    func expectKept() throws {
      let document = try document(workspace.path("out"))
      #expect(document.bool("onlyCopy") == true && document.bool("protected") == true)
      let work = try workspace.names(hidden)
      let again = try FathomProcess(
        "convert", model, workspace.path("out"), "--to", "hf", "--overwrite")
      #expect(again.status == 73, "\(again.messages)")
      #expect(try workspace.names(hidden) == work)
    }
    try expectKept()
    // The journal knows it alone, too.
    try FileManager.default.removeItem(atPath: workspace.path(hidden + "/beginnings"))
    try expectKept()
  }

  @Test func workThatCanBeDoneAgainMayBeGivenUp() throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "tiny-fp8")
    let journal = workspace.path(hidden + "/journal-copy")
    // A name with what a shell takes for its own.
    let odd = workspace.path("it's $(a) \u{1B}[1m model")
    try FileManager.default.moveItem(atPath: model, toPath: odd)
    try killed(workspace, odd, Mishap("kill", at: 5, name: "fdatasync", counted: journal))
    let document = try document(workspace.path("out"))
    #expect(document.bool("onlyCopy") == false)
    #expect(document.bool("protected") == false)
    let text = try FathomProcess("resume", "--status", workspace.path("out")).output
    #expect(text.contains("  only copy no\n"))
    #expect(text.contains("begin anew: the same command with --overwrite"))
    #expect(!text.contains("\u{1B}"))
    let command = try FathomProcess("resume", workspace.path("out")).output
    #expect(command.contains(#"$'"#) && command.contains(#"it\047s"#), "\(command)")
    let line = command.replacing(
      "&& fathom ", with: "&& '\(FathomProcess.path)' ", maxReplacements: 1)
    let shell = try FathomProcess(
      program: "/bin/bash", ["-c", line], environment: [:], folder: "/")
    #expect(shell.status == 0, "\(shell.messages)")
    #expect(try workspace.names("out").contains("config.json"))
  }

  @Test func whereNothingIsLeftItSaysSo() throws {
    let workspace = try Workspace()
    for path in [workspace.path("out"), workspace.path("no/folder/out"), workspace.path] {
      let run = try FathomProcess("resume", "--status", path)
      #expect(run.status == 66, "\(run.messages)")
      #expect(run.messages.contains("has no unfinished work"))
    }
    #expect(try workspace.names().isEmpty)
    #expect(try FathomProcess("resume", workspace.path, "--format", "json").status == 64)
  }

  @Test func whatIsNotKnownAnyMoreIsSaid() throws {
    let workspace = try Workspace()
    try workspace.write(hidden + "/output/model.safetensors", [1, 2, 3])
    try workspace.write(hidden + "/journal", Array("some other file\n".utf8))
    let document = try document(workspace.path("out"))
    #expect(document.string("state") == "damaged")
    #expect(document.bool("protected") == true)
    let run = try FathomProcess("resume", workspace.path("out"))
    #expect(run.status == 73)
    #expect(run.messages.contains("cannot go on"))
    #expect(try workspace.names(hidden) == ["journal", "output"])
  }

  @Test func whatAFinishedConversionLeavesIsSaid() throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "tiny-fp8")
    let arguments = ["convert", model, workspace.path("out"), "--to", "hf", "--resume"]
    #expect(try FathomProcess(arguments).status == 0)
    try workspace.write(hidden + "/note", [1, 2, 3])
    let run = try FathomProcess(arguments)
    #expect(run.status == 0, "\(run.messages)")
    #expect(
      run.messages.contains(
        "the folder of unfinished work was not removed: \(workspace.path(hidden))"))
    #expect(run.messages.contains("fathom resume --status \(workspace.path(hidden))"))
    #expect(try contents(workspace.path(hidden + "/note")) == [1, 2, 3])
    try FileManager.default.removeItem(atPath: workspace.path(hidden))
    #expect(try FathomProcess(arguments).messages.isEmpty)
  }

  @Test func aJournalThatWouldBeTooLongIsRefusedAtOnce() throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "tiny-fp8")
    let run = try FathomProcess([
      "convert", model, workspace.path("out"), "--to", "hf", "--flush-every", "1",
    ])
    #expect(run.status == 73)
    #expect(run.messages.contains("journal: would become too long: expected 67108864 bytes"))
    #expect(run.messages.contains("a larger --flush-every"))
    #expect(try workspace.names() == ["tiny-fp8"])
  }
}
