import Foundation
import Models
import Naming
import Platform
import Tensors

/// Models at their full size in sparse files that take a few MB.
package enum FullSizeCheckpoint {
  /// A tensor of a file.
  package typealias Tensor = (name: String, type: ElementType, shape: [Int])

  /// DeepSeek-V3's published `config.json`.
  package static let configPath = Repository.samples + "/deepseek-v3/config.json"

  /// DeepSeek-V4-Flash's, as far as its keys are about the network.
  package static let flash = """
    {"model_type": "deepseek_v4", "qk_rope_head_dim": 64, "topk_method": "noaux_tc",
     "scoring_func": "sqrtsoftplus", "rope_theta": 10000, "compress_rope_theta": 160000,
     "torch_dtype": "bfloat16", "expert_dtype": "fp4",
     "compress_ratios": [0, 0\(String(repeating: ", 4, 128", count: 20)), 4, 0],
     "rope_scaling": {"type": "yarn", "factor": 16, "original_max_position_embeddings": 65536,
       "beta_fast": 32, "beta_slow": 1},
     "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "scale_fmt": "ue8m0",
       "weight_block_size": [128, 128]}}
    """

  /// Writes DeepSeek-V3, 641 GiB apparent: 163 shards and an index, tensors spread in order.
  package static func write(to workspace: Workspace) throws {
    try write(to: workspace, contents(configPath), shards: 163)
  }

  /// Writes DeepSeek-V4-Flash in 46 shards under its published names.
  ///
  /// - Parameter change: what is done to the list of its tensors before.
  package static func writeFlash(
    to workspace: Workspace, change: (inout [Tensor]) -> Void = { _ in }
  ) throws {
    try write(to: workspace, Array(flash.utf8), shards: 46, change: change)
  }

  private static func write(
    to workspace: Workspace, _ text: [UInt8], shards: Int,
    change: (inout [Tensor]) -> Void = { _ in }
  ) throws {
    try workspace.write("config.json", text)
    let config = try ModelConfig(
      json: JSONValue(parsing: text, file: "config.json"), file: "config.json")
    var tensors = config.expectedTensors().map { $0.published(of: config) }
    change(&tensors)
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

extension ExpectedTensor {
  /// What DeepSeek's published checkpoint of a network has for it; of DeepSeek-V4 two codes of FP4 in
  /// a byte, and scales that are powers of two.
  func published(of config: ModelConfig) -> FullSizeCheckpoint.Tensor {
    let (name, dimensions) = (config.writtenName(of: name).text, shape.dimensions)
    switch storage {
    case .fp4: return (name, .i8, [dimensions[0], dimensions[1] / 2])
    case .scale where config.v4 != nil: return (name, .f8E8M0, dimensions)
    default: return (name, publishedType, dimensions)
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
