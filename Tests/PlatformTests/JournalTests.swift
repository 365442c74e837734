import Foundation
import Platform
import Support
import Testing

/// Journals that outlive crashes, and the checksums that they rest on.
@Suite struct JournalTests {
  /// The file of the journal of an output `out`.
  private let name = ".out.fathom-part/journal"
  /// And of its copy.
  private let copy = ".out.fathom-part/journal-copy"

  private func lines(in workspace: Workspace) throws -> [String] {
    try work(in: workspace).journal.lines
  }

  private func work(in workspace: Workspace) throws -> WorkFolder {
    try WorkFolder(for: OutputPath(workspace.path("out"), overwrite: false), form: .folder)
  }

  @Test func linesAreFoundAgain() throws {
    let workspace = try Workspace()
    do {
      let journal = try work(in: workspace).journal
      try journal.reserve(4096)
      try journal.append(["one", "zwei ü"])
      try journal.append([])
      try journal.append([""])
    }
    #expect(try lines(in: workspace) == ["one", "zwei ü", ""])
    for path in [name, copy] {
      #expect(try contents(workspace.path(path)).count == 3 * 10 + "onezwei ü".utf8.count)
    }
  }

  /// Each line is there as long as one of the two files has it; looking changes neither.
  @Test func aLineThatOneHasIsNotLost() throws {
    let workspace = try Workspace()
    do { try work(in: workspace).journal.append(["first", "other", "third"]) }
    let whole = try contents(workspace.path(name))
    for path in [name, copy] {
      for place in whole.indices {
        var damaged = whole
        damaged[place] ^= 4
        for bytes in [damaged, Array(whole[..<place])] {
          try workspace.write(path, bytes)
          #expect(try lines(in: workspace) == ["first", "other", "third"], "\(path) at \(place)")
          #expect(try contents(workspace.path(path)) == bytes)
        }
      }
      do { try work(in: workspace).journal.repair() }
      #expect(try contents(workspace.path(path)) == whole)
    }
  }

  @Test func whatIsTornInBothCountsForNothing() throws {
    let workspace = try Workspace()
    do { try work(in: workspace).journal.append(["first", "other", "third"]) }
    let whole = try contents(workspace.path(name))
    for cut in whole.indices {
      for path in [name, copy] { try workspace.write(path, whole[..<cut]) }
      let text = try JournalText(Array(whole[..<cut]), copy: Array(whole[..<cut]), file: "")
      #expect(text.tornBytes == cut % 15 && text.gaps.isEmpty)
      #expect(try lines(in: workspace) == Array(text.lines), "cut at \(cut)")
      #expect(text.lines == Array(["first", "other", "third"].prefix(cut / 15)))
    }
    do { try work(in: workspace).journal.append(["again"]) }
    #expect(try lines(in: workspace) == ["first", "other", "again"])
  }

  /// What is damaged in both is told, and stays where it is; what follows is whole by itself.
  @Test func aGapIsToldAndKept() throws {
    let workspace = try Workspace()
    do { try work(in: workspace).journal.append(["first", "other", "third"]) }
    let whole = try contents(workspace.path(name))
    for place in whole.indices {
      var damaged = whole
      damaged[place] ^= 4
      for path in [name, copy] { try workspace.write(path, damaged) }
      let text = try work(in: workspace).journal.text
      let line = place / 15
      // Without its line feed a line takes the next one with it.
      let lost = place % 15 == 14 && line < 2 ? 2 : 1
      var expected = ["first", "other", "third"]
      expected.removeSubrange(line..<line + lost)
      #expect(text.lines == expected, "at \(place)")
      #expect(text.hasHead == (line > 0))
      if line + lost < 3 {
        #expect(text.gaps.map(\.offset) == [15 * line])
        #expect(text.gaps.map(\.count) == [15 * lost])
      } else {
        #expect(text.gaps.isEmpty && text.tornBytes == 15 * lost)
      }
      do { try work(in: workspace).journal.append(["again"]) }
      #expect(try lines(in: workspace) == expected + ["again"], "at \(place)")
    }
  }

  @Test func contradictionsAreRefused() throws {
    let workspace = try Workspace()
    do { try work(in: workspace).journal.append(["first", "other"]) }
    let line = "\(CRC32C("wrong").text) wrong\n"
    let whole = try contents(workspace.path(name))
    try workspace.write(copy, whole[..<15] + Array(line.utf8))
    let fault = #expect(throws: Fault.self) { try work(in: workspace) }
    #expect(fault?.kind == .cannotCreate && fault?.offset == 15)
    #expect(fault?.advice?.contains("fathom resume --status") == true)
    #expect(try contents(workspace.path(name)) == whole)
  }

  /// Long lines without an end, and ends without lines, take no more than one look.
  @Test func hostileJournalsAreReadQuickly() throws {
    let long = [UInt8](repeating: UInt8(ascii: "0"), count: 4 << 20)
    let short = Array(repeatElement(Array("00000000 \n".utf8), count: 400_000).joined())
    for (one, other) in [(long, short), (short, long), (short, short), (long, long)] {
      let text = try JournalText(one, copy: other, file: "")
      #expect(text.lines.count == (one == long && other == long ? 0 : 400_000))
    }
    // The first line of the copy has no beginning at the place where the other one's lines end.
    let mixed = try JournalText(short + long, copy: long + short, file: "")
    #expect(mixed.lines.count == 799_999 && mixed.gaps.count == 1)
    // At each of many gaps the copy, which has no line at all, would be looked through anew.
    let gaps = Array(repeatElement(Array("00000000 \nx\n".utf8), count: 200_000).joined())
    let none = [UInt8](repeating: UInt8(ascii: "\n"), count: 4 << 20)
    for (one, other) in [(gaps, none), (none, gaps)] {
      let text = try JournalText(one, copy: other, file: "")
      #expect(text.lines.count == 200_000 && text.gaps.count == 199_999)
    }
  }

  @Test func whatIsNoJournalIsRefused() throws {
    let workspace = try Workspace()
    do { try work(in: workspace).journal.append(["first"]) }
    let files = FileManager.default
    try files.linkItem(atPath: workspace.path(name), toPath: workspace.path("other"))
    #expect(throws: Fault.self) { try work(in: workspace) }
    try files.removeItem(atPath: workspace.path("other"))
    #expect(try lines(in: workspace) == ["first"])
    try files.removeItem(atPath: workspace.path(copy))
    try files.createSymbolicLink(
      atPath: workspace.path(copy), withDestinationPath: workspace.path(name))
    #expect(throws: Fault.self) { try work(in: workspace) }
  }

  /// RFC 3720, B.4; the last one is the check value of the catalogue of parametrised CRCs.
  @Test(
    arguments: [
      ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
      ([UInt8](repeating: 255, count: 32), 0x62A8_AB43),
      ([UInt8](0..<32), 0x46DD_794E), ([UInt8]((0..<32).reversed()), 0x113F_DB5C),
      (Array("123456789".utf8), 0xE306_9283),
    ] as [([UInt8], UInt32)])
  func checksumsAreThoseOfTheStandard(bytes: [UInt8], value: UInt32) {
    #expect(bytes.withUnsafeBytes { CRC32C($0).value } == value)
    #expect(bytes.withUnsafeBytes { CRC32C($0, plain: true).value } == value)
  }

  @Test func checksumsOfPartsGiveThatOfTheWhole() {
    let bytes = (0..<70_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 / 256) }
    bytes.withUnsafeBytes { all in
      for (start, size) in [(0, 0), (1, 1), (3, 8), (5, 12_289), (7, 40_000), (0, 70_000)] {
        let part = UnsafeRawBufferPointer(rebasing: all[start..<start + size])
        let whole = CRC32C(part)
        #expect(whole == CRC32C(part, plain: true), "\(size) bytes")
        for cut in [0, 1, size / 3, size] where cut <= size {
          var sum = CRC32C(UnsafeRawBufferPointer(rebasing: part[..<cut]))
          sum.append(CRC32C(UnsafeRawBufferPointer(rebasing: part[cut...])))
          #expect(sum == whole, "\(size) bytes in two parts at \(cut)")
        }
      }
    }
  }

  @Test func workBesideThisThreadEndsWithItsFault() throws {
    let workspace = try Workspace()
    let job = BackgroundJob { () throws(Fault) in throw Fault(.inputOutput, "lost") }
    let fault = #expect(throws: Fault.self) { try job.wait() }
    #expect(fault?.message == "lost" && job.isDone)
    let path = workspace.path("file")
    let file = try OutputFile(creating: path)
    try file.append([1, 2])
    let flush = file.flush
    try BackgroundJob { () throws(Fault) in try flush.run() }.wait()
    try file.finish()
    #expect(try contents(path) == [1, 2])
  }
}
