internal import Platform

/// Which file names are a checkpoint's shards.
enum ShardNames {
  /// The parts of `model-00003-of-00163.safetensors`.
  struct Numbered: Hashable {
    let stem: String
    let number: Int
    let total: Int
    /// Digits of the number, which need not be as many as those of the total: DeepSeek's own files
    /// are called `model-00003-of-000163.safetensors`.
    let digits: Int
    /// The total as it is written.
    let writtenTotal: ExactText

    /// What the names of a set have in common.
    var set: ExactText { "\(stem)/\(writtenTotal)" }

    init?(_ name: ExactText) {
      guard name.utf8.count <= ShardNames.lengthLimit,
        let stem = name.without(suffix: ".safetensors")
      else { return nil }
      let parts = stem.split(separator: "-")
      guard parts.count >= 4, parts[parts.count - 2] == "of",
        let number = Int(parts[parts.count - 3].text), let total = Int(parts[parts.count - 1].text),
        (1...max(total, 1)).contains(number), total <= 1_000_000
      else { return nil }
      self.stem = parts[..<(parts.count - 3)].joined(separator: "-")
      self.number = number
      self.total = total
      digits = parts[parts.count - 3].utf8.count
      writtenTotal = parts[parts.count - 1]
    }
  }

  /// Files that belong to a checkpoint without asking an index: numbered shards, unless they are
  /// called otherwise than a whole `model.safetensors` beside them, as some have their MTP layers in
  /// `mtp-1-of-1.safetensors`; else DeepSeek's model-parallel ones; else `model.safetensors`, or Mistral's `consolidated.safetensors`; else
  /// every safetensors file.
  static func candidates(_ names: [ExactText]) -> [ExactText] {
    let numbered = names.filter { Numbered($0) != nil }
    let isBeside =
      names.contains("model.safetensors") && !numbered.contains { Numbered($0)?.stem == "model" }
    if !numbered.isEmpty, !isBeside { return numbered }
    let native = names.filter { NativeShardName($0) != nil }
    if !native.isEmpty { return native }
    for name in ["model.safetensors", "consolidated.safetensors"] as [ExactText]
    where names.contains(name) { return [name] }
    return names.filter { $0.hasSuffix(".safetensors") }
  }

  /// Whether models' weights are called so; logits, or tables of somebody's own, are not.
  static func isUsual(_ name: ExactText) -> Bool {
    if Numbered(name) != nil || NativeShardName(name) != nil { return true }
    let stems: [ExactText] = ["model", "pytorch_model", "consolidated", "adapter_model"]
    return stems.contains {
      name == $0 + ".safetensors" || name.hasPrefix($0 + ".")
    }
  }

  /// Bytes that a file's name may have on any system: what is longer names no file, and would be
  /// repeated for each file of its set.
  private static let lengthLimit = 255

  /// Names that numbered sets lack: 3 of 163 implies the other 162.
  ///
  /// - Throws: `.malformed` where all sets together lack more than a model may have: a short name
  ///   can claim any total, and an index can name many.
  static func missing(
    _ names: [ExactText], in folder: String, within budget: ModelBudget
  ) throws(Fault) -> [ExactText] {
    var sets: [ExactText: (first: Numbered, numbers: Set<Int>)] = [:]
    for name in names {
      guard let parts = Numbered(name) else { continue }
      // Numbers without leading zeros are as wide as need be.
      if let first = sets[parts.set]?.first, parts.digits < first.digits {
        sets[parts.set]?.first = parts
      }
      sets[parts.set, default: (parts, [])].numbers.insert(parts.number)
    }
    var missing = try NativeShardName.missing(names, in: folder, within: budget)
    for (first, numbers) in sets.values where numbers.count < first.total {
      try budget.files.take(
        first.total - numbers.count, for: Folder.join(folder, name(first, number: first.number)))
      for number in 1...first.total where !numbers.contains(number) {
        missing.append(name(first, number: number))
      }
    }
    return missing
  }

  private static func name(_ parts: Numbered, number: Int) -> ExactText {
    let digits = String(number)
    let padding = String(repeating: "0", count: max(0, parts.digits - digits.count))
    return "\(parts.stem)-\(padding)\(digits)-of-\(parts.writtenTotal).safetensors"
  }
}
