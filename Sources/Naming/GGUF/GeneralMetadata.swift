package import Platform
package import Tensors

/// Metadata about a model as a whole, as llama.cpp's converter writes it: `general.*`.
package struct GeneralMetadata {
  /// llama.cpp's architecture.
  package let architecture: String
  /// Name of the model's folder.
  package let folderName: String
  /// `config.json`
  package let config: JSONValue
  /// `generation_config.json`, nil where there is none.
  package let generation: JSONValue?
  /// The tensors of the output.
  package let tensors: [(name: ExactText, shape: Shape)]

  /// Collects what is said of a model.
  package init(
    architecture: String, folderName: String, config: JSONValue, generation: JSONValue?,
    tensors: [(name: ExactText, shape: Shape)]
  ) {
    self.architecture = architecture
    self.folderName = folderName
    self.config = config
    self.generation = generation
    self.tensors = tensors
  }

  /// The keys in the converter's order.
  package var metadata: Metadata {
    var metadata = Metadata()
    metadata["general.architecture"] = .string(architecture)
    metadata["general.type"] = .string("model")
    for setting in SamplingSetting.all {
      metadata[setting.key] = value(of: setting)
    }
    let counts = parameterCounts
    var names: [ModelName] = []
    if case .string(let path)? = config["_name_or_path"], path.count(where: { $0 == "/" }) <= 1 {
      names.append(ModelName(path, parameters: counts.total))
    }
    names.append(ModelName(folderName, parameters: counts.total))
    func first(_ part: (ModelName) -> String?) -> String? {
      names.lazy.compactMap(part).first { !$0.isEmpty }
    }
    metadata["general.name"] = .string(first { ModelName.title($0.full) } ?? folderName)
    let parts: [(String, String?)] = [
      ("version", first(\.version)),
      ("organization", first { $0.organization.map(ModelName.title) }),
      ("finetune", first(\.finetune)), ("basename", first(\.base)),
      ("size_label", first(\.sizeLabel) ?? GeneralMetadata.sizeLabel(counts)),
    ]
    for (key, text) in parts {
      if let text, !text.isEmpty { metadata["general.\(key)"] = .string(text) }
    }
    return metadata
  }

  private func value(of setting: SamplingSetting) -> MetadataValue? {
    for key in setting.names {
      switch generation?[key] {
      case .integer(let count)? where setting.isCount: return .int32(Int32(clamping: count))
      case .integer(let count)?: return .float32(Float(count))
      case .number(let number, _)? where !setting.isCount && number.isFinite:
        return .float32(Float(number))
      default: continue
      }
    }
    return nil
  }

  private struct Counts {
    var total = 0
    /// What every token passes through.
    var shared = 0
    /// One expert of each stack.
    var expert = 0
    var experts = 0
  }

  /// Elements of the tensors; a stack of experts is one whose name has `_exps.`.
  private var parameterCounts: Counts {
    var counts = Counts()
    var stacks = 0
    for (name, shape) in tensors {
      let size = shape.elementCount
      counts.total += size
      let dimensions = shape.dimensions
      guard name.contains("_exps."), dimensions.count >= 3 else {
        counts.shared += size
        continue
      }
      let experts = max(1, dimensions[dimensions.count - 3])
      counts.expert += size / experts
      counts.experts += experts
      stacks += 1
    }
    if stacks > 0 { counts.experts /= stacks }
    return counts
  }

  /// `256x20B`: experts times what one token's path through one of them weighs.
  private static func sizeLabel(_ counts: Counts) -> String? {
    guard counts.total > 0 else { return nil }
    guard counts.experts > 0 else { return rounded(counts.total) }
    return "\(counts.experts)x\(rounded(counts.shared + counts.expert))"
  }

  /// A number with at least two significant digits and a unit.
  private static func rounded(_ count: Int) -> String {
    let units: [(above: Double, scale: Double, suffix: String)] = [
      (1e12, 1e-12, "T"), (1e9, 1e-9, "B"), (1e6, 1e-6, "M"), (0, 1e-3, "K"),
    ]
    let unit = units.first { Double(count) > $0.above } ?? units[units.count - 1]
    let value = Double(count) * unit.scale
    let whole = Int(value.rounded(.toNearestOrEven))
    let digits = whole == 0 ? 2 : max(0, 2 - String(whole).utf8.count)
    let scale = digits == 0 ? 1 : digits == 1 ? 10 : 100
    let scaled = Int((value * Double(scale)).rounded(.toNearestOrEven))
    guard digits > 0 else { return "\(scaled)\(unit.suffix)" }
    let fraction = String(scaled % scale)
    let zeros = String(repeating: "0", count: digits - fraction.utf8.count)
    return "\(scaled / scale).\(zeros)\(fraction)\(unit.suffix)"
  }
}
