package import Models
package import Platform
internal import Tensors

/// The rules of a recipe as they are asked for the type of one module after another.
package struct RecipeRules<Type: RecipeType>: Sendable {
  private let rules: [(rule: RecipeFile<Type>.Rule, glob: Glob, layers: Set<Int>?)]
  private var isHeeded: [Bool]

  /// Takes rules, whose layers are those of a network.
  package init(_ rules: [RecipeFile<Type>.Rule], for config: ModelConfig) {
    self.rules = rules.map { ($0, Glob($0.match), $0.layers.map { $0.numbers(config) }) }
    isHeeded = [Bool](repeating: false, count: rules.count)
  }

  /// The first rule that is about a module; nil where none is.
  ///
  /// - Parameter layer: the module's layer; nil outside the layers.
  package mutating func first(
    for module: ExactText, layer: Int?
  ) -> RecipeFile<Type>.Rule? {
    var found: RecipeFile<Type>.Rule?
    for (place, (rule, glob, layers)) in rules.enumerated() {
      // What stands behind the first is heeded as well: it is about something.
      if found != nil, isHeeded[place] { continue }
      if let layers, layer.map(layers.contains) != true { continue }
      guard glob.matches(module.text) else { continue }
      isHeeded[place] = true
      found = found ?? rule
    }
    return found
  }

  /// Rules that no module asked for until now is about, a line each.
  package var unheeded: [String] {
    zip(rules, isHeeded).filter { !$0.1 }.map { entry, _ -> String in
      let layers = entry.layers == nil ? "" : " in the layers that it speaks of"
      return "the rule \(entry.rule.match)=\(entry.rule.type.recipeName) matches no module"
        + "\(layers) and changes nothing"
    }
  }
}
