package import Platform
internal import Tensors

/// Where every tensor of a safetensors checkpoint goes, to the byte, before one is written.
///
/// The order depends on the names alone, so equal tensors give equal files however the source was
/// sharded: names in their natural order (`layers.2` before `layers.10`, a weight before its
/// `_scale_inv`), and shards are filled in that order. Within a shard, tensors whose size is a
/// multiple of 8 come first and the few others after them by falling element size: with neither
/// holes nor padding, which the format forbids, every tensor is then aligned to its elements.
package struct SafetensorsWriterLayout: Sendable {
  /// A tensor to be placed.
  package typealias Entry = OutputLayout.Entry
  /// A file; nothing lies between its tensors.
  package typealias File = OutputLayout.File

  /// The order in which files are filled.
  package enum Order: Sendable {
    /// That of the names, numbers in them counting as numbers.
    case natural
    /// That of the entries.
    case given
  }

  /// Where everything goes.
  package let output: OutputLayout
  /// The tensors in the order in which they were given.
  package var entries: [Entry] { output.entries }
  /// The files in the order in which they are written.
  package var files: [File] { output.files }
  /// Bytes of all tensors: the index' `total_size`.
  package var totalSize: Int { output.totalSize }

  /// Places the tensors.
  ///
  /// - Parameters:
  ///   - shardLimit: most bytes of tensors in one file; a larger tensor gets its own.
  ///   - order: the order in which files are filled.
  ///   - metadata: the member `__metadata__` of every header.
  ///   - notes: what each file says of its own tensors there.
  /// - Throws: `.malformed` where all sizes together overflow.
  package init(
    _ entries: [Entry], shardLimit: Int, order: Order = .natural,
    metadata: [(key: String, value: String)] = [("format", "pt")], notes: TensorNotes? = nil
  ) throws(Fault) {
    let (total, overflow) = OutputLayout.totalSize(of: entries)
    if let overflow {
      throw Fault(.malformed, "makes the output too large", tensor: overflow.name)
    }
    let sequence =
      order == .natural ? naturalOrder(entries.map(\.name)) : Array(entries.indices)
    // A character may need six bytes.
    let reserved = 1024 + metadata.reduce(0) { $0 + 6 * ($1.key.utf8.count + $1.value.utf8.count) }
    let headers = entries.indices.map { index in
      Self.headerBound(entries[index]) + (notes?.headerBound(of: index) ?? 0)
    }
    let shards = Self.shards(
      of: entries, in: sequence, limit: shardLimit, headers: headers,
      headerLimit: SafetensorsHeader.lengthLimit - reserved)
    let files = shards.enumerated().map { number, tensors in
      Self.file(named: Self.name(number, of: shards.count), entries, tensors, metadata, notes)
    }
    output = OutputLayout(entries: entries, files: files, totalSize: total)
  }

  /// The text of `model.safetensors.index.json`; nil where one file holds everything.
  package var index: [UInt8]? {
    guard files.count > 1 else { return nil }
    var text = "{\n  \"metadata\": {\n    \"total_size\": \(totalSize)\n  },\n"
    text += "  \"weight_map\": {"
    var separator = "\n    "
    let places = files.flatMap { file in file.tensors.map { (entries[$0].name, file.name) } }
    for (tensor, file) in places {
      text += separator
      JSONValue.quote(tensor.text, to: &text)
      text += ": \"\(file)\""
      separator = ",\n    "
    }
    return Array((text + "\n  }\n}\n").utf8)
  }

  /// Divides the tensors, in that order, into runs of at most `limit` bytes.
  private static func shards(
    of entries: [Entry], in order: [Int], limit: Int, headers: [Int], headerLimit: Int
  ) -> [[Int]] {
    var shards: [[Int]] = [[]]
    var bytes = 0
    var header = 0
    for index in order {
      let entry = entries[index]
      let headerBytes = headers[index]
      let isFull =
        bytes + entry.byteCount > limit
        || header + headerBytes > headerLimit
      if isFull, !shards[shards.count - 1].isEmpty {
        shards.append([])
        bytes = 0
        header = 0
      }
      shards[shards.count - 1].append(index)
      bytes += entry.byteCount
      header += headerBytes
    }
    return shards
  }

  /// Most bytes that an entry takes in a header: a name's character may need six, a number 20.
  private static func headerBound(_ entry: Entry) -> Int {
    64 + 6 * entry.name.utf8.count + 21 * (entry.storedShape.dimensions.count + 2)
  }

  private static func name(_ number: Int, of count: Int) -> ExactText {
    if count == 1 { return "model.safetensors" }
    func digits(_ value: Int) -> String {
      let text = String(value)
      return String(repeating: "0", count: max(0, 5 - text.count)) + text
    }
    return "model-\(digits(number + 1))-of-\(digits(count)).safetensors"
  }

  private static func file(
    named name: ExactText, _ entries: [Entry], _ tensors: [Int],
    _ metadata: [(key: String, value: String)], _ notes: TensorNotes?
  ) -> File {
    let even = tensors.filter { entries[$0].byteCount % 8 == 0 }
    let odd = tensors.filter { entries[$0].byteCount % 8 != 0 }
    // Swift's sort is stable: within one element size the natural order stays.
    let order =
      even + odd.sorted { entries[$0].storedType.bits > entries[$1].storedType.bits }
    return .safetensors(
      named: name, entries, order: order, metadata: metadata, notes: notes)
  }
}

/// Indices of `names` sorted so that numbers in them count as numbers; equal names cannot be.
private func naturalOrder(_ names: [ExactText]) -> [Int] {
  let keys = names.map(naturalKey)
  return names.indices.sorted { one, other in
    if keys[one] == keys[other] {
      return names[one] < names[other]
    }
    return keys[one].lexicographicallyPrecedes(keys[other])
  }
}

/// Bytes that compare as the name does in natural order: before each run of digits stands its
/// length without leading zeros, so that longer numbers are larger.
private func naturalKey(_ name: ExactText) -> [UInt8] {
  var key: [UInt8] = []
  var digits: [UInt8] = []
  func close() {
    guard !digits.isEmpty else { return }
    let significant = digits.drop { $0 == UInt8(ascii: "0") }
    // All digits compare alike with other characters: they keep the place of "0".
    key.append(UInt8(ascii: "0"))
    key.append(UInt8(min(significant.count, 255)))
    key += significant
    digits = []
  }
  for byte in name.utf8 {
    if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
      digits.append(byte)
    } else {
      close()
      key.append(byte)
    }
  }
  close()
  return key
}
