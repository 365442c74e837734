internal import Compression
internal import Locks
internal import Platform
internal import Tensors

/// Shows the original of a packed file; restores the chunks that are asked for.
final class PackedView: FileView {
  private let file: InputFile
  private let chunks: ChunkTable
  /// Names of the parts, for messages.
  private let names: [ExactText]

  init(_ file: InputFile, _ chunks: ChunkTable, names: [ExactText]) {
    self.file = file
    self.chunks = chunks
    self.names = names
  }

  deinit { RecentChunks.shared.forget(ObjectIdentifier(self)) }

  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(Fault) {
    var done = 0
    while done < buffer.count {
      let place = chunks.chunk(at: offset + done)
      let start = offset + done - place.original.lowerBound
      let count = min(place.original.count - start, buffer.count - done)
      let target = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count])
      let key = RecentChunks.Key(view: ObjectIdentifier(self), number: place.number)
      if let known = RecentChunks.shared[key] {
        target.copyMemory(
          from: UnsafeRawBufferPointer(rebasing: known.bytes[start..<start + count]))
      } else if count == place.original.count {
        try restore(place, into: target)
      } else {
        // A part of it: whoever asks for the rest will do so soon.
        let whole = ByteBuffer(count: place.original.count)
        try restore(place, into: whole.bytes)
        RecentChunks.shared[key] = whole
        target.copyMemory(
          from: UnsafeRawBufferPointer(rebasing: whole.bytes[start..<start + count]))
      }
      done += count
    }
  }

  func stored(_ range: Range<Int>) -> Range<Int> {
    guard !range.isEmpty else { return 0..<0 }
    return chunks.chunk(at: range.lowerBound).stored
      .lowerBound..<chunks.chunk(at: range.upperBound - 1).stored.upperBound
  }

  /// stored planes → the chunk
  private func restore(
    _ place: ChunkTable.Place, into target: UnsafeMutableRawBufferPointer
  ) throws(Fault) {
    let stored = ByteBuffer(count: place.stored.count)
    try file.read(at: place.stored.lowerBound, into: stored.bytes)
    let isPlain = place.planes == .bytes
    let planes = isPlain ? nil : ByteBuffer(count: target.count)
    let whole = planes?.bytes ?? target
    var (from, to) = (0, 0)
    for (size, most) in zip(place.sizes, place.planes.sizes(of: target.count)) {
      let source = UnsafeRawBufferPointer(rebasing: stored.bytes[from..<from + Int(size)])
      let plane = UnsafeMutableRawBufferPointer(rebasing: whole[to..<to + most])
      if source.count == most {
        plane.copyMemory(from: source)
      } else if source.count == 1 {
        plane.initializeMemory(as: UInt8.self, repeating: source[0])
      } else if let reason = try EntropyDecoder.decompress(source, into: plane) {
        throw damaged(place, at: from, expected: "a zstd frame of \(most) bytes", found: reason)
      }
      (from, to) = (from + source.count, to + most)
    }
    if let planes { place.planes.join(UnsafeRawBufferPointer(planes.bytes), into: target) }
    let sum = CRC32C(UnsafeRawBufferPointer(target))
    guard sum.value == place.sum else {
      throw damaged(
        place, at: 0, expected: "CRC-32C \(CRC32C(value: place.sum).text)", found: sum.text)
    }
  }

  private func damaged(
    _ place: ChunkTable.Place, at offset: Int, expected: String, found: String
  ) -> Fault {
    Fault(
      .malformed, "is packed, and damaged", file: file.path, tensor: names[place.part],
      offset: UInt64(place.stored.lowerBound + offset), expected: expected, found: found)
  }
}

/// Chunks of which a part was read, since readers of rows come back for the rest: a few megabytes
/// for all packed files together.
private final class RecentChunks: Sendable {
  struct Key: Hashable {
    let view: ObjectIdentifier
    let number: Int
  }

  private struct State {
    var chunks: [Key: (bytes: ByteBuffer, used: Int)] = [:]
    var byteCount = 0
    var clock = 0

    mutating func remove(_ key: Key) {
      byteCount -= chunks.removeValue(forKey: key)?.bytes.count ?? 0
    }
  }

  static let shared = RecentChunks()
  private static let most = 16 << 20
  private let state = Guarded(State())

  subscript(key: Key) -> ByteBuffer? {
    get {
      state.withLock { state in
        guard let bytes = state.chunks[key]?.bytes else { return nil }
        state.clock += 1
        state.chunks[key]?.used = state.clock
        return bytes
      }
    }
    set {
      guard let newValue else { return }
      state.withLock { state in
        state.remove(key)
        state.clock += 1
        state.chunks[key] = (newValue, state.clock)
        state.byteCount += newValue.count
        while state.byteCount > RecentChunks.most, state.chunks.count > 1,
          let oldest = state.chunks.min(by: { $0.value.used < $1.value.used })?.key
        {
          state.remove(oldest)
        }
      }
    }
  }

  /// Lets go of what belongs to a view that is gone: another one may get its identity.
  func forget(_ view: ObjectIdentifier) {
    state.withLock { state in
      for key in state.chunks.keys where key.view == view { state.remove(key) }
    }
  }
}
