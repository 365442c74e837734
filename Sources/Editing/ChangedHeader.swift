internal import Formats
internal import Platform
internal import Tensors

/// What a file of weights begins with once its metadata is changed; its tensors' bytes stay as they are.
struct ChangedHeader: Sendable {
  /// Everything before the first tensor, padding with it.
  let bytes: [UInt8]
  /// Where the tensors' bytes begin in the file as it is.
  let oldDataStart: Int

  /// Whether the tensors' bytes can stay where they are.
  var fits: Bool { bytes.count == oldDataStart }

  /// The header of a GGUF file with other metadata.
  ///
  /// - Throws: `.malformed` where what comes out could not be read, or its tensors would be others;
  ///   `.inputOutput` where reading fails.
  init(gguf file: InputFile, _ header: GGUFHeader, metadata: Metadata) throws(Fault) {
    var bytes = GGUFHeader.magic
    bytes.appendWord(header.version)
    bytes.appendUnsigned(UInt64(header.tensors.count), size: 8)
    bytes.appendUnsigned(UInt64(metadata.keys.count), size: 8)
    bytes += metadata.encoded
    bytes += try file.read(at: header.descriptions.lowerBound, count: header.descriptions.count)
    let alignment = metadata["general.alignment"]?.integer ?? GGUFHeader.defaultAlignment
    guard alignment > 0, let start = bytes.count.roundedUp(to: alignment) else {
      throw Fault(
        .malformed, "would have an impossible general.alignment", file: file.path,
        found: "\(alignment)")
    }
    bytes += [UInt8](repeating: 0, count: start - bytes.count)
    self.bytes = bytes
    // A file without tensors may end with its header.
    oldDataStart = min(header.dataStart, file.size)
    let shown = try shown(of: file)
    try requireSame(header.tensors, GGUFHeader(shown, shard: 0).tensors, file: file.path)
  }

  /// The header of a safetensors file with changes of `__metadata__`; what they do not speak of stays
  /// as it is written.
  ///
  /// - Parameter changes: keys with their new values; nil for those that are taken away.
  /// - Throws: as the other.
  init(
    safetensors file: InputFile, _ header: SafetensorsHeader,
    changes: [(key: String, value: String?)]
  ) throws(Fault) {
    var length = 0
    for (place, byte) in try file.read(at: 0, count: 8).enumerated() {
      length |= Int(byte) << (8 * place)
    }
    let old = try file.read(at: 8, count: length)
    var text = try JSONCursor.read(old) { cursor throws(Fault) in
      try ChangedHeader.spliced(&cursor, changes)
    }
    // Behind the text there may be spaces, in which a longer one has room.
    let count = max(length, (text.count + 7) / 8 * 8)
    text += [UInt8](repeating: UInt8(ascii: " "), count: count - text.count)
    bytes = (0..<8).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) } + text
    oldDataStart = 8 + length
    try SafetensorsHeader.requireReadable(bytes, file: file.path)
    guard case .header(let changed) = try SafetensorsHeader.read(shown(of: file), shard: 0) else {
      throw Fault(.malformed, "would be cut short", file: file.path)
    }
    try requireSame(header.tensors, changed.tensors, file: file.path)
  }

  /// The text of a safetensors header with changes.
  private static func spliced(
    _ cursor: inout JSONCursor, _ changes: [(key: String, value: String?)]
  ) throws(Fault) -> [UInt8] {
    var metadata: [(key: String, text: String)] = []
    var tensors: [String] = []
    /// A value, as it is written.
    func value(_ cursor: inout JSONCursor) throws(Fault) -> String {
      cursor.skipSpace()
      let start = cursor.position
      try cursor.skipValue(depth: 64)
      return cursor.text(from: start)
    }
    try cursor.members { key, cursor throws(Fault) in
      guard ExactText(key) == "__metadata__" else {
        var name = ""
        JSONValue.quote(key, to: &name)
        tensors.append("\(name):\(try value(&cursor))")
        return
      }
      cursor.skipSpace()
      if cursor.peek == UInt8(ascii: "n") { return try cursor.expect(literal: "null") }
      try cursor.members { key, cursor throws(Fault) in
        metadata.append((key, try value(&cursor)))
      }
    }
    for (key, value) in changes {
      let place = metadata.firstIndex { ExactText($0.key) == ExactText(key) }
      guard let value else {
        if let place { metadata.remove(at: place) }
        continue
      }
      var text = ""
      JSONValue.quote(value, to: &text)
      if let place { metadata[place].text = text } else { metadata.append((key, text)) }
    }
    let members = metadata.map { key, text in
      var name = ""
      JSONValue.quote(key, to: &name)
      return "\(name):\(text)"
    }.joined(separator: ",")
    let all = (metadata.isEmpty ? [] : ["\"__metadata__\":{\(members)}"]) + tensors
    return Array("{\(all.joined(separator: ","))}".utf8)
  }

  /// The file as it will be.
  private func shown(of file: InputFile) throws(Fault) -> InputFile {
    try InputFile(
      file, showing: View(file: file, header: bytes, oldStart: oldDataStart),
      size: file.size - oldDataStart + bytes.count)
  }

  /// Throws where a reader would find other tensors than before.
  private func requireSame(
    _ old: [StoredTensor], _ new: [StoredTensor], file: String
  ) throws(Fault) {
    let moved = bytes.count - oldDataStart
    let isSame = old.elementsEqual(new) { one, other in
      one.name == other.name && one.type == other.type && one.shape == other.shape
        && one.byteCount == other.byteCount && one.offset + moved == other.offset
    }
    guard isSame else {
      throw Fault(
        .malformed, "would have its tensors elsewhere than they are", file: file,
        expected: "metadata that say nothing of where tensors lie")
    }
  }

  /// The new header before the old tensors.
  private struct View: FileView {
    let file: InputFile
    let header: [UInt8]
    let oldStart: Int

    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(Fault) {
      let inHeader = max(0, min(buffer.count, header.count - offset))
      if inHeader > 0 { buffer.copyBytes(from: header[offset..<offset + inHeader]) }
      guard inHeader < buffer.count else { return }
      try file.read(
        at: offset + inHeader - header.count + oldStart,
        into: UnsafeMutableRawBufferPointer(rebasing: buffer[inHeader...]))
    }

    func stored(_ range: Range<Int>) -> Range<Int> { 0..<file.storedSize }
  }
}
