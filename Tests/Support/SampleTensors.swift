import Foundation

/// The tensors of a sample in memory, with its config, apart from the product's own readers and
/// writers: a test changes what it likes and writes a folder of one file, or of shards with an index.
package struct SampleTensors {
  /// A tensor as a header describes it, with its bytes.
  package struct Tensor {
    /// The name of its type.
    package var type: String
    /// Dimensions, outermost first.
    package var shape: [Int]
    /// As they are stored.
    package var bytes: [UInt8]

    /// Makes one.
    package init(_ type: String, _ shape: [Int], _ bytes: [UInt8]) {
      (self.type, self.shape, self.bytes) = (type, shape, bytes)
    }
  }

  /// By name.
  package var tensors: [String: Tensor] = [:]
  /// `config.json`.
  package var config: [String: Any]
  private let source: String

  /// Reads all shards of a sample.
  package init(_ sample: String) throws {
    try self.init(folder: Repository.samples + "/" + sample)
  }

  /// Reads all shards of a folder.
  package init(folder: String) throws {
    source = folder
    let text = try Data(contentsOf: URL(fileURLWithPath: source + "/config.json"))
    config = try JSONSerialization.jsonObject(with: text) as? [String: Any] ?? [:]
    let names = try FileManager.default.contentsOfDirectory(atPath: source)
    for name in names where name.hasSuffix(".safetensors") && name.hasPrefix("model") {
      let bytes = try contents(source + "/" + name)
      let length = (0..<8).reduce(0) { $0 | Int(bytes[$1]) << (8 * $1) }
      let root = try JSONSerialization.jsonObject(with: Data(bytes[8..<8 + length]))
      for (name, entry) in root as? [String: [String: Any]] ?? [:] where name != "__metadata__" {
        let range = entry["data_offsets"] as? [Int] ?? [0, 0]
        tensors[name] = Tensor(
          entry["dtype"] as? String ?? "", entry["shape"] as? [Int] ?? [],
          Array(bytes[8 + length + range[0]..<8 + length + range[1]]))
      }
    }
  }

  /// A tensor that must be there.
  package subscript(name: String) -> Tensor {
    get { tensors[name] ?? Tensor("", [], []) }
    set { tensors[name] = newValue }
  }

  /// Names that end so, sorted.
  package func names(endingWith suffix: String) -> [String] {
    tensors.keys.filter { $0.hasSuffix(suffix) }.sorted()
  }

  /// Sets a key of `quantization_config`; nil removes it.
  package mutating func setStorage(_ key: String, _ value: Any?) {
    var section = config["quantization_config"] as? [String: Any] ?? [:]
    section[key] = value
    config["quantization_config"] = section
  }

  /// Writes a folder.
  ///
  /// - Parameters:
  ///   - files: names of the files that tensors are dealt out to, in the order of their names.
  ///   - order: names that come last, in that order.
  @discardableResult
  package func write(
    to workspace: Workspace, as name: String = "model", files: [String] = ["model.safetensors"],
    index: Bool = false, last order: [String] = []
  ) throws -> String {
    let folder = workspace.path(name)
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for file in ["tokenizer.json", "tokenizer_config.json", "generation_config.json"] {
      try? FileManager.default.copyItem(atPath: "\(source)/\(file)", toPath: "\(folder)/\(file)")
    }
    try JSONSerialization.data(withJSONObject: config, options: .sortedKeys)
      .write(to: URL(fileURLWithPath: folder + "/config.json"))
    let names = tensors.keys.filter { !order.contains($0) }.sorted() + order
    var map: [String: String] = [:]
    for (number, file) in files.enumerated() {
      let share = names.enumerated().filter { $0.offset * files.count / names.count == number }
      for (_, name) in share { map[name] = file }
      try write(share.map(\.element), to: "\(folder)/\(file)")
    }
    if index {
      try JSONSerialization.data(
        withJSONObject: ["metadata": [:], "weight_map": map], options: .sortedKeys
      ).write(to: URL(fileURLWithPath: folder + "/model.safetensors.index.json"))
    }
    return folder
  }

  private func write(_ names: [String], to path: String) throws {
    var (header, data): ([String: Any], [UInt8]) = ([:], [])
    for name in names {
      let tensor = self[name]
      header[name] = [
        "dtype": tensor.type, "shape": tensor.shape,
        "data_offsets": [data.count, data.count + tensor.bytes.count],
      ]
      data += tensor.bytes
    }
    var text = try JSONSerialization.data(withJSONObject: header, options: .sortedKeys)
    while text.count % 8 != 0 { text.append(UInt8(ascii: " ")) }
    let length = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) }
    try Data(length + text + data).write(to: URL(fileURLWithPath: path))
  }
}

extension SampleTensors.Tensor {
  /// Zeros in place of all of it.
  package var zeroed: Self { Self(type, shape, [UInt8](repeating: 0, count: bytes.count)) }

  /// F32 numbers of a tensor of BF16 or F32.
  package var floats: [Float] {
    let width = type == "F32" ? 4 : 2
    return stride(from: 0, to: bytes.count, by: width).map { start in
      let bits = (0..<width).reduce(UInt32(0)) { $0 | UInt32(bytes[start + $1]) << (8 * $1) }
      return Float(bitPattern: width == 4 ? bits : bits << 16)
    }
  }

  /// F32 numbers as they are stored.
  package init(_ shape: [Int], floats: [Float]) {
    self.init(
      "F32", shape,
      floats.flatMap { value in
        (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) }
      })
  }

  /// The same rounded towards zero to BF16.
  package var asBF16: Self {
    Self(
      "BF16", shape,
      floats.flatMap {
        [UInt8(truncatingIfNeeded: $0.bitPattern >> 16), UInt8($0.bitPattern >> 24)]
      })
  }
}
