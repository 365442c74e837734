package import Platform

/// What a file in a model's folder is, by its name alone; compared byte by byte.
package enum ModelFileName {
  /// What a file of such a name is to a model.
  package enum Part: Sendable, Hashable {
    /// Tensors, or the list of the files that hold them.
    case weights
    /// A GGUF file, which is a model of its own.
    case gguf
    /// What describes the network.
    case config
    /// What else is read of a model: tokenizer, templates, settings, code, manifests.
    case companion
    /// What people read.
    case document
  }

  /// Texts that a name has at its start and end; `Name*.py` is ("Name", ".py").
  private struct Pattern: Sendable {
    let start: StaticString
    let end: StaticString
    let part: Part

    init(_ start: StaticString, _ end: StaticString, _ part: Part) {
      (self.start, self.end, self.part) = (start, end, part)
    }

    func fits(_ name: RawName) -> Bool {
      name.bytes.count >= start.utf8CodeUnitCount + end.utf8CodeUnitCount
        && name.begins(with: start) && name.ends(with: end)
    }
  }

  /// The first row that fits tells.
  private static let patterns = [
    Pattern("", ".gguf", .gguf), Pattern("", ".safetensors", .weights),
    Pattern("", ".safetensors.index.json", .weights), Pattern("pytorch_model", ".bin", .weights),
    Pattern("pytorch_model", ".bin.index.json", .weights),
    Pattern("config", ".json", .config),
    Pattern("", "fathom-manifest.json", .companion), Pattern("fathom-pack.json", "", .companion),
    Pattern("generation_config", ".json", .companion),
    Pattern("preprocessor_config", ".json", .companion),
    Pattern("processor_config", ".json", .companion),
    Pattern("quantize_config", ".json", .companion),
    Pattern("quantization_config", ".json", .companion),
    Pattern("hf_quant_config", ".json", .companion), Pattern("recipe", ".yaml", .companion),
    Pattern("tokenizer", ".json", .companion), Pattern("tokenizer", ".model", .companion),
    Pattern("tokenizer_config", ".json", .companion), Pattern("tiktoken", ".model", .companion),
    Pattern("", ".tiktoken", .companion), Pattern("special_tokens_map", ".json", .companion),
    Pattern("added_tokens", ".json", .companion), Pattern("vocab", ".json", .companion),
    Pattern("vocab", ".txt", .companion), Pattern("merges", ".txt", .companion),
    Pattern("chat_template", ".jinja", .companion), Pattern("chat_template", ".json", .companion),
    Pattern("modeling_", ".py", .companion), Pattern("configuration_", ".py", .companion),
    Pattern("tokenization_", ".py", .companion), Pattern("tool_declaration_", ".py", .companion),
    Pattern("encoding_", ".py", .companion), Pattern("README", "", .document),
    Pattern("LICENSE", "", .document), Pattern("NOTICE", "", .document),
    Pattern("THIRD_PARTY_NOTICES", "", .document), Pattern("USAGE_POLICY", "", .document),
    Pattern(".gitattributes", "", .document),
  ]

  /// What a name says; nil for one that no model has.
  package static func part(_ name: RawName) -> Part? {
    patterns.first { $0.fits(name) }?.part
  }
}
