public import Platform

/// Which modules of a checkpoint compressed-tensors stores, and how: a `quantization_config` whose
/// `quant_method` is `compressed-tensors`.
public struct CompressedTensorsConfig: Sendable, Hashable {
  /// One of `config_groups`.
  public struct Group: Sendable, Hashable {
    /// Its key.
    public let name: String
    /// The modules that it is for.
    public let targets: [ModuleTarget]
    /// How their weights are stored; nil where only activations are quantized.
    public let scheme: CompressedScheme?

    /// Names a group.
    public init(name: String, targets: [ModuleTarget], scheme: CompressedScheme?) {
      self.name = name
      self.targets = targets
      self.scheme = scheme
    }
  }

  /// The groups in the order of the document.
  public let groups: [Group]
  /// Modules that no group is for.
  public let ignored: [ModuleTarget]
  /// Targets in the order in which they are tried: names, then patterns, then classes, each in the
  /// order of their texts.
  private let targets: [(target: ModuleTarget, group: Int)]

  /// Sorts the targets; where one stands twice the last group has it.
  public init(groups: [Group], ignored: [ModuleTarget]) {
    self.groups = groups
    self.ignored = ignored
    var owners: [ModuleTarget: Int] = [:]
    for (index, group) in groups.enumerated() {
      for target in group.targets { owners[target] = index }
    }
    targets = owners.sorted { $0.key.precedes($1.key) }.map { ($0.key, $0.value) }
  }

  /// How the weight of a module is stored, nil where it is stored as it is.
  ///
  /// Source: compressed-tensors 0.20, `match_named_modules` and `match_targets`.
  ///
  /// - Parameters:
  ///   - name: the module's path in the checkpoint.
  ///   - moduleClass: the class of torch that it is, `Linear` or `Embedding`; others are never
  ///     quantized.
  /// - Throws: `.malformed` where a pattern takes too long.
  public func scheme(
    ofModule name: String, moduleClass: ModuleTarget.Class
  ) throws(Fault) -> CompressedScheme? {
    for target in ignored where try target.matches(name, moduleClass) { return nil }
    for (target, group) in targets where try target.matches(name) { return groups[group].scheme }
    for (target, group) in targets where target.names(moduleClass) { return groups[group].scheme }
    return nil
  }

  public static func == (left: Self, right: Self) -> Bool {
    left.groups == right.groups && left.ignored == right.ignored
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(groups)
    hasher.combine(ignored)
  }
}

/// What names modules in a config of compressed-tensors: a path, a pattern, or a class.
public struct ModuleTarget: Sendable, Hashable {
  /// Classes of torch whose weights compressed-tensors stores.
  public enum Class: String, Sendable, Hashable {
    case linear = "Linear"
    case embedding = "Embedding"
  }

  /// As it stands in the config: a pattern follows `re:`.
  public let text: String
  private let pattern: RegularExpression?

  /// Compiles a target.
  ///
  /// - Throws: `.malformed` for a pattern that cannot be used.
  public init(_ text: String) throws(Fault) {
    self.text = text
    pattern =
      text.hasPrefix(ModuleTarget.patternPrefix)
      ? try RegularExpression(python: String(text.dropFirst(ModuleTarget.patternPrefix.count)))
      : nil
  }

  private static let patternPrefix = "re:"

  /// Whether it names the path, or its pattern fits from the path's beginning.
  public func matches(_ path: String) throws(Fault) -> Bool {
    guard let pattern else { return text == path }
    return try pattern.matches(startOf: path)
  }

  func names(_ moduleClass: Class) -> Bool {
    // Embedding and Linear have no classes between them and Module.
    text == moduleClass.rawValue || text == "Module"
  }

  func matches(_ path: String, _ moduleClass: Class) throws(Fault) -> Bool {
    if names(moduleClass) { return true }
    return try matches(path)
  }

  /// The order in which compressed-tensors tries targets.
  func precedes(_ other: ModuleTarget) -> Bool {
    let marks = (text.contains(ModuleTarget.patternPrefix), other.text.contains("re:"))
    if marks.0 != marks.1 { return !marks.0 }
    return text.unicodeScalars.lexicographicallyPrecedes(other.text.unicodeScalars)
  }

  public static func == (left: ModuleTarget, right: ModuleTarget) -> Bool {
    left.text == right.text
  }

  public func hash(into hasher: inout Hasher) { hasher.combine(text) }
}
