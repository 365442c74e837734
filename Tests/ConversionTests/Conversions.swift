import Conversion
import Dialects
import Formats
import Foundation
import Models
import Platform
import Support
import Tensors
import Testing
import Weights

/// A finished conversion of a sample, in a workspace of its own.
struct Conversions {
  let workspace: Workspace
  let plan: Plan
  let result: ConversionResult
  var output: String { workspace.path("out") }

  init(
    _ model: String, _ recipe: Recipe, resources: Resources = Resources(threads: 2)
  ) throws {
    workspace = try Workspace()
    let source = try SourceModel(path: model, threads: 2)
    plan = try Plan(source, recipe: recipe, resources: resources)
    let place = try OutputPath(workspace.path("out"), overwrite: false)
    result = try plan.run(from: source, to: place)
  }

  /// Files of the output with their bytes, but for the manifest, which says what the source was.
  func files() throws -> [String: [UInt8]] {
    try allFiles().filter { $0.key != "fathom-manifest.json" }
  }

  /// Files of the output with their bytes.
  func allFiles() throws -> [String: [UInt8]] {
    var files: [String: [UInt8]] = [:]
    for name in try workspace.names("out") { files[name] = try contents("\(output)/\(name)") }
    return files
  }

  /// Moves the output into another workspace, where it outlives this one.
  func moved(to other: Workspace) throws -> String {
    try FileManager.default.moveItem(atPath: output, toPath: other.path("moved"))
    return other.path("moved")
  }

  /// Writes a model of pseudo-random weights with the config of a sample: one dense layer of the
  /// given sizes.
  static func writeModel(
    to workspace: Workspace, like name: String, hiddenSize: Int, intermediateSize: Int
  ) throws {
    let path = sample(name) + "/config.json"
    guard case .object(var config) = try JSONValue(parsing: contents(path), file: path) else {
      throw CocoaError(.coderInvalidValue)
    }
    config["hidden_size"] = .integer(hiddenSize)
    config["intermediate_size"] = .integer(intermediateSize)
    config["num_hidden_layers"] = .integer(1)
    config["num_nextn_predict_layers"] = .integer(0)
    try workspace.write("config.json", JSONValue.object(config).text().utf8)
    try SafetensorsFixture.published(configPath: workspace.path("config.json"))
      .writeNumbers(to: workspace.path("model.safetensors"))
  }

  /// The output where it is one file.
  func file() throws -> [UInt8] { try contents(output) }

  /// The tensors of an output folder, with their bytes.
  func tensors() throws -> [String: (tensor: StoredTensor, bytes: [UInt8])] {
    try ConversionTests.tensors(of: output)
  }

  /// The rewritten config.
  func config() throws -> JSONValue {
    try JSONValue(parsing: contents(output + "/config.json"), file: "config.json")
  }
}

/// The tensors of a checkpoint by name, with their bytes.
func tensors(of model: String) throws -> [String: (tensor: StoredTensor, bytes: [UInt8])] {
  let inventory = try Checkpoint(path: model).inventory
  var tensors: [String: (tensor: StoredTensor, bytes: [UInt8])] = [:]
  for tensor in inventory.tensors {
    let buffer = try inventory.read(tensor)
    // The bytes are the buffer's only as long as it lives.
    tensors[tensor.name.text] = (tensor, withExtendedLifetime(buffer) { Array(buffer.bytes) })
  }
  return tensors
}

/// Names whose bytes differ, or that one side lacks; short to print where it is not empty.
func differences(
  _ one: [String: (tensor: StoredTensor, bytes: [UInt8])],
  _ other: [String: (tensor: StoredTensor, bytes: [UInt8])]
) -> [String] {
  Set(one.keys).union(other.keys).filter { one[$0]?.bytes != other[$0]?.bytes }.sorted()
}

/// The same for files.
func differences(_ one: [String: [UInt8]], _ other: [String: [UInt8]]) -> [String] {
  Set(one.keys).union(other.keys).filter { one[$0] != other[$0] }.sorted()
}

extension WeightStorage {
  static let bf16 = WeightStorage.all[0]
  static let fp8 = WeightStorage.all[3]
}

func sample(_ name: String) -> String { "\(Repository.samples)/\(name)" }
