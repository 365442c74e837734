import Foundation
import Platform
import Support
import Testing

@Suite struct InputFileTests {
  @Test func aFileThatShrinksGivesAFault() throws {
    let workspace = try Workspace()
    let path = try workspace.write("data", [UInt8](repeating: 7, count: 10_000))
    let file = try InputFile(path: path)
    #expect(try file.read(at: 9_000, count: 1_000).count == 1_000)
    try FileHandle(forWritingTo: URL(fileURLWithPath: path)).truncate(atOffset: 9_500)
    #expect {
      _ = try file.read(at: 9_000, count: 1_000)
    } throws: { error in
      (error as? Fault)?.kind == .inputOutput && (error as? Fault)?.offset == 9_500
    }
  }

  @Test func aFileThatVanishesIsStillRead() throws {
    let workspace = try Workspace()
    let path = try workspace.write("data", Array("content".utf8))
    let file = try InputFile(path: path)
    try FileManager.default.removeItem(atPath: path)
    #expect(try file.read(at: 3, count: 4) == Array("tent".utf8))
    #expect { try InputFile(path: path) } throws: { ($0 as? Fault)?.kind == .notFound }
  }

  @Test func contentsAreBounded() throws {
    let workspace = try Workspace()
    let path = try workspace.write("data", [1, 2, 3])
    #expect(try InputFile.contents(of: path, limit: 3) == [1, 2, 3])
    #expect { try InputFile.contents(of: path, limit: 2) } throws: {
      ($0 as? Fault)?.kind == .malformed
    }
  }
}

@Suite struct WorkersTests {
  @Test(arguments: [1, 2, 7])
  func everyItemIsDoneOnce(threads: Int) throws {
    let counts = Counter(size: 1000)
    try Workers.run(threads: threads, count: 1000) { worker, item throws(Fault) in
      counts.add(item)
      if worker >= threads { throw Fault(.usage, "worker \(worker)") }
    }
    #expect(counts.values == [Int](repeating: 1, count: 1000))
  }

  @Test(arguments: [1, 2, 7])
  func theFirstFaultIsThrownAndNothingMoreIsStarted(threads: Int) {
    let counts = Counter(size: 1000)
    #expect {
      try Workers.run(threads: threads, count: 1000) { _, item throws(Fault) in
        counts.add(item)
        if item >= 10 { throw Fault(.usage, "item \(item)") }
      }
    } throws: { ($0 as? Fault)?.message == "item 10" }
    #expect(counts.values.reduce(0, +) <= 10 + threads)
  }
}

/// Counts that several threads write.
private final class Counter: @unchecked Sendable {
  private var counts: [Int]
  private let lock = NSLock()

  init(size: Int) { counts = Array(repeating: 0, count: size) }

  func add(_ index: Int) { lock.withLock { counts[index] += 1 } }
  var values: [Int] { lock.withLock { counts } }
}
