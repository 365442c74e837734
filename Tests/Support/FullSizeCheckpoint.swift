import Foundation
import Models
import Platform
import Tensors

/// DeepSeek-V3 at its full size, 641 GiB apparent, in sparse files that take a few MB.
package enum FullSizeCheckpoint {
  /// The published model's `config.json`.
  package static let configPath = Repository.samples + "/deepseek-v3/config.json"

  /// Writes 163 shards and an index, tensors spread in order.
  package static func write(to workspace: Workspace) throws {
    let text = try contents(configPath)
    try workspace.write("config.json", text)
    let config = try ModelConfig(
      json: JSONValue(parsing: text, file: configPath), file: configPath)
    let tensors = config.expectedTensors().map { tensor in
      (name: tensor.name.text, type: tensor.publishedType, shape: tensor.shape.dimensions)
    }
    let shards = 163
    let perShard = (tensors.count + shards - 1) / shards
    var map: [String] = []
    var total = 0
    for shard in 0..<shards {
      let part = Array(tensors[min(tensors.count, shard * perShard)...].prefix(perShard))
      let name = String(format: "model-%05d-of-%05d.safetensors", shard + 1, shards)
      let fixture = SafetensorsFixture(part)
      try fixture.writeSparse(to: workspace.path(name))
      total += fixture.dataSize
      map += part.map { "\"\($0.name)\":\"\(name)\"" }
    }
    let index =
      "{\"metadata\":{\"total_size\":\(total)},\"weight_map\":{" + map.joined(separator: ",") + "}}"
    try workspace.write("model.safetensors.index.json", index.utf8)
  }
}

extension ExpectedTensor {
  /// The type that DeepSeek's published checkpoint stores it in.
  package var publishedType: ElementType {
    switch storage {
    case .plain, .plainOrFloat32: .bf16
    case .float32, .scale: .f32
    case .fp8: .f8E4M3
    case .fp4: .f4
    case .indices: .i64
    case .compressed: preconditionFailure("DeepSeek publishes none")
    }
  }
}

extension SafetensorsFixture {
  /// All tensors of a config in one file, in the types of a published checkpoint.
  package static func published(configPath: String) throws -> SafetensorsFixture {
    let config = try ModelConfig(
      json: JSONValue(parsing: contents(configPath), file: configPath), file: configPath)
    return SafetensorsFixture(
      config.expectedTensors().map {
        (name: $0.name.text, type: $0.publishedType, shape: $0.shape.dimensions)
      })
  }
}
