package import Platform
package import Tensors

/// Lays tensors out as llama.cpp's writers do: metadata and tensors in the order given, each
/// tensor's start and the end of the file aligned.
package enum GGUFWriterLayout {
  /// How tensors are divided into files.
  package enum Division: Sendable {
    /// Most bytes of tensors in one split, a larger tensor having its own.
    case limit(Int)
    /// So many tensors in each split, all of them together.
    case counts([Int])
  }

  /// Places the tensors.
  ///
  /// - Parameters:
  ///   - entries: the tensors in the order in which they will stand.
  ///   - name: file name; splits add `-00001-of-0000N` to it.
  ///   - division: where one file ends and the next begins; a single file is no split.
  /// - Throws: `.malformed` where all sizes together overflow or there are too many splits.
  package static func layout(
    _ entries: [OutputLayout.Entry], metadata: Metadata, name: ExactText, division: Division
  ) throws(Fault) -> OutputLayout {
    let (total, overflow) = OutputLayout.totalSize(of: entries)
    // Padding adds less than an alignment for each tensor.
    guard overflow == nil, total <= Int.max / 2 else {
      throw Fault(.malformed, "makes the output too large", tensor: overflow?.name)
    }
    let groups =
      switch division {
      case .limit(let limit): split(entries, limit: limit)
      case .counts(let counts): split(entries, counts: counts)
      }
    guard groups.count <= Int(UInt16.max) else {
      throw Fault(.usage, "makes too many files", expected: "a larger --max-shard-size")
    }
    let stem = name.without(suffix: ".gguf") ?? name
    let files = groups.enumerated().map { number, group in
      var own = number == 0 ? metadata : Metadata()
      var fileName = name
      if groups.count > 1 {
        fileName = GGUFSplitName(stem: stem, number: number + 1, count: groups.count).text
        own[SplitKeys.number] = .uint16(UInt16(truncatingIfNeeded: number))
        own[SplitKeys.count] = .uint16(UInt16(truncatingIfNeeded: groups.count))
        own[SplitKeys.tensors] = .int32(Int32(truncatingIfNeeded: entries.count))
      }
      return file(fileName, own, entries, group)
    }
    return OutputLayout(entries: entries, files: files, totalSize: total)
  }

  /// Runs of tensors that stay within the limit.
  private static func split(_ entries: [OutputLayout.Entry], limit: Int) -> [Range<Int>] {
    var groups: [Range<Int>] = []
    var start = 0
    var bytes = 0
    for (index, entry) in entries.enumerated() {
      if index > start, entry.byteCount > limit - min(bytes, limit) {
        groups.append(start..<index)
        (start, bytes) = (index, 0)
      }
      bytes += entry.byteCount
    }
    return groups + [start..<entries.count]
  }

  private static func split(
    _ entries: [OutputLayout.Entry], counts: [Int]
  ) -> [Range<Int>] {
    precondition(counts.reduce(0, +) == entries.count)
    var end = 0
    return counts.map { count in
      end += count
      return end - count..<end
    }
  }

  private static func file(
    _ name: ExactText, _ metadata: Metadata, _ entries: [OutputLayout.Entry], _ tensors: Range<Int>
  ) -> OutputLayout.File {
    let alignment = GGUFHeader.defaultAlignment
    var header = GGUFHeader.magic
    header.appendWord(GGUFHeader.versions.upperBound)
    header.appendUnsigned(UInt64(tensors.count), size: 8)
    header.appendUnsigned(UInt64(metadata.keys.count), size: 8)
    header += metadata.encoded
    var offset = 0
    var offsets: [Int] = []
    for entry in entries[tensors] {
      guard let type = entry.type.ggmlID else {
        preconditionFailure("\(entry.type.rawValue) cannot be named in a GGUF file")
      }
      let extents = GGUFShape.extents(of: entry.shape)
      header.appendString(entry.name.text)
      header.appendWord(UInt32(extents.count))
      for extent in extents { header.appendUnsigned(UInt64(extent), size: 8) }
      header.appendWord(type)
      header.appendUnsigned(UInt64(offset), size: 8)
      offsets.append(offset)
      offset += (entry.byteCount + alignment - 1) / alignment * alignment
    }
    let start = (header.count + alignment - 1) / alignment * alignment
    return OutputLayout.File(
      name: name, header: header, tensors: Array(tensors), offsets: offsets.map { $0 + start },
      byteCount: start + offset)
  }
}
