package import Platform
package import Tensors
internal import Text

/// What reads the keys that a GGUF file has under its architecture's name, with their types checked.
package protocol ArchitectureKeys {
  /// All keys.
  var metadata: Metadata { get }
  /// The file, for messages.
  var file: String { get }
}

extension ArchitectureKeys {
  /// llama.cpp's name of the architecture.
  package var architecture: String { metadata["general.architecture"]?.text ?? "" }

  /// A key with the architecture in front.
  package func key(_ name: String) -> String { "\(architecture).\(name)" }

  /// A count; nil where there is none.
  package func count(_ name: String) throws(Fault) -> Int? {
    guard let value = metadata[key(name)] else { return nil }
    guard let count = value.integer, (0...Int(Int32.max)).contains(count) else {
      throw fault(name, expected: "a count")
    }
    return count
  }

  /// A count that must be there.
  package func required(_ name: String) throws(Fault) -> Int {
    guard let count = try count(name) else { throw fault(name, expected: "a count") }
    return count
  }

  /// Adds counts that must be there, under Hugging Face's names.
  package func add(_ keys: [ConfigKey], to config: inout JSONObject) throws(Fault) {
    for key in keys {
      guard let name = key.gguf else { preconditionFailure("\(key.name) is no key of GGUF files") }
      config[key.name] = .integer(try required(name))
    }
  }

  /// A finite number: the shortest decimal that is the stored one, so that 1e-06 stays 1e-06.
  package func number(_ name: String) throws(Fault) -> Double? {
    guard let value = metadata[key(name)] else { return nil }
    guard let number = value.number, number.isFinite else {
      throw fault(name, expected: "a number")
    }
    return shortest(Float(number))
  }

  /// A number that must be there.
  package func value(_ name: String) throws(Fault) -> Double {
    guard let number = try number(name) else { throw fault(name, expected: "a number") }
    return number
  }

  /// A truth value; nil where there is none.
  package func flag(_ name: String) throws(Fault) -> Bool? {
    switch metadata[key(name)] {
    case nil: return nil
    case .bool(let flag)?: return flag
    default: throw fault(name, expected: "true or false")
    }
  }

  /// Rows of the embedding table.
  package func vocabulary() throws(Fault) -> Int {
    if let size = try count("vocab_size") { return size }
    guard let tokens = metadata["tokenizer.ggml.tokens"]?.array else {
      throw fault("vocab_size", expected: "a count, or tokenizer.ggml.tokens")
    }
    return tokens.count
  }

  /// Adds the ids of special tokens.
  package func addTokenIDs(to config: inout JSONObject) {
    for name in ["bos", "eos", "pad"] {
      guard let key = TokenizerFiles.idKeys[name],
        let id = metadata["tokenizer.ggml.\(key)"]?.integer
      else { continue }
      config["\(name)_token_id"] = .integer(id)
    }
  }

  /// What all architectures say of YaRN; nil where there is none.
  package func yarnRange() throws(Fault) -> JSONObject? {
    guard let type = metadata[key("rope.scaling.type")]?.text, type != "none" else { return nil }
    guard type == "yarn" else { throw fault("rope.scaling.type", expected: "\"yarn\" or \"none\"") }
    return [
      "beta_fast": .number(try number("rope.scaling.yarn_beta_fast") ?? 32),
      "beta_slow": .number(try number("rope.scaling.yarn_beta_slow") ?? 1),
      "factor": .number(try value("rope.scaling.factor")),
    ]
  }

  /// The shortest decimal that is a number of F32.
  package func shortest(_ number: Float) -> Double {
    Double(number.description) ?? Double(number)
  }

  /// What is wrong with a key.
  package func fault(_ name: String, expected: String) -> Fault {
    let found = metadata[key(name)]
    return Fault(
      .malformed, "metadata key \"\(key(name))\"", file: file, expected: expected,
      found: found.map { "\($0)" } ?? "nothing")
  }
}
