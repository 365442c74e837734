import Foundation
import Models
import Platform
import Tensors

/// DeepSeek-V4 as it is published, so small that tests write it, and so large that shards of its own
/// code can divide it: two have a block of FP8, a group of heads and two experts each, four nothing.
package enum SmallFlash {
  /// Its config: layers of each kind, one whose experts are in a table, one that predicts.
  package static let config = """
    {"model_type": "deepseek_v4", "vocab_size": 64, "hidden_size": 64, "moe_intermediate_size": 32,
     "num_hidden_layers": 3, "num_nextn_predict_layers": 1, "num_attention_heads": 8,
     "head_dim": 32, "qk_rope_head_dim": 8, "q_lora_rank": 32, "n_routed_experts": 4,
     "num_experts_per_tok": 2, "num_hash_layers": 1, "o_groups": 2, "o_lora_rank": 128,
     "index_n_heads": 16, "index_head_dim": 16, "index_topk": 3, "sliding_window": 8, "hc_mult": 2,
     "compress_ratios": [0, 4, 128, 0], "max_position_embeddings": 1024, "rope_theta": 10000,
     "compress_rope_theta": 160000, "topk_method": "noaux_tc", "scoring_func": "sqrtsoftplus",
     "torch_dtype": "bfloat16", "expert_dtype": "fp4",
     "rope_scaling": {"type": "yarn", "factor": 16, "original_max_position_embeddings": 64,
       "beta_fast": 32, "beta_slow": 1},
     "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "scale_fmt": "ue8m0",
       "weight_block_size": [128, 128]}}
    """

  /// Writes config and tensors.
  ///
  /// - Parameter largest: the code that every block of FP8 begins with, which no other is above.
  package static func write(to workspace: Workspace, largest: UInt8 = 0x7E) throws {
    try workspace.write("config.json", config.utf8)
    let typed = try ModelConfig(
      json: JSONValue(parsing: Array(config.utf8), file: "config.json"), file: "config.json")
    let fixture = SafetensorsFixture(typed.expectedTensors().map { $0.published(of: typed) })
    var numbers = Numbers(largest: largest)
    let bytes = fixture.header + fixture.tensors.flatMap { numbers.bytes(of: $0) }
    try workspace.write("model.safetensors", bytes)
  }

  /// Pseudo-random numbers of moderate size, the same ones every time.
  private struct Numbers {
    let largest: UInt8
    private var state: UInt64 = 7

    init(largest: UInt8) { self.largest = largest }

    private mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state >> 33
    }

    mutating func bytes(of tensor: FullSizeCheckpoint.Tensor) -> [UInt8] {
      (0..<tensor.shape.reduce(1, *)).flatMap { element(of: tensor, at: $0) }
    }

    private mutating func element(of tensor: FullSizeCheckpoint.Tensor, at index: Int) -> [UInt8] {
      let random = next()
      let half = UInt16(truncatingIfNeeded: random) & 0x80FF | 0x3D00
      switch tensor.type {
      case .f8E4M3:
        let (row, column) = (index / tensor.shape[1], index % tensor.shape[1])
        if row % 128 == 0, column % 128 == 0 { return [largest] }
        let code = UInt8(truncatingIfNeeded: random)
        return [code & 0x7F > largest ? code & 0x80 | largest : code]
      case .f8E8M0: return [UInt8(116 + random % 4)]
      case .i64: return [UInt8((index / 2 + index % 2) % 4)] + [UInt8](repeating: 0, count: 7)
      case .f32: return [0, 0, UInt8(truncatingIfNeeded: half), UInt8(half >> 8)]
      case .bf16: return [UInt8(truncatingIfNeeded: half), UInt8(half >> 8)]
      default: return [UInt8(truncatingIfNeeded: random)]
      }
    }
  }
}
