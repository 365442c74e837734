import Foundation
import Support
import Tensors
import Testing

/// Keeps the tests' buffers alive to the end, so that tests may hold pointers into them.
///
/// A lock of Foundation's, because the thread sanitizer does not see that of Synchronization.
private let lock = NSLock()
nonisolated(unsafe) private var kept: [ByteBuffer] = []

/// Memory for a result.
func memory(_ count: Int) -> ByteBuffer {
  let buffer = ByteBuffer(count: count)
  lock.withLock { kept.append(buffer) }
  return buffer
}

/// A copy of some bytes.
func memory(_ bytes: [UInt8]) -> ByteBuffer {
  let buffer = memory(bytes.count)
  buffer.bytes.copyBytes(from: bytes)
  return buffer
}

/// A known answer from torch, made by `scripts/make codec-fixtures`.
func fixture(_ name: String) throws -> ByteBuffer {
  let file = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "Fixtures/\(name).bin")
  return memory([UInt8](try Data(contentsOf: file)))
}

extension ByteBuffer {
  /// The bytes, for comparison.
  var array: [UInt8] { [UInt8](bytes) }

  /// The bytes as F32 values.
  var floats: UnsafeBufferPointer<Float> {
    UnsafeBufferPointer(bytes.assumingMemoryBound(to: Float.self))
  }

  /// The bytes as F32 values to be filled.
  var mutableFloats: UnsafeMutableBufferPointer<Float> {
    bytes.assumingMemoryBound(to: Float.self)
  }
}

/// A line of a fixture that a script made from a peer: words, then a hash.
struct HashedAnswer: CustomTestStringConvertible, Sendable {
  let words: [String]
  let hash: String
  var testDescription: String { words.joined(separator: " ") }

  static func read(_ name: String) -> [HashedAnswer] {
    let file = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "Fixtures/\(name).txt")
    guard let text = try? String(contentsOf: file, encoding: .utf8) else { return [] }
    return text.split(separator: "\n").map { line in
      let words = line.split(separator: " ").map(String.init)
      return HashedAnswer(words: words.dropLast(), hash: words.last ?? "")
    }
  }
}

/// The hash as fixtures write it.
func hash(_ bytes: some Sequence<UInt8>) -> String {
  let digits = String(fnv1a(bytes), radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}

/// Where two results differ first; nil where they are equal. Shorter to read than both of them.
func difference(_ one: ByteBuffer, _ two: ByteBuffer) -> String? {
  guard one.count == two.count else { return "\(one.count) and \(two.count) bytes" }
  let index = (0..<one.count).first { one.bytes[$0] != two.bytes[$0] }
  return index.map { "byte \($0): \(one.bytes[$0]) and \(two.bytes[$0])" }
}

/// Numbers that are the same on every run.
struct Random {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  /// SplitMix64.
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
    return word ^ word >> 31
  }

  /// Uniform in −1..<1.
  mutating func unit() -> Float { Float(Int32(truncatingIfNeeded: next() >> 32)) * 0x1p-31 }

  /// n values uniform in −1..<1.
  mutating func units(_ count: Int) -> [Float] { (0..<count).map { _ in unit() } }

  /// n random bytes.
  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: next() >> 40) }
  }
}
