import Foundation

/// A safetensors file read for a test, apart from the product's own reader.
package struct SafetensorsView {
  /// Dimensions by name.
  package let header: [String: [Int]]
  /// What the file says beside its tensors.
  package let metadata: [String: String]
  private let ranges: [String: Range<Int>]
  private let path: String

  /// Reads the header of a sound file.
  package init(_ path: String) throws {
    self.path = path
    let bytes = try contents(path)
    let length = (0..<8).reduce(0) { $0 | Int(bytes[$1]) << (8 * $1) }
    let root = try JSONSerialization.jsonObject(with: Data(bytes[8..<8 + length]))
    var header: [String: [Int]] = [:]
    var ranges: [String: Range<Int>] = [:]
    for (name, entry) in root as? [String: [String: Any]] ?? [:] where name != "__metadata__" {
      let offsets = entry["data_offsets"] as? [Int] ?? [0, 0]
      header[name] = entry["shape"] as? [Int]
      ranges[name] = 8 + length + offsets[0]..<8 + length + offsets[1]
    }
    self.header = header
    metadata = (root as? [String: Any])?["__metadata__"] as? [String: String] ?? [:]
    self.ranges = ranges
  }

  /// The file's name without its extension.
  package var stem: String { URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent }

  /// The bytes of a tensor.
  package func bytes(of name: String) throws -> [UInt8] {
    Array(try contents(path)[ranges[name] ?? 0..<0])
  }

  /// Writes other bytes over the first ones of a tensor, in the file.
  package func overwrite(_ name: String, with bytes: [UInt8]) throws {
    let range = ranges[name] ?? 0..<0
    precondition(bytes.count <= range.count)
    let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
    try file.seek(toOffset: UInt64(range.lowerBound))
    try file.write(contentsOf: Data(bytes))
    try file.close()
  }
}
