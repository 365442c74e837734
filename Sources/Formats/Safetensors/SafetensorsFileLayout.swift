internal import Platform
internal import Tensors

extension OutputLayout.File {
  /// A safetensors file: its header, and tensors one after the other without holes.
  ///
  /// - Parameters:
  ///   - order: indices of the file's tensors in `entries`, in the order of their bytes.
  ///   - metadata: the member `__metadata__` of the header; there is none where it is empty.
  ///   - notes: what it says of its tensors, the last entry of that member.
  static func safetensors(
    named name: ExactText, _ entries: [OutputLayout.Entry], order: [Int],
    metadata: [(key: String, value: String)], notes: TensorNotes?
  ) -> OutputLayout.File {
    let metadata = metadata + (notes.map { [($0.key, $0.text(of: order))] } ?? [])
    var text = "{"
    var separator = ""
    for (key, value) in metadata {
      text += separator.isEmpty ? "\"__metadata__\":{" : separator
      separator = ","
      JSONValue.quote(key, to: &text)
      text += ":"
      JSONValue.quote(value, to: &text)
    }
    if !metadata.isEmpty { text += "}" }
    var offset = 0
    var offsets: [Int] = []
    for index in order {
      let entry = entries[index]
      text += separator
      separator = ","
      JSONValue.quote(entry.name.text, to: &text)
      let shape = entry.storedShape.dimensions.map(String.init).joined(separator: ",")
      text += ":{\"dtype\":\"\(entry.storedType.rawValue)\",\"shape\":[\(shape)],"
      text += "\"data_offsets\":[\(offset),\(offset + entry.byteCount)]}"
      offsets.append(offset)
      offset += entry.byteCount
    }
    text += "}"
    text += String(repeating: " ", count: (8 - text.utf8.count % 8) % 8)
    var header = (0..<8).map { UInt8(truncatingIfNeeded: text.utf8.count >> (8 * $0)) }
    header += text.utf8
    let start = header.count
    return OutputLayout.File(
      name: name, header: header, tensors: order, offsets: offsets.map { $0 + start },
      byteCount: start + offset)
  }
}
