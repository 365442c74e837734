package import Formats
internal import Models
package import Platform
internal import Tensors

/// What a folder of safetensors files is that no command but `inspect` and `hash` can use, told by its
/// config, the files beside it and the names of its tensors.
package struct ForeignModel: Sendable {
  /// What it is, in a few words: `AWQ, 4 bits, groups of 128`.
  package let name: String
  /// Whether it holds a model's weights, in whatever storage, and not only changes to them.
  package let isModel: Bool
  /// Why it is not read, with what to do.
  package let fault: Fault

  /// Looks at a folder; nil where nothing speaks against its being a checkpoint.
  ///
  /// - Throws: `.inputOutput` where a file beside the weights cannot be read.
  package static func find(_ survey: CheckpointSurvey) throws(Fault) -> ForeignModel? {
    if let adapter = try adapter(survey) { return adapter }
    return try storage(survey)
  }

  // MARK: Adapters

  /// A model's changes by fine-tuning, without the model.
  private static func adapter(_ survey: CheckpointSurvey) throws(Fault) -> ForeignModel? {
    let names = survey.headers.lazy.flatMap(\.tensors).map(\.name)
    let isAdapter = names.contains { _ in true } && names.allSatisfy(isOfAdapter)
    guard isAdapter else { return nil }
    let file: ExactText = "adapter_config.json"
    let settings = (try? document(file, survey.files)) ?? nil
    var kind = "LoRA"
    if case .string(let type)? = settings?["peft_type"] { kind = type == "LORA" ? "LoRA" : type }
    var base: String?
    if case .string(let name)? = settings?["base_model_name_or_path"], !name.isEmpty { base = name }
    var name = "\(kind) adapter" + (base.map { " of \($0)" } ?? "")
    if case .integer(let rank)? = settings?["r"] { name += ", rank \(rank)" }
    var fault = Fault(
      .malformed, "is \(kind == "LoRA" ? "a LoRA" : "an") adapter, not a model",
      file: survey.folder, expected: "a model's weights",
      found: base.map { "changes to those of \($0)" } ?? "changes to those of its base model")
    fault.advice =
      "merge it into \(base ?? "its base model") first (merge_and_unload of peft, then "
      + "save_pretrained) and give that model"
    return ForeignModel(name: name, isModel: false, fault: fault)
  }

  private static func isOfAdapter(_ name: ExactText) -> Bool {
    let parts = name.split(separator: ".")
    let marks: [ExactText] = [
      "lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B", "lora_magnitude_vector",
      "modules_to_save",
    ]
    return parts.contains { marks.contains($0) }
  }

  // MARK: Storage

  /// Weights in a quantization that is not read.
  private static func storage(_ survey: CheckpointSurvey) throws(Fault) -> ForeignModel? {
    guard let (method, details, file) = try method(survey) else { return nil }
    let name = ([method] + details).joined(separator: ", ")
    var fault = Fault(
      .malformed, "says that the weights are quantized by \(name), which is not decoded",
      file: file,
      expected:
        "plain weights, fp8, compressed-tensors, NVFP4, GPTQ, AWQ (GEMM) or 8-bit bitsandbytes",
      found: method)
    fault.advice =
      "take the original checkpoint, or one of those, MLX or GGUF; "
      + "\"fathom inspect\" shows what is in this one"
    return ForeignModel(name: name, isModel: true, fault: fault)
  }

  private static let titles = [
    "awq": "AWQ", "gptq": "GPTQ", "bitsandbytes": "bitsandbytes", "modelopt": "ModelOpt",
    "hqq": "HQQ", "aqlm": "AQLM", "quip": "QuIP", "eetq": "EETQ", "torchao": "torchao",
    "auto-round": "AutoRound", "mxfp4": "MXFP4", "vptq": "VPTQ", "higgs": "HIGGS",
    "fbgemm_fp8": "FBGEMM FP8", "quark": "Quark", "exl2": "EXL2", "exl3": "EXL3",
  ]

  private typealias Method = (method: String, details: [String], file: String)

  private static func method(_ survey: CheckpointSurvey) throws(Fault) -> Method? {
    for section in [survey.config, survey.config["text_config"] ?? .null] {
      guard let settings = ModelConfig.storage(in: section)?.section,
        case .string(let method)? = settings["quant_method"],
        !ModelConfig.reads(storage: settings)
      else { continue }
      return (title(method), details(.object(settings)), survey.configFile)
    }
    let declares = survey.config["quantization_config"] ?? .null != .null
    if !declares, ModelFormat(survey) == .safetensors, let found = try beside(survey) {
      return found
    }
    // A section that is read tells what such names mean.
    guard ModelFormat(survey) != .compressedTensors else { return nil }
    let file = survey.headers.count == 1 ? survey.folder : survey.configFile
    for header in survey.headers {
      for place in header.tensors.indices {
        guard let method = header.tensors[place].name.withBytes(method(ofName:)) else { continue }
        return (method, [], file)
      }
    }
    return nil
  }

  /// Whose tensors end so, whatever module they belong to: `.qweight`, `.SCB`, and
  /// `.quant_state.bitsandbytes__nf4` and the like.
  private static func method(ofName name: UnsafeBufferPointer<UInt8>) -> String? {
    guard let dot = name.lastIndex(of: UInt8(ascii: ".")) else { return nil }
    let last = name[(dot + 1)...]
    switch last.first {
    case UInt8(ascii: "q"): return last.elementsEqual("qweight".utf8) ? "GPTQ or AWQ" : nil
    case UInt8(ascii: "S"): return last.elementsEqual("SCB".utf8) ? "bitsandbytes" : nil
    case UInt8(ascii: "b"):
      return last.starts(with: "bitsandbytes__".utf8)
        && name[..<dot].suffix(12).elementsEqual(".quant_state".utf8) ? "bitsandbytes" : nil
    default: return nil
    }
  }

  /// What files beside the config say that quantizers have written.
  private static func beside(_ survey: CheckpointSurvey) throws(Fault) -> Method? {
    for (name, method) in CheckpointSurvey.storageFiles {
      guard let document = (try? document(name, survey.files)) ?? nil else { continue }
      let settings = document["quantization"] ?? document
      let details = details(settings)
      // ModelOpt writes the file for what it has left as it was, too.
      if method == "modelopt", settings["quant_algo"] ?? .null == .null { continue }
      return (title(method), details, survey.files.place(of: name))
    }
    return nil
  }

  private static func document(
    _ name: ExactText, _ folder: InputFolder
  ) throws(Fault) -> JSONValue? {
    guard let file = try folder.find(name) else { return nil }
    return try CheckpointSurvey.readConfig(file)
  }

  private static func title(_ method: String) -> String { titles[method] ?? method }

  /// The widths and groups that a section tells, whatever its method calls them.
  private static func details(_ settings: JSONValue) -> [String] {
    var details: [String] = []
    if case .string(let algorithm)? = settings["quant_algo"] { details.append(algorithm) }
    for key in ["bits", "w_bit"] {
      if case .integer(let bits)? = settings[key] { details.append("\(bits) bits") }
    }
    for (key, bits) in [("load_in_8bit", 8), ("load_in_4bit", 4)]
    where settings[key] == .bool(true) {
      details.append("\(bits) bits")
    }
    if case .string(let version)? = settings["version"], version.lowercased() != "gemm" {
      details.append("version \(version)")
    }
    for key in ["group_size", "q_group_size"] {
      if case .integer(let size)? = settings[key], size > 0 { details.append("groups of \(size)") }
    }
    return details
  }
}
