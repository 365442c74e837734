internal import Platform
internal import Tensors

extension ModelConfig {
  /// Every tensor of a GGUF file of this config, in the order in which llama-quantize writes them.
  ///
  /// Copies of embedding and head in MTP layers are included; llama.cpp can do without them.
  package func deepSeek2Tensors() -> [DialectTensor] {
    let unwritten = DeepSeek2Names.unwritten(architecture)
    let table = NameTable(
      before: DeepSeek2Names.outer,
      layer: DeepSeek2Names.layer.filter { !unwritten.contains($0.own) }
    ) { "blk.\($0)." }
    return tensors(table).sorted { DeepSeek2Names.precedes($0.name, $1.name) }
  }
}
