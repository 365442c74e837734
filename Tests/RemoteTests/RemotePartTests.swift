import Foundation
import Platform
import Support
import Testing

/// Work on a model that lies elsewhere, divided among runs that each read it there.
@Suite struct RemotePartTests {
  private static let sample = Repository.samples + "/tiny-fp8"
  private static let name = "hf://test/tiny-fp8"
  private static let gguf = ["--to", "gguf", "--quant", "q8_0"]
  private static let otherCommit = String(repeating: "facade00", count: 5)

  private let workspace: Workspace

  init() throws {
    workspace = try Workspace()
    for folder in ["local", "one", "here", "end", "1", "2", "3"] {
      try FileManager.default.createDirectory(
        atPath: workspace.path(folder), withIntermediateDirectories: true)
    }
  }

  /// A hub whose branch has gone on to another commit, which changed no file of weights.
  private func moved() throws -> HubDouble {
    let (commit, other) = (HubDouble.commit, RemotePartTests.otherCommit)
    return try HubDouble(RemotePartTests.sample) { request, answer, _ in
      var answer = answer
      guard !request.path.contains(commit) else { return answer }
      let text = String(decoding: answer.body, as: UTF8.self)
      if request.path.hasPrefix("/api") {
        answer.body = Array(text.replacingOccurrences(of: commit, with: other).utf8)
      }
      if answer.fields["X-Repo-Commit"] != nil { answer.fields["X-Repo-Commit"] = other }
      return answer
    }
  }

  @discardableResult
  private func run(
    _ hub: HubDouble, _ arguments: [String], status: Int32 = 0, _ more: [String: String] = [:]
  ) throws -> FathomProcess {
    let run = try hub.fathom(arguments, more)
    #expect(run.status == status, "\(arguments): \(run.messages)")
    return run
  }

  private func convert(_ model: String, into folder: String, _ more: [String]) -> [String] {
    ["convert", model, workspace.path(folder + "/out.gguf")] + RemotePartTests.gguf + more
  }

  private func files(_ folder: String) throws -> [String: [UInt8]] {
    try Support.files(workspace.path(folder))
  }

  /// Bytes of weights that the double has sent, beginnings of files left out, which every run reads.
  private func weightBytes(_ hub: HubDouble) -> Int {
    hub.requests.filter { $0.origin == .cdn && ($0.range?.lowerBound ?? 0) > 0 }
      .reduce(0) { $0 + ($1.range?.count ?? 0) }
  }

  @Test(arguments: [name, "plain"])
  func partsOfAConversionReadTheServer(place: String) throws {
    let hub = try HubDouble(RemotePartTests.sample)
    let model = place == "plain" ? hub.endpoint + "/plain" : place
    try run(hub, convert(model, into: "one", []))
    if place != "plain" {
      try run(hub, convert(RemotePartTests.sample, into: "local", []))
      #expect(try files("local")["out.gguf"] == files("one")["out.gguf"])
    }
    for number in [3, 1, 2] {
      try run(hub, convert(model, into: "here", ["--part", "\(number)/3"]))
    }
    try run(hub, convert(model, into: "here", ["--finish"]))
    #expect(try files("here") == files("one"))
    for number in 1...3 {
      try run(hub, convert(model, into: "\(number)", ["--part", "\(number)/3"]))
    }
    let folders = (1...3).flatMap { ["--parts", workspace.path("\($0)")] }
    try run(hub, convert(model, into: "end", ["--finish"] + folders))
    #expect(try files("end") == files("here"))
  }

  /// Each part fetches what its share is made of, and no other part's weights.
  @Test func partsFetchTheirShareAlone() throws {
    let whole = try HubDouble(RemotePartTests.sample)
    try run(whole, convert(RemotePartTests.name, into: "one", []))
    var sum = 0
    for number in 1...3 {
      let hub = try HubDouble(RemotePartTests.sample)
      try run(hub, convert(RemotePartTests.name, into: "here", ["--part", "\(number)/3"]))
      let own = weightBytes(hub)
      #expect(own < weightBytes(whole) * 3 / 5, "\(number): \(own)")
      sum += own
    }
    #expect(sum <= weightBytes(whole) * 6 / 5, "\(sum) of \(weightBytes(whole))")
  }

  /// All parts see one revision, whether it changed their weights or not.
  @Test func aPartOfAnotherRevisionIsRefused() throws {
    let (hub, moved) = (try HubDouble(RemotePartTests.sample), try moved())
    let (commit, other) = (HubDouble.commit, RemotePartTests.otherCommit)
    try run(hub, convert(RemotePartTests.name, into: "1", ["--part", "1/2"]))
    let same = try run(
      moved, convert(RemotePartTests.name, into: "1", ["--part", "2/2"]), status: 73)
    for text in [
      "unfinished work has another source", "\(RemotePartTests.name)@\(commit)",
      "\(RemotePartTests.name)@\(other)", "name one revision in all runs",
    ] {
      #expect(same.messages.contains(text), "\(same.messages)")
    }
    // A folder of its own lets it run; the end tells.
    try run(moved, convert(RemotePartTests.name, into: "2", ["--part", "2/2"]))
    let folders = [1, 2].flatMap { ["--parts", workspace.path("\($0)")] }
    for (end, number) in [(hub, 2), (moved, 1)] {
      let run = try run(
        end, convert(RemotePartTests.name, into: "end", ["--finish"] + folders), status: 73)
      #expect(run.messages.contains("part-\(number)-of-2"), "\(run.messages)")
      #expect(run.messages.contains("name one revision"), "\(run.messages)")
    }
    #expect(try files("end").isEmpty)
    // With the revision named, the branch may go where it likes.
    let pinned = RemotePartTests.name + "@" + commit
    try run(moved, convert(pinned, into: "3", ["--part", "2/2"]))
    try run(
      moved,
      convert(
        pinned, into: "end",
        ["--finish", "--parts", workspace.path("1"), "--parts", workspace.path("3")]))
    try run(hub, convert(RemotePartTests.sample, into: "one", []))
    #expect(try files("end")["out.gguf"] == files("one")["out.gguf"])
  }

  /// Machines that have the model in the cache of the hub's programs, and such that have not.
  @Test func partsThatReadACacheAreOfTheSameModel() throws {
    let hub = try HubDouble(RemotePartTests.sample)
    let model = "cache/models--test--tiny-fp8"
    try workspace.write("\(model)/refs/main", HubDouble.commit.utf8)
    for name in try FileManager.default.contentsOfDirectory(atPath: RemotePartTests.sample) {
      let bytes = try contents("\(RemotePartTests.sample)/\(name)")
      let blob = name.hasSuffix(".safetensors") ? HubDouble.hash(bytes) : "blob-\(name)"
      try workspace.write("\(model)/blobs/\(blob)", bytes)
      let snapshot = workspace.path("\(model)/snapshots/\(HubDouble.commit)")
      try FileManager.default.createDirectory(
        atPath: snapshot, withIntermediateDirectories: true)
      try FileManager.default.createSymbolicLink(
        atPath: "\(snapshot)/\(name)", withDestinationPath: "../../blobs/\(blob)")
    }
    let cache = ["HF_HUB_CACHE": workspace.path("cache")]
    let offline = cache.merging(["HF_HUB_OFFLINE": "1"]) { $1 }
    let variables: [[String: String]] = [[:], cache, offline]
    for number in 1...3 {
      let part = ["--part", "\(number)/3"]
      let own = variables[number - 1]
      try run(hub, convert(RemotePartTests.name, into: "here", part), own)
      try run(hub, ["hash", RemotePartTests.name, "--parts", workspace.path("3")] + part, own)
    }
    try run(hub, convert(RemotePartTests.name, into: "here", ["--finish"]))
    try run(hub, convert(RemotePartTests.sample, into: "one", []))
    #expect(try files("here")["out.gguf"] == files("one")["out.gguf"])
    let hashes = try run(
      hub, ["hash", RemotePartTests.name, "--finish", "--parts", workspace.path("3")], offline)
    #expect(try hashes.output == FathomProcess("hash", RemotePartTests.sample).output)
    // What is in the cache is read from there.
    let before = hub.requests.count
    try run(hub, ["hash", RemotePartTests.name], cache)
    #expect(hub.requests.count == before + 1)
  }

  /// Commands whose parts leave what they found in files.
  @Test(arguments: ["hash", "validate", "imatrix", "verify"])
  func partsOfOtherCommandsReadTheServer(command: String) throws {
    let tokens = try workspace.write("tokens.json", "[[1, 2, 3, 4, 5], [6, 7, 8, 9]]".utf8)
    let candidate = workspace.path("one/out.gguf")
    let (hub, moved) = (try HubDouble(RemotePartTests.sample), try moved())
    try run(hub, convert(RemotePartTests.sample, into: "one", []))
    let options =
      switch command {
      case "validate": ["--deep"]
      case "imatrix": ["--tokens", tokens]
      case "verify": [candidate, "--tokens", tokens]
      default: [String]()
      }
    let place = workspace.path("here")
    func divided(_ more: [String]) -> [String] {
      [command, RemotePartTests.name] + options + ["--parts", place] + more
    }
    /// What a run says or writes; `validate` says it on standard output alone.
    func result(_ arguments: [String], _ name: String) throws -> [UInt8] {
      let output = workspace.path(name)
      guard command != "validate" else { return try Array(run(hub, arguments).output.utf8) }
      try run(hub, arguments + ["-o", output])
      return try contents(output)
    }
    for number in [2, 1] { try run(hub, divided(["--part", "\(number)/2"])) }
    let whole = [command, RemotePartTests.name] + options
    #expect(try result(divided(["--finish"]), "joined") == result(whole, "whole"))
    // Another revision, though its weights are the same.
    try run(moved, divided(["--part", "2/2"]))
    let refused = try run(
      hub, divided(["--finish"] + (command == "imatrix" ? ["-o", workspace.path("x")] : [])),
      status: 65)
    #expect(refused.messages.contains("\(command)-2-of-2.json"), "\(refused.messages)")
    #expect(refused.messages.contains(RemotePartTests.otherCommit), "\(refused.messages)")
    #expect(refused.messages.contains("name one revision"), "\(refused.messages)")
    let document = try JSONDocument(
      String(decoding: contents(place + "/\(command)-2-of-2.json"), as: UTF8.self))
    #expect(try JSONSchema(named: "fathom.part.1").faults(in: document).isEmpty)
  }
}
