package import Models
package import Platform
package import Tensors

/// The `config.json` that the metadata of a GGUF file amounts to, whichever of llama.cpp's architectures
/// it has.
package struct GGUFConfig: Sendable {
  /// The document, in Hugging Face's keys.
  package let json: JSONValue
  /// What the file does not say and is assumed instead, a line each.
  package let notes: [String]
  /// Keys about the network that are passed over, and what may follow from them.
  package let unknown: [UnknownKey]

  /// Reads metadata.
  ///
  /// - Parameters:
  ///   - names: names of the file's tensors; some of what the config says shows there alone.
  ///   - file: the file, for messages.
  /// - Throws: `.malformed` with the key for what is missing or not of its type, and for other
  ///   architectures.
  package init(_ metadata: Metadata, names: Set<ExactText>, file: String) throws(Fault) {
    if DeepSeek4Reader.reads(metadata) {
      json = .object(try DeepSeek4Reader(metadata: metadata, file: file).config())
      notes = []
      unknown = DeepSeek2Key.unknown(in: metadata, known: DeepSeek4Key.names)
    } else {
      let read = try DeepSeek2Config(metadata, names: names, file: file)
      (json, notes, unknown) = (read.json, read.notes, read.unknown)
    }
  }
}

extension ModelConfig {
  /// Every tensor of a GGUF file of this config, in the order in which llama-quantize writes them.
  ///
  /// - Parameter isPredictor: whether the file is of the layer alone that predicts a further token.
  package func ggufTensors(isPredictor: Bool = false) -> [DialectTensor] {
    guard v4 != nil else { return deepSeek2Tensors() }
    return tensors(DeepSeek4Names.table(predictor: isPredictor ? layers : nil))
      .filter { tensor in !isPredictor || tensor.layer.map { $0 >= layers } ?? true }
      .sorted { DeepSeek2Names.precedes($0.name, $1.name) }
  }

  /// Whether a file is of the layer alone that predicts a further token, which llama.cpp has of
  /// DeepSeek-V4 in a file of its own.
  ///
  /// - Parameter has: whether it has a tensor of that name.
  package func isPredictor(_ has: (ExactText) -> Bool) -> Bool {
    v4 != nil && mtpLayers > 0 && !has("blk.0.attn_norm.weight")
  }

  /// The metadata about the network that llama.cpp's converter writes, in its order.
  ///
  /// The keys up to the value's length come before `general.file_type` there, the others after it.
  package var ggufMetadata: (before: Metadata, after: Metadata) {
    v4 == nil
      ? deepSeek2Metadata : (metadata(DeepSeek4Key.shared), metadata(DeepSeek4Key.own))
  }

  /// What a tensor of a GGUF file is; nil for names that the architecture does not have.
  ///
  /// - Parameter isPredictor: as `ggufTensors` has it.
  /// - Returns: the Hugging Face name, with `{e}` for the expert in the name of a stack, the form, and
  ///   in a stack of pairs, or of two beside each other, the name of the second.
  package func origin(
    ofGGUF name: ExactText, isPredictor: Bool = false
  ) -> (name: ExactText, form: WeightForm, second: ExactText?)? {
    v4 == nil
      ? DeepSeek2Names.origin(of: name)
      : DeepSeek4Names.origin(of: name, predictor: isPredictor ? layers : nil)
  }

  /// What is known of llama.cpp's loader of this network.
  package var llamaLimits: [LoaderLimit] { v4 == nil ? LoaderLimit.llama : LoaderLimit.llamaOfV4 }
}

extension DialectTensor {
  /// The type that it has in a GGUF file whatever the file's type; nil for one that follows that.
  ///
  /// Vectors and norms are F32, and so is the router but in DeepSeek-V4, whose converter leaves it in
  /// BF16; a table of experts holds I32.
  package func fixedTypeInGGUF(of config: ModelConfig) -> ElementType? {
    if part == .routingTable { return .i32 }
    let isRouter = part == .router && config.v4 == nil
    return isRouter || part == .norm || shape.dimensions.count <= 1 ? .f32 : nil
  }
}
