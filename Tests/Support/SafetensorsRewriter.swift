import Foundation

/// Gives a safetensors file other names and further tensors, apart from the product's own writer.
package struct SafetensorsRewriter {
  private let path: String
  private var header: [String: Any]
  private var data: [UInt8]

  /// Reads a sound file.
  package init(_ path: String) throws {
    self.path = path
    let bytes = try contents(path)
    let length = (0..<8).reduce(0) { $0 | Int(bytes[$1]) << (8 * $1) }
    let root = try JSONSerialization.jsonObject(with: Data(bytes[8..<8 + length]))
    header = root as? [String: Any] ?? [:]
    data = Array(bytes[(8 + length)...])
  }

  /// Gives a tensor another name.
  package mutating func rename(_ name: String, to other: String) {
    let entry = header.removeValue(forKey: name)
    precondition(entry != nil && header[other] == nil)
    header[other] = entry
  }

  /// Takes a tensor out; `close` then closes the hole.
  package mutating func remove(_ name: String) {
    let entry = header.removeValue(forKey: name)
    precondition(entry != nil)
  }

  /// Names of all tensors, sorted.
  package var names: [String] { header.keys.filter { $0 != "__metadata__" }.sorted() }

  /// Puts tensors of one type behind each other into one of other dimensions, in their place.
  package mutating func join(_ names: [String], as name: String, shape: [Int]) {
    var bytes: [UInt8] = []
    var type: Any = ""
    for name in names {
      let entry = header.removeValue(forKey: name) as? [String: Any] ?? [:]
      let range = entry["data_offsets"] as? [Int] ?? [0, 0]
      bytes += data[range[0]..<range[1]]
      type = entry["dtype"] ?? type
    }
    header[name] = [
      "dtype": type, "shape": shape, "data_offsets": [data.count, data.count + bytes.count],
    ]
    data += bytes
  }

  /// Moves the data of what is left together, since a file has no holes.
  package mutating func close() {
    var whole: [UInt8] = []
    for name in names {
      guard var entry = header[name] as? [String: Any], let range = entry["data_offsets"] as? [Int]
      else { continue }
      entry["data_offsets"] = [whole.count, whole.count + range[1] - range[0]]
      whole += data[range[0]..<range[1]]
      header[name] = entry
    }
    data = whole
  }

  /// Adds a tensor of one dimension behind all others.
  package mutating func add(_ name: String, _ type: String, count: Int, _ bytes: [UInt8]) {
    header[name] = [
      "dtype": type, "shape": [count], "data_offsets": [data.count, data.count + bytes.count],
    ]
    data += bytes
  }

  /// Puts the file in the place of the one that was read.
  package func write() throws {
    var text = try JSONSerialization.data(withJSONObject: header, options: .sortedKeys)
    while text.count % 8 != 0 { text.append(UInt8(ascii: " ")) }
    let length = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) }
    try Data(length + text + data).write(to: URL(fileURLWithPath: path))
  }
}
