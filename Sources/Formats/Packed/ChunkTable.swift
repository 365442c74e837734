internal import Compression
internal import Platform
internal import Tensors

extension ArraySlice<UInt8> {
  /// The number of 32 bits at place `index`, little-endian.
  fileprivate func word(at index: Int) -> UInt32 {
    let start = startIndex + 4 * index
    return self[start..<start + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
  }
}

/// Where the chunks of a packed file lie, and what they hold.
struct ChunkTable: Sendable {
  /// A chunk with all that reading it takes.
  struct Place {
    /// Its number among all.
    let number: Int
    /// Bytes of the original.
    let original: Range<Int>
    /// Bytes of the packed file.
    let stored: Range<Int>
    let sum: UInt32
    let planes: NumberPlanes
    /// Stored size of each plane.
    let sizes: ArraySlice<UInt32>
    /// Number of its part.
    let part: Int
  }

  private struct Row: Sendable {
    let planes: NumberPlanes
    /// Where the part starts in the original, its first chunk, and the first of its planes' sizes.
    let start: Int
    let chunk: Int
    let plane: Int
  }

  /// Bytes of the original.
  let originalSize: Int
  private let chunkBytes: Int
  private let rows: [Row]
  /// Where each chunk starts in the packed file, and where the last one ends.
  private let starts: [Int]
  private let sums: [UInt32]
  private let sizes: [UInt32]

  /// Reads the table and checks it against what the file stores for each part.
  init(
    _ parts: [PackedIndex.Part], chunkBytes: Int, entries: ArraySlice<StoredTensor>,
    _ cursor: inout IndexCursor
  ) throws(Fault) {
    // A chunk takes eight bytes of the index at least: an index cannot claim what it does not list.
    var expected = 0
    for part in parts {
      let size = PackedIndex.chunkCount(part, chunkBytes) * 4 * (1 + part.planes.count)
      guard size <= cursor.rest - expected else {
        throw cursor.fault("an index that ends early", "\(cursor.bytes.count) bytes")
      }
      expected += size
    }
    var (rows, starts, sums, sizes): ([Row], [Int], [UInt32], [UInt32]) = ([], [], [], [])
    var (original, stored) = (0, entries.first?.offset ?? 0)
    for (part, entry) in zip(parts, entries) {
      rows.append(
        Row(planes: part.planes, start: original, chunk: starts.count, plane: sizes.count))
      let first = stored
      let count = PackedIndex.chunkCount(part, chunkBytes)
      for _ in 0..<count { sums.append(try cursor.word()) }
      let columns = try cursor.take(4 * count * part.planes.count)
      for chunk in 0..<count {
        starts.append(stored)
        let byteCount = min(chunkBytes, part.byteCount - chunk * chunkBytes)
        for (plane, most) in part.planes.sizes(of: byteCount).enumerated() {
          let size = columns.word(at: plane * count + chunk)
          guard size <= most, (size > 0) == (most > 0) else {
            throw cursor.fault("a plane of \(most) bytes", "\(size) stored ones")
          }
          sizes.append(size)
          stored += Int(size)
        }
      }
      guard entry.offset == first, entry.byteCount == stored - first else {
        var fault = cursor.fault("chunks of \(stored - first) bytes", "\(entry.byteCount)")
        fault.tensor = entry.name
        fault.offset = UInt64(entry.offset)
        throw fault
      }
      original += part.byteCount
    }
    starts.append(stored)
    (self.rows, self.starts, self.sums, self.sizes) = (rows, starts, sums, sizes)
    self.chunkBytes = chunkBytes
    originalSize = original
  }

  /// The chunk that holds a byte of the original.
  func chunk(at offset: Int) -> Place {
    // The last part that starts at or before it: empty ones share their start with the next.
    var (low, high) = (0, rows.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if rows[middle].start <= offset { low = middle } else { high = middle }
    }
    let row = rows[low]
    let end = low + 1 < rows.count ? rows[low + 1].start : originalSize
    let index = (offset - row.start) / chunkBytes
    let (number, start) = (row.chunk + index, row.start + index * chunkBytes)
    let plane = row.plane + index * row.planes.count
    return Place(
      number: number, original: start..<min(end, start + chunkBytes),
      stored: starts[number]..<starts[number + 1], sum: sums[number], planes: row.planes,
      sizes: sizes[plane..<plane + row.planes.count], part: low)
  }
}
