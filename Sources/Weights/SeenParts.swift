package import Formats
internal import Locks
internal import Platform

/// Chaining values of parts of stored tensors that were hashed when something was made of them, while
/// they were in the processor's cache, until the stretch that they belong to is asked for.
package final class SeenParts: Sendable {
  /// Values of a stretch's parts.
  package struct Stretch: Sendable {
    /// One behind the other, `BLAKE3Value.byteCount` bytes each.
    private var bytes: [UInt8]
    private var isKnown: [Bool]

    fileprivate init(parts: Int) {
      bytes = Array(repeating: 0, count: parts * BLAKE3Value.byteCount)
      isKnown = Array(repeating: false, count: parts)
    }

    /// The bytes of a part's value; nil for a part that nobody has seen.
    package subscript(part: Int) -> ArraySlice<UInt8>? {
      guard part < isKnown.count, isKnown[part] else { return nil }
      return bytes[part * BLAKE3Value.byteCount..<(part + 1) * BLAKE3Value.byteCount]
    }

    fileprivate func knows(_ part: Int) -> Bool { isKnown[part] }

    fileprivate mutating func note(_ part: Int, _ value: UnsafeRawBufferPointer) {
      let start = part * BLAKE3Value.byteCount
      bytes.replaceSubrange(start..<start + BLAKE3Value.byteCount, with: value)
      isKnown[part] = true
    }
  }

  private struct State {
    /// Of each tensor the stretches that wait.
    var waiting: [Int: [Int: Stretch]] = [:]
    /// How many stretches of each tensor have been asked for.
    var asked: [Int]
  }

  private let sizes: [Int]
  private let isHashed: [Bool]
  private let partsPerStretch: Int
  private let state: Guarded<State>

  /// Makes an empty store.
  ///
  /// - Parameters:
  ///   - inventory: the stored tensors.
  ///   - isHashed: which of them are asked for; none is beyond its end.
  ///   - stretchBytes: bytes of a stretch, whole parts.
  package init(_ inventory: Inventory, isHashed: [Bool], stretchBytes: Int) {
    sizes = inventory.tensors.map(\.byteCount)
    self.isHashed = isHashed
    partsPerStretch = stretchBytes / BLAKE3Stream.partBytes
    state = Guarded(State(asked: Array(repeating: 0, count: isHashed.count)))
  }

  /// Whether anything of a stored tensor may still be asked for.
  package func wants(_ tensor: Int) -> Bool {
    guard tensor < isHashed.count, isHashed[tensor] else { return false }
    return state.withLock { $0.asked[tensor] } * partsPerStretch * BLAKE3Stream.partBytes
      < sizes[tensor]
  }

  /// Hashes the parts that lie wholly in some bytes of a stored tensor, unless they are known or asked
  /// for already. Any thread may do so.
  package func see(tensor: Int, from start: Int, _ bytes: UnsafeRawBufferPointer) {
    let (size, end) = (BLAKE3Stream.partBytes, start + bytes.count)
    let first = (start + size - 1) / size
    let last = end == sizes[tensor] ? (end + size - 1) / size : end / size
    guard first < last else { return }
    let missing = state.withLock { state in
      (first..<last).filter { part in
        let (number, place) = part.quotientAndRemainder(dividingBy: partsPerStretch)
        return number >= state.asked[tensor]
          && state.waiting[tensor]?[number]?.knows(place) != true
      }
    }
    withUnsafeTemporaryAllocation(
      byteCount: missing.count * BLAKE3Value.byteCount, alignment: 64
    ) { values in
      func value(_ index: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(
          rebasing: values[index * BLAKE3Value.byteCount..<(index + 1) * BLAKE3Value.byteCount])
      }
      for (index, part) in missing.enumerated() {
        let range = part * size..<min((part + 1) * size, sizes[tensor])
        BLAKE3.hash(
          part: UnsafeRawBufferPointer(
            rebasing: bytes[range.lowerBound - start..<range.upperBound - start]),
          from: range.lowerBound, isWhole: range.count == sizes[tensor], into: value(index))
      }
      state.withLock { state in
        for (index, part) in missing.enumerated() {
          let (number, place) = part.quotientAndRemainder(dividingBy: partsPerStretch)
          guard number >= state.asked[tensor] else { continue }
          state.waiting[tensor, default: [:]][number, default: Stretch(parts: partsPerStretch)]
            .note(place, UnsafeRawBufferPointer(value(index)))
        }
      }
    }
  }

  /// Hands out what is known of a stretch; from now on nothing is noted of it or of those before it.
  package func take(tensor: Int, number: Int) -> Stretch? {
    state.withLock { state in
      state.asked[tensor] = max(state.asked[tensor], number + 1)
      let stretch = state.waiting[tensor]?.removeValue(forKey: number)
      if state.waiting[tensor]?.isEmpty == true { state.waiting[tensor] = nil }
      return stretch
    }
  }
}
