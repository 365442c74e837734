import Foundation
import Support
import Testing

/// `imatrix` that does not come to its end in one run.
@Suite struct ImatrixResumeTests {
  private static let hidden = ".matrix.gguf.fathom-part"
  private let workspace: Workspace
  private let tokens: Workspace

  init() throws {
    workspace = try Workspace()
    tokens = try Workspace()
    try tokens.write("tokens.json", Array("\(Self.sequences(from: 3))".utf8))
  }

  /// Sequences of several lengths, of which one ends before any MTP layer; some are long enough for an
  /// indexer to choose.
  private static func sequences(from first: Int) -> [[Int]] {
    [50, 1, 20, 33, 2].enumerated().map { sequence, length in
      (0..<length).map { first + (sequence * 31 + $0 * 7) % 200 }
    }
  }

  private func arguments(_ model: String, _ more: [String] = []) -> [String] {
    [
      "imatrix", model.hasPrefix("/") ? model : "\(Repository.samples)/\(model)", "--tokens",
      tokens.path("tokens.json"), "-o", workspace.path("matrix.gguf"), "--keep-every", "1",
    ] + more
  }

  private func reference(_ model: String, _ more: [String] = []) throws -> [UInt8] {
    let run = try FathomProcess(arguments(model, ["--keep-every", "0"] + more))
    #expect(run.status == 0, "\(run.messages)")
    #expect(try workspace.names() == ["matrix.gguf"])
    defer { try? FileManager.default.removeItem(atPath: workspace.path("matrix.gguf")) }
    return try contents(workspace.path("matrix.gguf"))
  }

  private func run(
    _ arguments: [String], _ mishap: Mishap, status: Int32 = 128 + SIGKILL
  ) throws {
    let run = try FathomProcess(
      arguments, environment: mishap.environment(below: workspace.path))
    #expect(run.status == status, "\(run.status): \(run.messages)")
  }

  /// Layers that are safe, as `fathom resume --status` says.
  private func keptLayers() throws -> Int? {
    let run = try FathomProcess(
      "resume", "--status", workspace.path("matrix.gguf"), "--format", "json")
    guard run.status == 0 else { return nil }
    let document = try JSONDocument(run.output)
    #expect(try JSONSchema(named: "fathom.resume.1").faults(in: document).isEmpty)
    return document.integer("safeLayers")
  }

  /// Everything in the folder; what a killed run may leave under a name of its own counts for nothing.
  private func names() throws -> [String] {
    try workspace.names().filter { !$0.hasPrefix(".matrix.gguf.fathom-") || $0 == Self.hidden }
  }

  /// Ends by itself, by the system or without power, or meets a full disk or one that fails, at calls all
  /// over a run.
  @Test(
    arguments: [
      ("tiny-mtp2", []), ("tiny-fp8", ["--process-output"]), ("tiny-glm52", ["--mtp", "drop"]),
    ], ["kill", "powercut", "\(EIO)", "\(ENOSPC)"])
  func itEndsWithTheSameBytes(model: (sample: String, more: [String]), kind: String) throws {
    let expected = try reference(model.sample, model.more)
    let command = arguments(model.sample, model.more)
    let log = try Workspace()
    _ = try FathomProcess(
      command, environment: Mishap.watching(workspace.path, log: log.path("calls")))
    try FileManager.default.removeItem(atPath: workspace.path("matrix.gguf"))
    let calls = try contents(log.path("calls")).count { $0 == UInt8(ascii: "\n") }
    #expect(calls > 40)
    var resumed = 0
    for call in stride(from: calls % 9 + 1, through: calls, by: calls / 9) {
      let mishap = Mishap(kind, at: call, stays: kind == "\(ENOSPC)")
      let first = try FathomProcess(
        command, environment: mishap.environment(below: workspace.path))
      // Some calls may fail without harm.
      let codes: Set<Int32> = Int(kind) == nil ? [128 + SIGKILL] : [0, 73, 74]
      #expect(codes.contains(first.status), "call \(call): \(first.status): \(first.messages)")
      if first.status == 0 {
        #expect(try contents(workspace.path("matrix.gguf")) == expected, "call \(call)")
      } else {
        resumed += try keptLayers() ?? 0 > 0 ? 1 : 0
        let wasThere = try workspace.names().contains("matrix.gguf")
        let again = try FathomProcess(command + ["--resume"])
        // Of a run that was ended while it removed its work, the output is there.
        let isDone = wasThere && again.messages.contains("exists already")
        #expect(again.status == (isDone ? 73 : 0), "call \(call): \(again.messages)")
        #expect(!again.messages.contains("damaged"), "call \(call): \(again.messages)")
        #expect(try contents(workspace.path("matrix.gguf")) == expected, "call \(call)")
        #expect(try names() == ["matrix.gguf"], "call \(call)")
      }
      for name in try workspace.names() {
        try FileManager.default.removeItem(atPath: workspace.path(name))
      }
    }
    #expect(resumed >= 4)
  }

  /// A weight that is broken behind the run's back shows in no layer that it does not run again.
  @Test func layersThatAreKeptAreNotRunAgain() throws {
    let expected = try reference("tiny-fp8")
    let model = try tokens.copy(sample: "tiny-fp8")
    try run(
      arguments(model),
      Mishap("kill", at: 3, name: "fdatasync", counted: workspace.path(Self.hidden + "/journal")))
    #expect(try keptLayers() ?? 0 >= 1)
    for name in try tokens.names("tiny-fp8") where name.hasSuffix(".safetensors") {
      try breakFirstLayer(model + "/" + name)
    }
    let again = try FathomProcess(arguments(model, ["--resume"]))
    #expect(again.status == 0, "\(again.messages)")
    #expect(try contents(workspace.path("matrix.gguf")) == expected)
    // It would have shown.
    #expect(try reference(model, ["--overwrite"]) != expected)
  }

  /// Zeros all norms of layer 0 in a file, whose time stays.
  private func breakFirstLayer(_ path: String) throws {
    var status = stat()
    #expect(stat(path, &status) == 0)
    let view = try SafetensorsView(path)
    for name in view.header.keys
    where name.hasPrefix("model.layers.0.") && name.hasSuffix("norm.weight") {
      let count = try view.bytes(of: name).count
      try view.overwrite(name, with: [UInt8](repeating: 0, count: count))
    }
    let times = [status.st_atim, status.st_mtim]
    #expect(utimensat(AT_FDCWD, path, times, 0) == 0)
  }

  private func interrupted(_ more: [String] = []) throws {
    try run(
      arguments("tiny-mtp2", more),
      Mishap("interrupt", at: 5, name: "fdatasync", counted: workspace.path(Self.hidden)),
      status: 130)
    #expect(try keptLayers() ?? 0 >= 1)
  }

  @Test func unfinishedWorkIsNamedAndItsCommandEndsIt() throws {
    let expected = try reference("tiny-mtp2")
    let run = try FathomProcess(
      arguments("tiny-mtp2"),
      environment: Mishap(
        "interrupt", at: 5, name: "fdatasync", counted: workspace.path(Self.hidden)
      )
      .environment(below: workspace.path))
    #expect(run.status == 130)
    #expect(run.messages.contains("layers are kept in"), "\(run.messages)")
    #expect(run.messages.contains("the same command with --resume goes on from there"))
    let refused = try FathomProcess(arguments("tiny-mtp2"))
    #expect(refused.status == 73)
    #expect(refused.messages.contains("--resume to go on, or --overwrite to begin anew"))
    let text = try FathomProcess("resume", "--status", workspace.path("matrix.gguf")).output
    #expect(text.contains("unfinished work of an importance matrix"), "\(text)")
    #expect(text.contains(" of 5 layers") || text.contains(" of 4 layers"), "\(text)")
    let conversion = try FathomProcess(
      "convert", Repository.samples + "/tiny-mtp2", workspace.path("matrix.gguf"), "--to", "gguf",
      "--quant", "q8_0", "--resume")
    #expect(conversion.status == 73)
    #expect(conversion.messages.contains("unfinished work has another recipe"))
    let command = try FathomProcess("resume", workspace.path("matrix.gguf"))
    let line = command.output.replacing(
      "&& fathom ", with: "&& '\(FathomProcess.path)' ", maxReplacements: 1)
    let shell = try FathomProcess(
      program: "/bin/sh", ["-c", line], environment: [:], folder: "/")
    #expect(shell.status == 0, "\(shell.messages)")
    #expect(try contents(workspace.path("matrix.gguf")) == expected)
    #expect(try names() == ["matrix.gguf"])
  }

  /// Threads, memory and what is made of the sums are no part of what was begun.
  @Test func otherOptionsGoOnWithTheSameSums() throws {
    let other = try reference("tiny-mtp2", ["--output-format", "dat"])
    try interrupted(["--threads", "1"])
    let run = try FathomProcess(
      arguments("tiny-mtp2", ["--resume", "--threads", "3", "--output-format", "dat"]))
    #expect(run.status == 0, "\(run.messages)")
    #expect(try contents(workspace.path("matrix.gguf")) == other)
  }

  @Test func foreignWorkIsRefusedByName() throws {
    try interrupted()
    func kept() throws -> [[UInt8]] {
      let output = try workspace.names(Self.hidden + "/output").map { "output/\($0)" }
      return try (["journal", "journal-copy"] + output).map {
        try contents(workspace.path("\(Self.hidden)/\($0)"))
      }
    }
    let before = try kept()
    try tokens.write("other.json", Array("\(Self.sequences(from: 11))".utf8))
    let refusals = [
      (arguments("tiny-mtp2", ["--mtp", "drop"]), "another recipe"),
      (arguments("tiny-mtp2", ["--process-output"]), "another recipe"),
      (arguments("tiny-mtp2", ["--tokens", tokens.path("other.json")]), "another recipe"),
      (arguments("tiny-fp8"), "another source"),
    ]
    for (command, what) in refusals {
      let run = try FathomProcess(command + ["--resume"])
      #expect(run.status == 73, "\(run.messages)")
      #expect(run.messages.contains("unfinished work has \(what)"), "\(run.messages)")
      #expect(run.messages.contains("--overwrite without --resume"))
      #expect(try kept() == before)
    }
    let anew = try FathomProcess(arguments("tiny-fp8", ["--overwrite"]))
    #expect(anew.status == 0, "\(anew.messages)")
    #expect(try names() == ["matrix.gguf"])
  }

  /// What is damaged is noticed and run again, as far as need be.
  @Test(arguments: ["sums", "states-0", "states-1"])
  func damageIsRunAgain(name: String) throws {
    let expected = try reference("tiny-mtp2")
    for place in [0.0, 0.5, 1.0] {
      try run(
        arguments("tiny-mtp2"),
        Mishap("kill", at: 6, name: "fdatasync", counted: workspace.path(Self.hidden + "/journal")))
      let path = workspace.path("\(Self.hidden)/output/\(name)")
      var bytes = try contents(path)
      if place == 1 {
        bytes.removeLast(bytes.count / 3)
      } else {
        bytes[Int(place * Double(bytes.count))] ^= 1
      }
      try Data(bytes).write(to: URL(fileURLWithPath: path))
      let again = try FathomProcess(arguments("tiny-mtp2", ["--resume"]))
      #expect(again.status == 0, "\(again.messages)")
      #expect(try contents(workspace.path("matrix.gguf")) == expected, "\(name) \(place)")
      #expect(try names() == ["matrix.gguf"])
      try FileManager.default.removeItem(atPath: workspace.path("matrix.gguf"))
    }
  }

  /// A run that ends between giving the output its name and saying so.
  @Test func anOutputThatIsThereIsKnownByItsWork() throws {
    let expected = try reference("tiny-mtp2")
    let log = try Workspace()
    _ = try FathomProcess(
      arguments("tiny-mtp2"), environment: Mishap.watching(workspace.path, log: log.path("calls")))
    let calls = try contents(log.path("calls")).count { $0 == UInt8(ascii: "\n") }
    var found = 0
    for call in (calls - 12...calls).reversed() {
      for name in try workspace.names() {
        try FileManager.default.removeItem(atPath: workspace.path(name))
      }
      try run(arguments("tiny-mtp2"), Mishap("kill", at: call))
      guard try names() == [Self.hidden, "matrix.gguf"] else { continue }
      found += 1
      // All sums are there, or some work has been removed already.
      let isWhole = FileManager.default.fileExists(
        atPath: workspace.path("\(Self.hidden)/output/sums"))
      if isWhole {
        var other = expected
        other[other.count - 1] ^= 1
        try Data(other).write(to: URL(fileURLWithPath: workspace.path("matrix.gguf")))
        let refused = try FathomProcess(arguments("tiny-mtp2", ["--resume"]))
        #expect(refused.status == 73 && refused.messages.contains("exists already"))
        #expect(try contents(workspace.path("matrix.gguf")) == other)
        try Data(expected).write(to: URL(fileURLWithPath: workspace.path("matrix.gguf")))
      }
      let run = try FathomProcess(arguments("tiny-mtp2", ["--resume"]))
      #expect(run.status == (isWhole ? 0 : 73), "\(run.messages)")
      #expect(run.output.contains("output \(workspace.path("matrix.gguf")): ") == isWhole)
      #expect(try contents(workspace.path("matrix.gguf")) == expected)
      #expect(try names() == ["matrix.gguf"])
    }
    #expect(found > 2)
  }

  /// A part goes on when it is run again, without any option.
  @Test func aPartGoesOn() throws {
    let expected = try reference("tiny-mtp2")
    let parts = ["--parts", workspace.path("")]
    let command = arguments("tiny-mtp2") + parts
    try run(
      command + ["--part", "1/2"],
      Mishap("kill", at: 4, name: "fdatasync", counted: workspace.path(".imatrix")))
    #expect(try workspace.names() == [".imatrix-1-of-2.numbers.fathom-part"])
    for part in ["1/2", "2/2"] {
      let run = try FathomProcess(command + ["--part", part])
      #expect(run.status == 0, "\(run.messages)")
    }
    let finish = try FathomProcess(command + ["--finish"])
    #expect(finish.status == 0, "\(finish.messages)")
    #expect(try contents(workspace.path("matrix.gguf")) == expected)
    #expect(try !workspace.names().contains { $0.hasSuffix(".fathom-part") })
  }
}
