import Compression
import Formats
import Foundation
import Platform
import Support
import Testing

/// Packed files that nobody packed: what a stranger may put into them is refused, or shown as it is.
@Suite struct PackedFileTests {
  let workspace: Workspace

  init() throws { workspace = try Workspace() }

  /// A part of the original with what is stored of it.
  struct Stretch {
    var byteCount: Int
    var planes = NumberPlanes.bytes
    var sums: [UInt32] = []
    var sizes: [[UInt32]] = []
    var stored: [UInt8] = []
  }

  private static func sum(_ bytes: [UInt8]) -> UInt32 {
    bytes.withUnsafeBytes { CRC32C($0).value }
  }

  /// A stretch of zeros in chunks of the usual size, a byte each.
  private static func zeros(_ count: Int) -> Stretch {
    var stretch = Stretch(byteCount: count)
    for start in stride(from: 0, to: count, by: PackedIndex.usualChunkBytes) {
      let size = min(PackedIndex.usualChunkBytes, count - start)
      stretch.sums.append(sum([UInt8](repeating: 0, count: size)))
      stretch.sizes.append([size > 1 ? 1 : UInt32(size)])
      stretch.stored.append(0)
    }
    return stretch
  }

  /// Writes a packed file and opens it.
  private func open(
    _ stretches: [Stretch], chunkBytes: Int = PackedIndex.usualChunkBytes,
    index change: ([UInt8]) throws -> [UInt8] = { try Zstandard.compress($0) },
    raw: (inout [UInt8]) -> Void = { _ in }
  ) throws -> PackedFile.Opening {
    let names =
      [PackedFile.headName] + (1..<max(1, stretches.count)).map { "t\($0)" }
    let parts = stretches.map { PackedIndex.Part(byteCount: $0.byteCount, planes: $0.planes) }
    let chunks = stretches.flatMap { stretch in
      zip(stretch.sums, stretch.sizes).map { PackedIndex.Chunk(sum: $0, planes: $1) }
    }
    var bytes = PackedIndex.encoded(
      parts, names: names, chunks: chunks, hash: BLAKE3.hash([]), chunkBytes: chunkBytes)
    raw(&bytes)
    let index = try change(bytes)
    let header = PackedHeader(names: names + [PackedFile.indexName], most: 1 << 40)
    let file =
      header.bytes(sizes: stretches.map(\.stored.count) + [index.count])
      + stretches.flatMap(\.stored) + index
    let path = try workspace.write("packed.safetensors", file)
    return try PackedFile.opening(InputFile(path: path))
  }

  private func original(_ opening: PackedFile.Opening) throws -> InputFile {
    guard case .packed(let file) = opening else {
      Issue.record("\(opening)")
      throw CocoaError(.coderInvalidValue)
    }
    return file.original
  }

  /// Opens what must be refused.
  private func refusal(_ body: () throws -> PackedFile.Opening) -> Fault? {
    let fault = #expect(throws: Fault.self) { try body() }
    #expect(fault?.kind == .malformed)
    #expect(fault?.file?.hasSuffix("packed.safetensors") == true)
    return fault
  }

  @Test func whatIsWrittenIsShown() throws {
    let text = Array("head".utf8)
    let chunk = [UInt8](repeating: 7, count: 5000)
    let file = try original(
      open([
        Stretch(byteCount: 4, sums: [Self.sum(text)], sizes: [[4]], stored: text),
        Stretch(byteCount: 0),
        Stretch(
          byteCount: 5000, planes: .words16, sums: [Self.sum(chunk)], sizes: [[1, 1]],
          // 0707 rotated by a bit is 0E0E.
          stored: [0x0E, 0x0E]),
      ]))
    #expect(file.size == 5004 && file.showsAnother)
    #expect(try file.read(at: 0, count: 5004) == text + chunk)
    #expect(try file.read(at: 3, count: 2) == [text[3], 7])
    #expect(throws: Fault.self) { try file.read(at: 5000, count: 5) }
  }

  /// Terabytes of zeros take some bytes and are read where they are asked for, in chunks.
  @Test func aHugeOriginalTakesNoMemory() throws {
    let file = try original(open([Self.zeros(16), Self.zeros(1 << 36)]))
    #expect(file.size == (1 << 36) + 16)
    #expect(try file.read(at: 1 << 35, count: 3) == [0, 0, 0])
  }

  @Test func anIndexThatIsABombIsRefused() throws {
    let zeros = [UInt8](repeating: 0, count: 64 << 20)
    let fault = refusal { try open([Self.zeros(9)], index: { _ in try Zstandard.compress(zeros) }) }
    #expect(fault?.message == "holds more than it may")
    let large = refusal {
      try open([Self.zeros(9)], index: { _ in [UInt8](repeating: 0, count: 33 << 20) })
    }
    #expect(large?.message == "holds more than it may")
  }

  /// Frames that hold more than their plane, less, or nothing at all.
  @Test func planesThatAreBombsAreFound() throws {
    let bombs = [
      try Zstandard.compress([UInt8](repeating: 1, count: 50_000_000)),
      try Zstandard.compress([UInt8](repeating: 1, count: 10)), Array("no frame".utf8),
    ]
    for bomb in bombs {
      let file = try original(
        open([
          Stretch(
            byteCount: 100_000, sums: [0], sizes: [[UInt32(bomb.count)]], stored: bomb)
        ]))
      let fault = #expect(throws: Fault.self) { try file.read(at: 5, count: 1) }
      #expect(fault?.kind == .malformed && fault?.tensor == PackedFile.headName)
      #expect(fault?.expected == "a zstd frame of 100000 bytes")
    }
  }

  @Test func sumsAreChecked() throws {
    let file = try original(
      open([Stretch(byteCount: 3, sums: [9], sizes: [[3]], stored: [1, 2, 3])]))
    let fault = #expect(throws: Fault.self) { try file.read(at: 0, count: 3) }
    #expect(fault?.expected == "CRC-32C 00000009" && fault?.offset != nil)
  }

  @Test func wrongIndexesAreRefused() throws {
    let sound = Self.zeros(100)
    // Magic, size of chunks, size of the original, names, number of parts, size of a part, kind of planes,
    // stored size.
    let changes: [(place: Int, value: UInt8)] = [
      (0, 0), (4, 1), (6, 0x80), (8, 99), (15, 1), (48, 2), (52, 2), (56, 99), (63, 0x7F), (64, 9),
      (69, 0), (69, 2), (72, 1),
    ]
    for (place, value) in changes {
      let fault = refusal { try open([sound], raw: { $0[place] = value }) }
      #expect(fault != nil, "byte \(place)")
    }
    for count in [0, 3, 20, 55, 64, 72] {
      #expect(refusal { try open([sound], raw: { $0 = Array($0.prefix(count)) }) } != nil)
    }
    #expect(refusal { try open([sound], raw: { $0.append(0) }) } != nil)
    #expect(refusal { try open([sound], index: { _ in [1, 2, 3] }) } != nil)
    #expect(refusal { try open([sound], index: { $0 }) } != nil)
    #expect(refusal { try open([Stretch(byteCount: 5, stored: [1])]) } != nil)
  }

  /// Two parts whose chunks change places by their sizes.
  @Test func entriesMustHaveTheirChunks() throws {
    let one = Stretch(byteCount: 3, sums: [0], sizes: [[3]], stored: [1, 2])
    let two = Stretch(byteCount: 3, sums: [0], sizes: [[3]], stored: [3, 4, 5, 6])
    let fault = refusal { try open([one, two]) }
    #expect(fault?.tensor == PackedFile.headName)
  }
}
