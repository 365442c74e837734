internal import Patterns
package import Platform

/// Which modules of a checkpoint compressed-tensors stores, and how: a `quantization_config` whose
/// `quant_method` is `compressed-tensors`.
package struct CompressedTensorsConfig: Sendable, Hashable {
  /// One of `config_groups`.
  package struct Group: Sendable, Hashable {
    /// Its key.
    package let name: String
    /// The modules that it is for.
    package let targets: [ModuleTarget]
    /// How their weights are stored; nil where only activations are quantized.
    package let scheme: CompressedScheme?

    /// Names a group.
    package init(name: String, targets: [ModuleTarget], scheme: CompressedScheme?) {
      self.name = name
      self.targets = targets
      self.scheme = scheme
    }
  }

  /// The groups in the order of the document.
  package let groups: [Group]
  /// Modules that no group is for.
  package let ignored: [ModuleTarget]
  private let targets: TargetTable
  private let exceptions: TargetTable
  /// What stands before a module's path in the checkpoint, where the network is a part of a larger
  /// model; targets may leave it out.
  var prefix: ExactText = ""
  /// Modules that no group is for, as other programs name them; nil for a config of the library.
  private(set) var excluded: ExcludedModules?

  /// Sorts the targets; where one stands twice the last group has it.
  package init(groups: [Group], ignored: [ModuleTarget]) {
    self.groups = groups
    self.ignored = ignored
    targets = TargetTable(
      groups.enumerated().flatMap { index, group in group.targets.map { ($0, index) } })
    exceptions = TargetTable(ignored.map { ($0, 0) })
  }

  /// All linear modules as another program than the library stores them, but for some.
  ///
  /// - Parameter excluded: names, or patterns as of file names.
  init(
    _ scheme: CompressedScheme, by maker: CompressedScheme.Maker, except excluded: [String]
  ) throws(Fault) {
    var scheme = scheme
    scheme.maker = maker
    let linear = try ModuleTarget(ModuleTarget.Class.linear.rawValue)
    self.init(
      groups: [Group(name: "group_0", targets: [linear], scheme: scheme)], ignored: [])
    self.excluded = ExcludedModules(excluded)
  }

  /// How the weight of a module is stored, nil where it is stored as it is.
  ///
  /// Source: compressed-tensors 0.20, `match_named_modules` and `match_targets`.
  ///
  /// - Parameters:
  ///   - name: the module's path in the checkpoint.
  ///   - moduleClass: the class of torch that it is; others are never quantized.
  ///   - steps: how many patterns may take; those that they took are subtracted.
  /// - Throws: `.malformed` where that is not enough.
  package func scheme(
    ofModule name: ExactText, moduleClass: ModuleTarget.Class, steps: inout Int
  ) throws(Fault) -> CompressedScheme? {
    if try isLeftOut(name, moduleClass, steps: &steps) { return nil }
    return try targets.first(for: name, moduleClass, steps: &steps).flatMap { groups[$0].scheme }
  }

  /// Rows and columns of the blocks of FP8 weights; nil where there are none, or several sizes.
  package var fp8Blocks: (rows: Int, columns: Int)? {
    let schemes = Set(groups.compactMap(\.scheme).filter { $0.number == .float8 })
    guard schemes.count == 1, case .block(let rows, let columns)? = schemes.first?.geometry else {
      return nil
    }
    return (rows, columns)
  }

  /// How a tensor of the network is stored; nil where it is stored as it is, or is no weight of a
  /// module that can be stored otherwise.
  func scheme(of tensor: ExpectedTensor, steps: inout Int) throws(Fault) -> CompressedScheme? {
    guard let module = tensor.module, let moduleClass = tensor.moduleClass else { return nil }
    guard !prefix.isEmpty else {
      return try scheme(ofModule: module, moduleClass: moduleClass, steps: &steps)
    }
    for name in [prefix + module, module] {
      if try isLeftOut(name, moduleClass, steps: &steps) { return nil }
    }
    for name in [prefix + module, module] {
      if let group = try targets.first(for: name, moduleClass, steps: &steps) {
        return groups[group].scheme
      }
    }
    return nil
  }

  /// Whether no group is for a module of that path, whatever its targets.
  private func isLeftOut(
    _ name: ExactText, _ moduleClass: ModuleTarget.Class, steps: inout Int
  ) throws(Fault) -> Bool {
    try exceptions.first(for: name, moduleClass, steps: &steps) != nil
      || excluded?.contains(module: name) == true
  }

  /// Whether both say the same.
  package static func == (left: Self, right: Self) -> Bool {
    left.groups == right.groups && left.ignored == right.ignored && left.prefix == right.prefix
      && left.excluded == right.excluded
  }

  /// Hashes what equality is about.
  package func hash(into hasher: inout Hasher) {
    hasher.combine(groups)
    hasher.combine(ignored)
    hasher.combine(excluded)
  }
}

/// What names modules in a config of compressed-tensors: a path, a pattern, or a class.
package struct ModuleTarget: Sendable, Hashable {
  /// Classes of torch whose weights compressed-tensors stores.
  package enum Class: String, Sendable, Hashable {
    case linear = "Linear"
    case embedding = "Embedding"
  }

  /// As it stands in the config: a pattern follows `re:`.
  package let text: String
  private let pattern: RegularExpression?

  /// Compiles a target.
  ///
  /// - Throws: `.malformed` for a pattern that cannot be used.
  package init(_ text: String) throws(Fault) {
    self.text = text
    let source = ExactText(text).without(prefix: ModuleTarget.mark)
    pattern = try source.map { source throws(Fault) in try RegularExpression(python: source.text) }
  }

  private static let mark: ExactText = "re:"

  /// Whether it is a pattern.
  var isPattern: Bool { pattern != nil }

  /// Whether it names the path, or its pattern fits from the path's beginning.
  ///
  /// - Parameter steps: how many a pattern may take; those that it took are subtracted.
  /// - Throws: `.malformed` where that is not enough.
  package func matches(_ path: String, steps: inout Int) throws(Fault) -> Bool {
    guard let pattern else { return ExactText(text) == ExactText(path) }
    return try pattern.matches(startOf: path, steps: &steps)
  }

  /// The order in which compressed-tensors tries patterns.
  func precedes(_ other: ModuleTarget) -> Bool {
    text.unicodeScalars.lexicographicallyPrecedes(other.text.unicodeScalars)
  }

  /// Whether both are written alike.
  package static func == (left: ModuleTarget, right: ModuleTarget) -> Bool {
    ExactText(left.text) == ExactText(right.text)
  }

  /// Hashes what equality is about.
  package func hash(into hasher: inout Hasher) { hasher.combine(ExactText(text)) }
}

/// Finds the target that a module falls under: its path, else a pattern, else its class.
private struct TargetTable: Sendable {
  private var exact: [ExactText: Int] = [:]
  private var patterns: [(target: ModuleTarget, value: Int)] = []

  /// Later values stand for earlier ones of the same target.
  init(_ targets: [(ModuleTarget, Int)]) {
    var owners: [ModuleTarget: Int] = [:]
    for (target, value) in targets { owners[target] = value }
    for (target, value) in owners {
      if target.isPattern {
        patterns.append((target, value))
      } else {
        exact[ExactText(target.text)] = value
      }
    }
    patterns.sort { $0.target.precedes($1.target) }
  }

  func first(
    for name: ExactText, _ moduleClass: ModuleTarget.Class, steps: inout Int
  ) throws(Fault) -> Int? {
    if let value = exact[name] { return value }
    for (target, value) in patterns where try target.matches(name.text, steps: &steps) {
      return value
    }
    // Every class of torch is a Module; these two have no others between.
    return exact[ExactText(moduleClass.rawValue)] ?? exact["Module"]
  }
}
