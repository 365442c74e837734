import Foundation
import Locks
import Platform
import Support
import Testing

/// Models on a server are read as those of this machine are, and nothing else is sent or believed.
@Suite struct RemoteReadingTests {
  private static let sample = Repository.samples + "/tiny-fp8"
  private static let name = "hf://test/tiny-fp8"
  private static let token = "hf_neverToBeSeen0123456789"

  /// What a command prints of the sample, its place taken away.
  private func local(_ arguments: [String]) throws -> FathomProcess {
    try FathomProcess([arguments[0], RemoteReadingTests.sample] + arguments.dropFirst())
  }

  @Test(arguments: [
    ["inspect", "--format", "json", "--tensors"], ["validate", "--format", "json"],
    ["validate", "--deep", "--format", "json"], ["hash", "--format", "json"],
    ["inspect", "--stats", "--format", "json"],
  ])
  func reportsAreThoseOfTheFolder(arguments: [String]) throws {
    let hub = try HubDouble(RemoteReadingTests.sample)
    let here = try local(arguments)
    for place in [RemoteReadingTests.name, "test/tiny-fp8", hub.endpoint + "/test/tiny-fp8"] {
      let there = try hub.fathom([arguments[0], place] + arguments.dropFirst())
      #expect(there.status == here.status, "\(there.messages)")
      #expect(there.output == here.output)
      #expect(there.messages.contains("read from servers in"))
      #expect(
        there.messages.contains("there is no folder test/tiny-fp8 here")
          == (place == "test/tiny-fp8"))
    }
  }

  @Test func aServerThatListsNothingIsRead() throws {
    let hub = try HubDouble(RemoteReadingTests.sample)
    let here = try local(["validate", "--deep"])
    let plain = hub.endpoint + "/plain"
    #expect(try hub.fathom(["validate", plain, "--deep"]).output == here.output)
    let config = try hub.fathom(["inspect", plain + "/config.json"])
    #expect(config.status == 0, "\(config.messages)")
    #expect(config.output.contains("architecture"))
    #expect(try hub.fathom(["validate", hub.endpoint + "/nothing"]).status == 66)
  }

  @Test func convertedAndComputedBytesAreTheSame() throws {
    let hub = try HubDouble(RemoteReadingTests.sample)
    let workspace = try Workspace()
    let tokens = try workspace.write("tokens.json", "[[1, 2, 3, 4, 5, 6, 7]]".utf8)
    for (place, folder) in [
      (RemoteReadingTests.sample, "here"), (RemoteReadingTests.name, "there"),
    ] {
      try FileManager.default.createDirectory(
        atPath: workspace.path(folder), withIntermediateDirectories: true)
      for target in ["gguf", "hf", "mlx"] {
        let output = workspace.path("\(folder)/tiny-\(target)" + (target == "gguf" ? ".gguf" : ""))
        let type = target == "gguf" ? ["--quant", "bf16"] : []
        let run = try hub.fathom(
          ["convert", place, output, "--to", target, "--no-manifest"] + type)
        #expect(run.status == 0, "\(run.messages)")
      }
      let logits = workspace.path("\(folder)/logits.safetensors")
      let run = try hub.fathom(["logits", place, "--tokens", tokens, "-o", logits])
      #expect(run.status == 0, "\(run.messages)")
    }
    let difference = try FathomProcess(
      program: "/usr/bin/diff", ["-r", "here", "there"], environment: [:], folder: workspace.path)
    #expect(difference.output == "" && difference.status == 0)
    let both = [workspace.path("here/tiny-gguf.gguf"), workspace.path("there/tiny-gguf.gguf")]
    let verified = try hub.fathom(["verify", RemoteReadingTests.name, both[0], "--tokens", tokens])
    #expect(verified.status == 0, "\(verified.messages)")
    let compared = try hub.fathom([
      "diff", RemoteReadingTests.name, RemoteReadingTests.sample, "--max-abs", "0",
    ])
    #expect(compared.status == 0, "\(compared.messages)")
  }

  @Test func theTokenGoesToTheHubAlone() throws {
    let token = RemoteReadingTests.token
    let hub = try HubDouble(RemoteReadingTests.sample) { request, answer, _ in
      let isKnown = request.fields["authorization"] == "Bearer \(token)"
      return request.origin == .cdn || isKnown ? answer : HubAnswer(status: 401)
    }
    let run = try hub.fathom(["hash", RemoteReadingTests.name], token: token)
    #expect(run.status == 0, "\(run.messages)")
    let elsewhere = hub.requests.filter { $0.origin == .cdn }
    #expect(!elsewhere.isEmpty)
    #expect(elsewhere.allSatisfy { $0.fields["authorization"] == nil })
    #expect(hub.requests.contains { $0.fields["authorization"] != nil })
    // Nor is it shown, whether it is taken or not, nor what signs the other host's addresses.
    let refused = try hub.fathom(["hash", RemoteReadingTests.name], token: "x" + token)
    #expect(refused.status == 66, "\(refused.messages)")
    #expect(refused.messages.contains("the token that was sent does not open it"))
    #expect(try hub.fathom(["hash", RemoteReadingTests.name]).messages.contains("set HF_TOKEN"))
    for text in [run.messages, run.output, refused.messages, refused.output] {
      #expect(!text.contains(token))
      #expect(!text.contains("s3cret"))
    }
  }

  @Test func aTokenOfSeveralLinesIsNone() throws {
    let hub = try HubDouble(RemoteReadingTests.sample)
    let run = try hub.fathom(
      ["hash", RemoteReadingTests.name], token: "\(RemoteReadingTests.token)\nX-Other: 1")
    #expect(run.status == 64)
    #expect(!run.messages.contains(RemoteReadingTests.token))
  }

  @Test func theTokenFileIsRead() throws {
    let hub = try HubDouble(RemoteReadingTests.sample)
    let workspace = try Workspace()
    try workspace.write("token", "\(RemoteReadingTests.token)\n".utf8)
    let run = try hub.fathom(["inspect", RemoteReadingTests.name], ["HF_HOME": workspace.path])
    #expect(run.status == 0, "\(run.messages)")
    #expect(
      hub.requests.first?.fields["authorization"] == "Bearer \(RemoteReadingTests.token)")
    let without = try HubDouble(RemoteReadingTests.sample)
    _ = try without.fathom(
      ["inspect", RemoteReadingTests.name],
      ["HF_HOME": workspace.path, "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"])
    #expect(without.requests.allSatisfy { $0.fields["authorization"] == nil })
  }

  @Test func theCacheOfTheHubsProgramsIsRead() throws {
    let workspace = try Workspace()
    let model = "cache/models--test--tiny-fp8"
    try workspace.write("\(model)/refs/main", HubDouble.commit.utf8)
    let snapshot = workspace.path("\(model)/snapshots/\(HubDouble.commit)")
    let blobs = workspace.path("\(model)/blobs")
    for folder in [snapshot, blobs] {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }
    for name in try FileManager.default.contentsOfDirectory(atPath: RemoteReadingTests.sample) {
      try FileManager.default.copyItem(
        atPath: "\(RemoteReadingTests.sample)/\(name)", toPath: "\(blobs)/blob-\(name)")
      try FileManager.default.createSymbolicLink(
        atPath: "\(snapshot)/\(name)", withDestinationPath: "../../blobs/blob-\(name)")
    }
    let hub = try HubDouble(RemoteReadingTests.sample)
    let here = try local(["validate", "--deep"])
    let cache = ["HF_HUB_CACHE": workspace.path("cache")]
    let online = try hub.fathom(["validate", RemoteReadingTests.name, "--deep"], cache)
    #expect(online.output == here.output, "\(online.messages)")
    #expect(hub.requests.count == 1)
    let offline = try hub.fathom(
      ["validate", RemoteReadingTests.name, "--deep"],
      cache.merging(["HF_HUB_OFFLINE": "1"]) { $1 })
    #expect(offline.output == here.output, "\(offline.messages)")
    #expect(hub.requests.count == 1)
    let missing = try hub.fathom(
      ["validate", "hf://test/other"], cache.merging(["HF_HUB_OFFLINE": "1"]) { $1 })
    #expect(missing.status == 66)
  }

  @Test(arguments: [
    "hf://one", "hf://a/b@", "hf://a/../b", "https://user:word@host/a", "https://host/a?b=c",
    "http://example.invalid/a", "ftp://host/a", "s4://bucket/a", "hf://a/b/../c",
  ])
  func whatIsNoAddressIsRefused(argument: String) throws {
    let run = try FathomProcess("inspect", argument)
    #expect(run.status == 64, "\(run.messages)")
    #expect(!run.messages.contains("user:word"))
  }

  @Test func aSlipInAPathAsksNobody() throws {
    let hub = try HubDouble(RemoteReadingTests.sample)
    let workspace = try Workspace()
    try workspace.write("models/v3/config.json", "{}".utf8)
    let run = try FathomProcess(
      program: FathomProcess.path, ["inspect", "models/v4"],
      environment: ["HF_ENDPOINT": hub.endpoint], folder: workspace.path)
    #expect(run.status == 66)
    #expect(hub.requests.isEmpty)
  }
}
