import Foundation
import Platform
import Support
import Testing

/// How often the bytes of a model on a server are fetched.
@Suite struct RemoteCountTests {
  private static let sample = Repository.samples + "/tiny-trained"
  private static let name = "hf://test/tiny-trained"

  private let workspace: Workspace

  init() throws { workspace = try Workspace() }

  /// Bytes of weights that a run has asked for, and those of them that it had asked for before.
  private func counted(_ requests: [HubRequest]) throws -> (all: Int, again: Int) {
    var seen: [String: [Bool]] = [:]
    var (all, again) = (0, 0)
    for request in requests where request.origin == .cdn {
      let name = String(request.path.split(separator: "?")[0].split(separator: "/")[1])
      let size = try contents("\(RemoteCountTests.sample)/\(name)").count
      var bytes = seen[name] ?? [Bool](repeating: false, count: size)
      for place in try #require(request.range).clamped(to: 0..<size) {
        all += 1
        if bytes[place] { again += 1 }
        bytes[place] = true
      }
      seen[name] = bytes
    }
    return (all, again)
  }

  private func run(
    _ arguments: [String], _ more: [String: String] = [:]
  ) throws -> (run: FathomProcess, all: Int, again: Int) {
    let hub = try HubDouble(RemoteCountTests.sample)
    let run = try hub.fathom(arguments, more)
    #expect(run.status == 0, "\(run.messages)")
    let count = try counted(hub.requests)
    return (run, count.all, count.again)
  }

  /// More tokens than go through an expert, or the head, at once.
  private func tokens() throws -> String {
    let rows = (0..<6).map { row in (0..<300).map { (7 * $0 + 31 * row) % 250 + 3 } }
    return try workspace.write("tokens.json", "\(rows)".utf8)
  }

  @Test(arguments: [
    ["hash", name], ["inspect", name, "--stats"], ["diff", name, sample, "--max-abs", "0"],
    ["convert", name, "out.gguf", "--to", "gguf", "--quant", "q8_0"],
    ["convert", name, "out", "--to", "hf", "--quant", "bf16"],
    ["convert", name, "out", "--to", "mlx", "--quant", "4bit"],
  ])
  func everyByteIsFetchedOnce(arguments: [String]) throws {
    let arguments = arguments.map { $0.hasPrefix("out") ? workspace.path($0) : $0 }
    let (_, all, again) = try run(arguments)
    #expect(again == 0)
    #expect(all > 3_000_000)
  }

  @Test func headersAreReadAlone() throws {
    let (run, all, again) = try run([
      "diff", RemoteCountTests.name, RemoteCountTests.sample, "--headers",
    ])
    #expect(run.output.contains("pass") && again == 0)
    #expect(all < 300_000)
  }

  /// What is read again comes from the disk, as far as it may be kept there, and changes no result.
  @Test(arguments: [["logits", name], ["verify", name, sample], ["validate", name, "--deep"]])
  func aCacheSparesWhatIsReadAgain(arguments: [String]) throws {
    let isSpoken = arguments[0] == "validate"
    let input = isSpoken ? [] : ["--tokens", try tokens()]
    let scratch = workspace.path("scratch")
    try FileManager.default.createDirectory(
      atPath: scratch, withIntermediateDirectories: true)
    var outputs: [[UInt8]] = []
    for (number, size) in ["", "100KB", "1GB"].enumerated() {
      let output = workspace.path("\(number)")
      let more = (size.isEmpty ? [] : ["--cache", size]) + (isSpoken ? [] : ["-o", output])
      let (run, all, again) = try run(arguments + input + more, ["TMPDIR": scratch])
      outputs.append(isSpoken ? Array(run.output.utf8) : try contents(output))
      #expect((again == 0) == (size == "1GB"), "\(again) of \(all) with \(size)")
      let isSaid = run.messages.contains("again from the cache")
      #expect(size == "100KB" || isSaid == (size == "1GB"), "\(run.messages)")
    }
    #expect(outputs[0] == outputs[1] && outputs[0] == outputs[2])
    #expect(try workspace.names("scratch").isEmpty)
  }

  @Test func aCacheWithoutAPlaceIsRefused() throws {
    let hub = try HubDouble(RemoteCountTests.sample)
    let run = try hub.fathom(
      ["logits", RemoteCountTests.name, "--tokens", try tokens(), "-o", workspace.path("x")]
        + ["--cache", "1GB"], ["TMPDIR": workspace.path("nowhere")])
    #expect(run.status == 73, "\(run.messages)")
    #expect(run.messages.contains("nowhere"), "\(run.messages)")
  }
}
