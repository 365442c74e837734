import Foundation
import Platform
import Support
import Testing

/// Journals that are damaged, forged or gone, beside work that may be the only copy of something.
@Suite struct JournalDamageTests {
  private static let files = ["journal", "journal-copy"]

  /// A conversion that was killed in the middle, after it had deleted a shard of its source or, where
  /// it deletes none, after it had noted some of its work.
  private struct Killed {
    let workspace: Workspace
    let model: String
    let options: [String]
    let frees: Bool

    var work: String { ".out.fathom-part" }
    var arguments: [String] { ["convert", model, workspace.path("out")] + options }

    init(frees: Bool) throws {
      self.frees = frees
      workspace = try Workspace()
      model = try workspace.copy(sample: "tiny-fp8")
      options =
        ["--to", "hf", "--max-shard-size", "400KB", "--flush-every", "60KB", "--threads", "1"]
        + (frees ? ["--free-source", "--yes-delete-source"] : [])
      let mishap =
        frees
        ? Mishap("kill", at: 2, name: "unlink", counted: model + "/model-")
        : Mishap(
          "kill", at: 5, name: "fdatasync", counted: workspace.path(work + "/journal-copy"))
      let run = try FathomProcess(
        arguments, environment: mishap.environment(below: workspace.path))
      #expect(run.status == 128 + SIGKILL, "\(run.messages)")
      let left = try FileManager.default.contentsOfDirectory(atPath: model)
      #expect(left.count { $0.hasPrefix("model-") } == (frees ? 2 : 3))
    }

    /// The bytes of every file below the workspace.
    func state() throws -> [String: [UInt8]] {
      var files: [String: [UInt8]] = [:]
      for name in try FileManager.default.subpathsOfDirectory(atPath: workspace.path) {
        let type = try FileManager.default.attributesOfItem(atPath: workspace.path(name))[.type]
        if type as? FileAttributeType == .typeRegular {
          files[name] = try contents(workspace.path(name))
        }
      }
      return files
    }

    func journal(_ name: String) throws -> [UInt8] {
      try contents(workspace.path("\(work)/\(name)"))
    }

    func write(_ name: String, _ bytes: some Sequence<UInt8>) throws {
      try workspace.write("\(work)/\(name)", bytes)
    }

    /// Every command that writes an output of this name; none may touch the work.
    func expectRefusals(_ label: String, of commands: [[String]]? = nil) throws {
      let before = try state()
      let other = Repository.samples + "/tiny-bf16"
      let all = [
        arguments, arguments + ["--overwrite"],
        ["convert", other, workspace.path("out"), "--to", "hf", "--overwrite"],
        ["convert", other, workspace.path("out"), "--to", "hf", "--resume"],
        ["pack", other, workspace.path("out")],
        ["pack", other, workspace.path("out"), "--overwrite"],
      ]
      for command in commands ?? all {
        let run = try FathomProcess(command)
        #expect(run.status == 73, "\(label): \(command): \(run.messages)")
        #expect(run.messages.contains("fathom resume --status"), "\(label): \(run.messages)")
        // To lock it, a journal that is gone comes back as an empty one.
        var after = try state()
        if before["\(work)/journal"] == nil { after["\(work)/journal"] = nil }
        #expect(after == before, "\(label): \(command)")
      }
    }

    func expectResumes(_ label: String, to expected: [String: [UInt8]]) throws {
      let run = try FathomProcess(arguments + ["--resume", "--format", "json"])
      guard run.status == 0 else {
        Issue.record("\(label): \(run.status): \(run.messages)")
        return
      }
      let result = try JSONDocument(run.output)
      #expect(result.bool("resumed") == true, "\(label)")
      #expect((result.integer("bytesKept") ?? 0) > 100_000, "\(label)")
      #expect(try Support.files(workspace.path("out")) == expected, "\(label)")
      #expect(try workspace.names() == ["out", "tiny-fp8"], "\(label)")
    }

    /// A copy of it in another folder cannot go on, since the source's times are others: it is put
    /// back as it was.
    func restore(_ saved: String) throws {
      let files = FileManager.default
      for name in try workspace.names() {
        try files.removeItem(atPath: workspace.path(name))
      }
      let copy = Process()
      copy.executableURL = URL(fileURLWithPath: "/bin/cp")
      copy.arguments = ["-a", saved + "/.", workspace.path]
      try copy.run()
      copy.waitUntilExit()
      #expect(copy.terminationStatus == 0)
    }

    func save() throws -> Workspace {
      let saved = try Workspace()
      let copy = Process()
      copy.executableURL = URL(fileURLWithPath: "/bin/cp")
      copy.arguments = ["-a", workspace.path + "/.", saved.path]
      try copy.run()
      copy.waitUntilExit()
      return saved
    }
  }

  private func reference() throws -> [String: [UInt8]] {
    let workspace = try Workspace()
    let model = Repository.samples + "/tiny-fp8"
    let run = try FathomProcess(
      "convert", model, workspace.path("out"), "--to", "hf", "--max-shard-size", "400KB")
    #expect(run.status == 0)
    return try Support.files(workspace.path("out"))
  }

  /// `scripts/torture` damages every byte.
  @Test(arguments: [true, false])
  func damageToOneOfTheTwoCostsNothing(frees: Bool) throws {
    let expected = try reference()
    let killed = try Killed(frees: frees)
    let saved = try killed.save()
    for name in Self.files {
      let whole = try killed.journal(name)
      let ends = whole.indices.filter { whole[$0] == UInt8(ascii: "\n") }
      #expect(ends.count > 4, "\(name)")
      let places = [0, 8, 40, ends[0], ends[1] - 1, ends[2], whole.count - 1]
      var variants = places.map { place in
        var bytes = whole
        bytes[place] ^= 0x20
        return ("\(name) damaged at \(place)", Optional(bytes))
      }
      variants += [0, 5, ends[0], ends[0] + 1, ends[2] + 7].map {
        ("\(name) cut at \($0)", Optional(Array(whole[..<$0])))
      }
      variants.append(("\(name) gone", nil))
      for (label, bytes) in variants {
        if let bytes {
          try killed.write(name, bytes)
        } else {
          try FileManager.default.removeItem(
            atPath: killed.workspace.path("\(killed.work)/\(name)"))
        }
        if frees {
          let pack = ["pack", Repository.samples + "/tiny-bf16", killed.workspace.path("out")]
          try killed.expectRefusals(
            label, of: [killed.arguments, killed.arguments + ["--overwrite"], pack])
        } else {
          try killed.expectRefusals(label, of: [killed.arguments])
        }
        try killed.expectResumes(label, to: expected)
        try killed.restore(saved.path)
      }
    }
  }

  @Test(arguments: [true, false])
  func whatCannotBeReadInEitherIsLeftAsItIs(frees: Bool) throws {
    let killed = try Killed(frees: frees)
    let whole = try killed.journal(Self.files[0])
    let head = try #require(whole.firstIndex(of: UInt8(ascii: "\n")))
    var damaged = whole
    damaged[40] ^= 0x20
    for (label, bytes) in [
      ("both are empty", []), ("both heads are damaged", damaged),
      ("both are cut in the head", Array(whole[..<(head / 2)])),
    ] {
      for name in Self.files { try killed.write(name, bytes) }
      try killed.expectRefusals(label)
      try killed.expectRefusals(label, of: [killed.arguments + ["--resume"]])
      let run = try FathomProcess(["resume", "--status", killed.workspace.path("out")])
      #expect(run.status == 0 && run.messages.isEmpty, "\(label)")
      #expect(run.output.contains("it is not known what was begun"), "\(run.output)")
    }
  }

  /// What follows the head is lost in both: of what was made from a deleted shard nothing can be
  /// proved, so that nothing is touched; without that the work is done again.
  @Test(arguments: [true, false])
  func aHeadAloneTouchesNothingThatIsGone(frees: Bool) throws {
    let killed = try Killed(frees: frees)
    let whole = try killed.journal(Self.files[0])
    let head = try #require(whole.firstIndex(of: UInt8(ascii: "\n")))
    for name in Self.files { try killed.write(name, whole[...head]) }
    guard frees else {
      let run = try FathomProcess(killed.arguments + ["--resume"])
      #expect(run.status == 0, "\(run.messages)")
      #expect(try Support.files(killed.workspace.path("out")) == reference())
      return
    }
    try killed.expectRefusals("a head alone")
    let before = try killed.state()
    let run = try FathomProcess(killed.arguments + ["--resume"])
    #expect(run.status == 74, "\(run.messages)")
    #expect(run.messages.contains("has been deleted, and what was made from it is damaged"))
    #expect(try killed.state() == before)
  }

  /// A line in the middle is lost in both: what follows is used as far as reading it back proves it.
  @Test func aGapIsFilledFromTheSource() throws {
    let killed = try Killed(frees: false)
    let whole = try killed.journal(Self.files[0])
    let ends = whole.indices.filter { whole[$0] == UInt8(ascii: "\n") }
    var damaged = whole
    damaged[ends[1] - 3] ^= 1
    for name in Self.files { try killed.write(name, damaged) }
    try killed.expectRefusals("a gap", of: [killed.arguments, killed.arguments + ["--overwrite"]])
    let run = try FathomProcess(killed.arguments + ["--resume"])
    #expect(run.status == 0, "\(run.messages)")
    #expect(run.messages.contains("is damaged at byte \(ends[0] + 1) in both copies"))
    #expect(try Support.files(killed.workspace.path("out")) == reference())
  }

  /// What the output says is the plan's as much as the weights are.
  @Test(arguments: [("hf", "config.json"), ("gguf", "config.json"), ("gguf", "tokenizer.json")])
  func anotherPlanIsNotContinued(format: String, file: String) throws {
    let workspace = try Workspace()
    let model = try workspace.copy(sample: "tiny-fp8")
    let arguments = [
      "convert", model, workspace.path("out"), "--to", format, "--quant",
      format == "gguf" ? "q8_0" : "bf16", "--flush-every", "60KB",
    ]
    let journal = workspace.path(".out.fathom-part/journal-copy")
    let mishap = Mishap("kill", at: 4, name: "fdatasync", counted: journal)
    let first = try FathomProcess(
      arguments, environment: mishap.environment(below: workspace.path))
    #expect(first.status == 128 + SIGKILL, "\(first.messages)")
    let before = try contents("\(model)/\(file)")
    let text = String(decoding: before, as: UTF8.self)
    let other =
      file == "config.json"
      ? text.replacing(#""rope_theta": "#, with: #""rope_theta": 1"#, maxReplacements: 1)
      : text.replacing(#""Ġt""#, with: #""Ġ~t""#)
    #expect(other != text)
    try Data(other.utf8).write(to: URL(fileURLWithPath: "\(model)/\(file)"))
    let kept = try contents(journal)
    let refused = try FathomProcess(arguments + ["--resume"])
    #expect(refused.status == 73, "\(refused.messages)")
    #expect(refused.messages.contains("unfinished work has another plan"), "\(refused.messages)")
    #expect(try contents(journal) == kept)
    try Data(before).write(to: URL(fileURLWithPath: "\(model)/\(file)"))
    let run = try FathomProcess(arguments + ["--resume"])
    #expect(run.status == 0, "\(run.messages)")
  }

  /// Lines as a stranger may write them, each behind its right checksum.
  @Test(
    arguments: [
      [#"{"written":{"file":0,"from":0,"bytes":9223372036854775807,"crc32c":"00000000"}}"#],
      [0, 1].map {
        #"{"written":{"file":\#($0),"from":0,"bytes":9223372036854775807,"crc32c":"00000000"}}"#
      },
      [
        #"{"written":{"file":0,"from":0,"bytes":1,"crc32c":"00000000"}}"#,
        #"{"written":{"file":0,"from":1,"bytes":9223372036854775807,"crc32c":"00000000"}}"#,
      ],
      [#"{"written":{"file":99,"from":0,"bytes":1,"crc32c":"00000000"}}"#],
      [#"{"written":{"file":-1,"from":0,"bytes":1,"crc32c":"00000000"}}"#],
      [#"{"written":{"file":0,"from":-8,"bytes":9,"crc32c":"00000000"}}"#],
      [#"{"written":{"file":0,"from":7,"bytes":9,"crc32c":"00000000"}}"#],
      [#"{"written":{"file":0,"from":0,"bytes":0,"crc32c":"00000000"}}"#],
      [#"{"hashed":[["source",99999,"\#(String(repeating: "0", count: 64))"]]}"#],
      [#"{"hashed":[["output",-1,"\#(String(repeating: "0", count: 64))"]]}"#],
      [#"{"hashed":[["nothing",0,"00"]]}"#], ["{}"], ["[]"], ["no JSON at all"],
      [#"{"written":"#],
    ])
  func forgedLinesAreRefused(lines: [String]) throws {
    let killed = try Killed(frees: false)
    let whole = try killed.journal(Self.files[0])
    let head = whole[...(try #require(whole.firstIndex(of: UInt8(ascii: "\n"))))]
    let forged = head + lines.flatMap { Array("\(CRC32C($0).text) \($0)\n".utf8) }
    let resume = killed.arguments + ["--resume"]
    // Its copy says something else.
    try killed.write(Self.files[0], forged)
    try killed.expectRefusals("one forged", of: [resume, killed.arguments])
    try killed.write(Self.files[1], forged)
    try killed.expectRefusals("both forged", of: [resume])
    let status = try FathomProcess(["resume", "--status", killed.workspace.path(killed.work)])
    #expect(status.status == 0, "\(status.messages)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: killed.model).count >= 4)
  }
}
