import Foundation
import Platform
import Support
import Testing

/// Journals that outlive crashes, and the checksums that they rest on.
@Suite struct JournalTests {
  /// The file of the journal of an output `out`.
  private let name = ".out.fathom-part/journal"

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
      journal.reserve(4096)
      try journal.append(["one", "zwei ü"], isDurable: false)
      try journal.append([])
      try journal.append([""])
    }
    #expect(try lines(in: workspace) == ["one", "zwei ü", ""])
    #expect(try contents(workspace.path(name)).count == 3 * 10 + "onezwei ü".utf8.count)
  }

  @Test func aTornLineAndWhatFollowsItCountForNothing() throws {
    let workspace = try Workspace()
    do { try work(in: workspace).journal.append(["first", "other", "third"]) }
    let whole = try contents(workspace.path(name))
    for cut in whole.indices {
      try workspace.write(name, whole[..<cut])
      let found = try lines(in: workspace)
      #expect(found == Array(["first", "other", "third"].prefix(cut / 15)), "cut at \(cut)")
      #expect(try contents(workspace.path(name)).count == cut / 15 * 15)
    }
    for place in whole.indices {
      var damaged = whole
      damaged[place] ^= 4
      try workspace.write(name, damaged)
      #expect(try lines(in: workspace).count == place / 15, "damaged at \(place)")
    }
    // A line of the same length in place of the damaged one must not wake the third.
    var damaged = whole
    damaged[20] ^= 1
    try workspace.write(name, damaged)
    do { try work(in: workspace).journal.append(["again"]) }
    #expect(try lines(in: workspace) == ["first", "again"])
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
