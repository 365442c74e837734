import Formats
import Foundation
import Platform
import Support
import Testing

/// `verify` that several runs divide among themselves.
@Suite struct VerifyPartTests {
  private let workspace: Workspace
  private let parts: String

  init() throws {
    workspace = try Workspace()
    parts = workspace.path("parts")
    try FileManager.default.createDirectory(atPath: parts, withIntermediateDirectories: true)
  }

  /// A reference, and how the candidate is made of it.
  struct Pair: CustomTestStringConvertible {
    let sample: String
    let conversion: [String]
    var options: [String] = []
    var testDescription: String { ([sample] + conversion + options).joined(separator: " ") }
  }

  static let pairs = [
    Pair(sample: "tiny-mtp2", conversion: ["--to", "gguf", "--quant", "q8_0"]),
    Pair(
      sample: "tiny-mtp2", conversion: ["--to", "gguf", "--quant", "q8_0"],
      options: ["--isolate", "--as", "llama.cpp"]),
    Pair(
      sample: "tiny-fp8", conversion: ["--to", "mlx", "--quant", "4bit"],
      options: ["--mtp", "drop", "--isolate"]),
    // Keys that an indexer chooses, and residual streams beside each other.
    Pair(
      sample: "tiny-glm52", conversion: ["--to", "hf", "--quant", "fp8"], options: ["--isolate"]),
    Pair(sample: "tiny-v5", conversion: ["--to", "hf", "--quant", "fp8"]),
  ]

  private func sample(_ name: String) -> String { Repository.samples + "/" + name }

  private func candidate(_ pair: Pair, _ name: String = "candidate") throws -> String {
    let output = workspace.path(pair.conversion.contains("gguf") ? name + ".gguf" : name)
    let run = try FathomProcess(
      ["convert", sample(pair.sample), output, "--no-manifest"] + pair.conversion)
    #expect(run.status == 0, "\(run.messages)")
    return output
  }

  private func tokens(_ name: String = "tokens.json", from first: Int = 3) throws -> String {
    let sequences = [50, 1, 40, 33, 2].enumerated().map { sequence, length in
      (0..<length).map { first + (sequence * 31 + $0 * 7) % 190 }
    }
    try workspace.write(name, Array("\(sequences)".utf8))
    return workspace.path(name)
  }

  private func command(_ pair: Pair) throws -> [String] {
    try ["verify", sample(pair.sample), candidate(pair), "--tokens", tokens()] + pair.options
  }

  /// Seven parts of five sequences: some have nothing to do.
  @Test(arguments: pairs, [1, 2, 3, 7])
  func partsMakeTheReportOfOneRun(pair: Pair, count: Int) throws {
    let command = try command(pair)
    try DividedRuns.runParts(command, count, into: parts)
    for more in [
      [], ["--format", "json"], ["--format", "markdown"],
      ["--max-kl", "0.5", "--min-top1", "0.1", "--min-router-agreement", "0.2"],
      ["--max-kl", "1e-12", "--format", "json"],
    ] {
      let whole = try FathomProcess(command + more)
      #expect(whole.status == (more.contains("1e-12") ? 1 : 0), "\(whole.messages)")
      let merged = try DividedRuns.run(
        command, more + ["--finish", "--parts", parts], status: whole.status)
      #expect(merged.output == whole.output, "\(count) parts, \(more)")
      #expect(merged.messages == whole.messages)
    }
  }

  @Test func severalCandidatesAreJoinedToo() throws {
    let command = try [
      "verify", sample("tiny-mtp2"), candidate(Self.pairs[0]),
      candidate(Pair(sample: "tiny-mtp2", conversion: ["--to", "hf", "--quant", "f16"]), "other"),
      "--tokens", tokens(), "--isolate",
    ]
    try DividedRuns.runParts(command, 2, into: parts)
    let more = ["--format", "json", "--max-layer-own-nmse", "1e-3"]
    let whole = try FathomProcess(command + more)
    let merged = try DividedRuns.run(
      command, more + ["--finish", "--parts", parts], status: whole.status)
    #expect(merged.output == whole.output)
    let document = try JSONDocument(merged.output)
    #expect(try JSONSchema(named: "fathom.verify.1").faults(in: document).isEmpty)
    // A page says when it was made and by which command; the rest of it is one run's.
    let pages = try ["--finish --parts \(parts) ", ""].map { division in
      let words = division.split(separator: " ").map(String.init)
      let page = try DividedRuns.run(command, words + ["--format", "html"]).output
      return page.split(separator: "\n").filter { !$0.contains("class=\"origin\"") }
    }
    #expect(pages[0] == pages[1])
  }

  @Test func whatIsMissingDamagedOrForeignIsNamed() throws {
    let candidate = try candidate(Self.pairs[0])
    let reference = sample("tiny-mtp2")
    let command = try ["verify", reference, candidate, "--tokens", tokens()]
    try DividedRuns.runParts(command, 3, into: parts)
    func refusal(_ command: [String], _ status: Int32 = 65) throws -> String {
      let run = try DividedRuns.run(command, ["--finish", "--parts", parts], status: status)
      #expect(run.output.isEmpty)
      return run.messages
    }
    for models in [[candidate, reference], [reference, sample("tiny-mtp2")]] {
      let message = try refusal(["verify"] + models + ["--tokens", tokens()])
      #expect(message.contains("verify-1-of-3.json: is the result of other work: expected model"))
    }
    let other = try tokens("other.json", from: 5)
    let text = try refusal(["verify", reference, candidate, "--tokens", other])
    #expect(text.contains("expected work \"126 tokens in 5 sequences"), "\(text)")
    for option in [["--mtp", "drop"], ["--isolate"], ["--as", "llama.cpp"]] {
      let message = try refusal(command + option)
      #expect(message.contains("\(option.joined(separator: " "))\", found \""), "\(message)")
    }
    // A page, and a limit on what a layer does by itself, need what --isolate measures.
    for option in [["--format", "html"], ["--max-layer-own-nmse", "1"]] {
      #expect(try refusal(command + option).contains("--isolate\", found"))
    }
    for name in ["verify-2-of-3.numbers", "verify-2-of-3.json"] {
      let file = parts + "/" + name
      let bytes = try contents(file)
      for place in [0, bytes.count / 2, bytes.count - 1] {
        var damaged = bytes
        damaged[place] ^= 1
        try Data(damaged).write(to: URL(fileURLWithPath: file))
        #expect(try refusal(command).contains(name), "byte \(place)")
      }
      try FileManager.default.removeItem(atPath: file)
      #expect(try refusal(command, 66).contains("2"))
      try Data(bytes).write(to: URL(fileURLWithPath: file))
    }
    try DividedRuns.run(command, ["--finish", "--parts", parts])
  }

  /// Numbers that no part writes, under hashes that fit: refused or reported, and nothing else.
  @Test(arguments: [-1, 1e300, 3.5, .nan, .infinity, 0x1p39])
  func strangeNumbersAreNoHarm(number: Double) throws {
    let command = try command(Self.pairs[0]) + ["--isolate"]
    try DividedRuns.runParts(command, 1, into: parts)
    let (file, numbers) = (parts + "/verify-1-of-1.json", parts + "/verify-1-of-1.numbers")
    let (sound, stored) = try (contents(file), contents(numbers))
    let json = try JSONValue(parsing: sound, file: file)
    guard case .array(let values)? = json["values"], case .array(let first)? = values.first,
      case .array(let counts)? = first.first
    else { throw Fault(.malformed, "has no counts") }
    var start = 16
    for (list, count) in counts.enumerated() {
      guard case .integer(let count) = count, case .string(let hash) = values[list + 1] else {
        continue
      }
      for place in [0, 1, count / 2, count - 1] where count > 0 {
        var changed = stored
        let offset = start + 8 * place
        withUnsafeBytes(of: number.bitPattern) {
          changed.replaceSubrange(offset..<offset + 8, with: $0)
        }
        let own = BLAKE3.hash(Array(changed[start..<start + 8 * count])).text
        let text = String(decoding: sound.dropLast(ManifestSeal.byteCount), as: UTF8.self)
        let body = Array(
          ExactText(text).replacing(ExactText(hash), with: ExactText(own)).text.utf8)
        try Data(body + Array(ManifestSeal.text(BLAKE3.hash(body)).utf8)).write(
          to: URL(fileURLWithPath: file))
        try Data(changed).write(to: URL(fileURLWithPath: numbers))
        let run = try FathomProcess(command + ["--finish", "--parts", parts])
        #expect([0, 1, 65].contains(run.status), "list \(list), \(place): \(run.messages)")
        #expect(run.status != 65 || run.messages.contains("verify-1-of-1.numbers"))
      }
      start += 8 * count
    }
  }

  @Test func aPartsFileHasItsSchema() throws {
    let command = try command(Self.pairs[0])
    try DividedRuns.runParts(command, 2, into: parts)
    let document = try JSONDocument(
      String(decoding: contents(parts + "/verify-2-of-2.json"), as: UTF8.self))
    #expect(try JSONSchema(named: "fathom.part.1").faults(in: document).isEmpty)
  }

  @Test func aKilledPartBeginsAnew() throws {
    let command = try command(Self.pairs[0])
    let whole = try DividedRuns.run(command, [])
    for call in 1...12 {
      let folder = try Workspace()
      try DividedRuns.run(command, ["--part", "1/2", "--parts", folder.path])
      let second = command + ["--part", "2/2", "--parts", folder.path]
      let broken = try FathomProcess(
        second, environment: Mishap("kill", at: call).environment(below: folder.path))
      #expect([0, 128 + SIGKILL].contains(broken.status), "\(call): \(broken.messages)")
      if try !folder.names().contains("verify-2-of-2.json") {
        let early = try DividedRuns.run(command, ["--finish", "--parts", folder.path], status: 66)
        #expect(early.messages.contains("has no result of part 2/2"))
      }
      try DividedRuns.run(second, [])
      #expect(
        try DividedRuns.run(command, ["--finish", "--parts", folder.path]).output == whole.output)
    }
  }

  @Test func whatCannotBeDividedSaysSo() throws {
    let (reference, candidate) = (sample("tiny-fp8"), sample("tiny-bf16"))
    let command = try ["verify", reference, candidate, "--tokens", tokens()]
    let baseline = workspace.path("baseline")
    try DividedRuns.run(
      ["verify", "--record", reference, "--tokens", tokens(), "-o", baseline], [])
    for division in [["--part", "1/2", "--parts", parts], ["--finish", "--parts", parts]] {
      let blame = try DividedRuns.run(command, ["--blame"] + division, status: 64)
      #expect(blame.messages.contains("--blame goes back to the states of all tokens: it does not"))
      let record = try DividedRuns.run(
        ["verify", "--record", reference, "--tokens", tokens(), "-o", workspace.path("f")],
        division, status: 64)
      #expect(record.messages.contains("--record keeps a sample of all positions at once"))
      let made = try DividedRuns.run(["verify", baseline, candidate], division, status: 64)
      #expect(made.messages.contains("it does not go with --part and --finish"))
    }
    for more in [
      ["--format", "json"], ["-o", workspace.path("o")], ["--max-kl", "1"],
      ["--report", "json=\(workspace.path("o"))"], ["--mtp-max-kl", "1"],
    ] {
      let part = try DividedRuns.run(
        command, more + ["--part", "1/2", "--parts", parts], status: 64)
      #expect(part.messages.contains("a part has no report"), "\(part.messages)")
    }
    for more in [["--part", "1/2"], ["--finish"], ["--parts", parts]] {
      try DividedRuns.run(command, more, status: 64)
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: parts).isEmpty)
  }
}
