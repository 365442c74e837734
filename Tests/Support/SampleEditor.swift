import Foundation

/// A copy of a sample whose weights and config a test may change, apart from the product's own
/// readers and writers.
package struct SampleEditor {
  /// The copy's folder.
  package let path: String
  private let view: SafetensorsView

  /// Copies a sample that is one file of weights.
  package init(_ sample: String, in workspace: Workspace, as name: String = "candidate") throws {
    path = workspace.path(name)
    try FileManager.default.copyItem(atPath: Repository.samples + "/" + sample, toPath: path)
    view = try SafetensorsView(path + "/model.safetensors")
  }

  /// Elements of a matrix as their bytes: (rows, columns).
  package typealias Matrix = [[[UInt8]]]

  /// Reads a matrix; a vector has one row.
  package func matrix(_ name: String) throws -> Matrix {
    let shape = view.header[name] ?? []
    let columns = shape.last ?? 1
    let bytes = try view.bytes(of: name)
    let width = bytes.count / shape.reduce(1, *)
    let rows = stride(from: 0, to: bytes.count, by: columns * width).map { start in
      stride(from: start, to: start + columns * width, by: width).map {
        Array(bytes[$0..<$0 + width])
      }
    }
    return rows
  }

  /// Replaces a matrix by one of the same size.
  package func write(_ name: String, _ matrix: Matrix) throws {
    try view.overwrite(name, with: matrix.flatMap { $0.flatMap { $0 } })
  }

  /// Changes a matrix.
  package func change(_ name: String, _ body: (inout Matrix) -> Void) throws {
    var matrix = try matrix(name)
    body(&matrix)
    try write(name, matrix)
  }

  /// Exchanges two tensors of one size.
  package func exchange(_ one: String, _ other: String) throws {
    let (a, b) = (try matrix(one), try matrix(other))
    try write(one, b)
    try write(other, a)
  }

  /// Sets a key of `config.json`; a dot leads into a section.
  package func set(_ key: String, _ value: Any) throws {
    let file = URL(fileURLWithPath: path + "/config.json")
    let root = try JSONSerialization.jsonObject(with: Data(contentsOf: file))
    var object = root as? [String: Any] ?? [:]
    SampleEditor.set(key.split(separator: ".").map(String.init)[...], value, in: &object)
    try JSONSerialization.data(withJSONObject: object).write(to: file)
  }

  private static func set(
    _ path: ArraySlice<String>, _ value: Any, in object: inout [String: Any]
  ) {
    guard let key = path.first else { return }
    guard path.count > 1 else {
      object[key] = value
      return
    }
    var section = object[key] as? [String: Any] ?? [:]
    set(path.dropFirst(), value, in: &section)
    object[key] = section
  }
}

/// Changes metadata of a GGUF file in place.
package enum GGUFPatch {
  /// Overwrites the value of a key, which must have the same size.
  package static func set(_ key: String, bytes: [UInt8], in path: String) throws {
    var file = try Data(contentsOf: URL(fileURLWithPath: path))
    guard let range = file.range(of: Data(key.utf8)) else { throw CocoaError(.coderValueNotFound) }
    // After the key stands the type's number, then the value.
    let start = range.upperBound + 4
    file.replaceSubrange(start..<start + bytes.count, with: bytes)
    try file.write(to: URL(fileURLWithPath: path))
  }
}
