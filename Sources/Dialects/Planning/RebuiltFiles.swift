internal import Formats
internal import Models
internal import Naming
internal import Platform
internal import Tensors
internal import Text

/// Files of a Hugging Face checkpoint that a source has in another form, and what it does not say.
package struct RebuiltFiles {
  /// The files.
  private(set) var documents: [PlannedDocument] = []
  /// What could not be rebuilt, a line each.
  private(set) var lost: [String] = []

  /// Looks through a source; only a GGUF file has them in another form.
  package init(_ source: SourceModel) {
    guard let gguf = source.gguf else { return }
    addTokenizer(gguf)
    let settings = SamplingSetting.generationConfig(
      gguf.files.metadata, config: source.checkpoint.config)
    if settings.count > 0 { add("generation_config.json", .object(settings)) }
    addRounding(gguf.files.inventory)
    lost.append(
      "keys of config.json that do not change what is computed, such as initializer_range: a GGUF "
        + "file does not keep them")
  }

  private mutating func addTokenizer(_ gguf: GGUFModel) {
    do throws(Fault) {
      let tokenizer = try RebuiltTokenizer(
        gguf.files.metadata, contextLength: gguf.config.contextLength, file: gguf.files.name.text)
      add("tokenizer.json", tokenizer.files.tokenizer)
      if let settings = tokenizer.files.settings { add("tokenizer_config.json", settings) }
      lost += tokenizer.lost
    } catch {
      lost.append("the tokenizer, which cannot be rebuilt: \(error.description)")
    }
  }

  /// What quantization rounded does not come back.
  private mutating func addRounding(_ inventory: Inventory) {
    var counts: [ElementType: Int] = [:]
    for tensor in inventory.tensors where tensor.type.isBlock {
      counts[tensor.type, default: 0] += 1
    }
    guard !counts.isEmpty else { return }
    let types = counts.sorted { $0.key.rawValue < $1.key.rawValue }
      .map { "\($0.value) in \($0.key.rawValue)" }.joined(separator: ", ")
    lost.append("what was rounded when tensors were quantized (\(types)): the values stay rounded")
  }

  private mutating func add(_ name: String, _ json: JSONValue) {
    documents.append(
      PlannedDocument(name: ExactText(name), kind: .side, bytes: Array((json.text() + "\n").utf8)))
  }
}
