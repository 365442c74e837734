import Foundation
import Platform
import Support
import Testing

/// `fathom fetch`: files that are whole, or none under their names.
@Suite struct FetchTests {
  private static let sample = Repository.samples + "/tiny-fp8"
  private static let name = "hf://test/tiny-fp8"
  /// The last file of its weights.
  private static let last = "model-00003-of-00003.safetensors"

  private func expectSame(_ folder: String) throws {
    let difference = try FathomProcess(
      program: "/usr/bin/diff",
      ["-r", "-x", "expected.safetensors", FetchTests.sample, folder], environment: [:],
      folder: "/")
    #expect(difference.status == 0, "\(difference.output)")
  }

  @Test func filesAreThoseOfTheServer() throws {
    let workspace = try Workspace()
    let source = try workspace.copy(sample: "tiny-fp8")
    // What no model is made of stays where it is.
    try workspace.write("tiny-fp8/pytorch_model.bin", [1, 2, 3])
    try workspace.write("tiny-fp8/picture.png", [1, 2, 3])
    let hub = try HubDouble(source)
    let folder = workspace.path("new")
    let run = try hub.fathom(["fetch", FetchTests.name, folder, "--format", "json"])
    #expect(run.status == 0, "\(run.messages)")
    try expectSame(folder)
    let document = try JSONDocument(run.output)
    #expect(try JSONSchema(named: "fathom.fetch.1").faults(in: document).isEmpty)
    #expect(document.string("source") == "hf://test/tiny-fp8@\(HubDouble.commit)")
    let again = try hub.fathom(["fetch", FetchTests.name, folder])
    #expect(again.status == 0 && again.output.contains("0 fetched"), "\(again.output)")
  }

  @Test func whatIsThereStaysUnlessItMayGo() throws {
    let workspace = try Workspace()
    let hub = try HubDouble(FetchTests.sample)
    try workspace.write("new/config.json", "{}".utf8)
    let folder = workspace.path("new")
    let refused = try hub.fathom(["fetch", FetchTests.name, folder])
    #expect(refused.status == 73, "\(refused.messages)")
    #expect(try contents(folder + "/config.json") == Array("{}".utf8))
    let allowed = try hub.fathom(["fetch", FetchTests.name, folder, "--overwrite"])
    #expect(allowed.status == 0, "\(allowed.messages)")
    try expectSame(folder)
  }

  @Test(arguments: [
    ["--quiet"], ["--verbose"], ["--color", "never"], ["--progress", "never"], ["--threads", "1"],
    ["--follow-links"],
  ])
  func flagsOfAllCommandsAreTaken(flags: [String]) throws {
    let (workspace, hub) = (try Workspace(), try HubDouble(FetchTests.sample))
    let folder = workspace.path("new")
    let run = try hub.fathom(["fetch", FetchTests.name, folder] + flags)
    #expect(run.status == 0, "\(run.messages)")
    try expectSame(folder)
    #expect(run.messages.isEmpty == (flags == ["--quiet"]))
    #expect(run.messages.contains("started: fathom ") == (flags == ["--verbose"]))
  }

  @Test func itGoesOnWhereItWas() throws {
    let workspace = try Workspace()
    let folder = workspace.path("new")
    let bytes = try contents("\(FetchTests.sample)/\(FetchTests.last)")
    let size = bytes.count
    // A server that gives up in the middle of the weights.
    let failing = try HubDouble(FetchTests.sample) { request, answer, _ in
      guard request.origin == .cdn, let range = request.range, range.upperBound == size else {
        return answer
      }
      return HubAnswer(status: 404)
    }
    #expect(try failing.fathom(["fetch", FetchTests.name, folder]).status != 0)
    #expect(!FileManager.default.fileExists(atPath: folder + "/" + FetchTests.last))
    // The beginning of the file, as a run that was killed leaves it.
    let hub = try HubDouble(FetchTests.sample)
    let whole = try hub.fathom(["fetch", FetchTests.name, workspace.path("other")])
    #expect(whole.status == 0, "\(whole.messages)")
    let parts = try FileManager.default.contentsOfDirectory(atPath: folder + "/.fathom-fetch")
      .filter { $0 != "lock" }
    #expect(parts.count == 1, "\(parts)")
    if let part = parts.first {
      try Data(bytes.prefix(size / 2)).write(
        to: URL(fileURLWithPath: "\(folder)/.fathom-fetch/\(part)"))
    }
    let rest = try hub.fathom(["fetch", FetchTests.name, folder, "--format", "json"])
    #expect(rest.status == 0, "\(rest.messages)")
    #expect(rest.output.contains("\"continued\""), "\(rest.output)")
    try expectSame(folder)
  }

  @Test func bytesThatAreOthersAreThrownAway() throws {
    let workspace = try Workspace()
    let hub = try HubDouble(FetchTests.sample) { request, answer, _ in
      var answer = answer
      // Behind the header, which is checked before.
      guard request.origin == .cdn, let range = request.range, range.upperBound > 100_000,
        answer.body.count > 1000
      else { return answer }
      answer.body[answer.body.count - 1] ^= 1
      return answer
    }
    let folder = workspace.path("new")
    let run = try hub.fathom(["fetch", FetchTests.name, folder])
    #expect(run.status == 65, "\(run.messages)")
    #expect(run.messages.contains("is not what its server says"))
    #expect(!FileManager.default.fileExists(atPath: folder + "/model-00001-of-00003.safetensors"))
    #expect(try workspace.names("new/.fathom-fetch") == ["lock"])
  }

  @Test func whatLiesHereIsNotFetched() throws {
    let workspace = try Workspace()
    let run = try FathomProcess("fetch", FetchTests.sample, workspace.path("new"))
    #expect(run.status == 64, "\(run.messages)")
  }
}
