internal import Codecs
package import Mixes
package import Naming
package import Platform
package import Tensors

/// What the user asked of an MLX model.
package struct MLXRecipe: Sendable {
  /// Storage of the weights that no rule is about; nil leaves them as they are, where MLX has a
  /// place for them.
  package var storage: MLXStorage?
  /// Rules of a recipe file, over the paths of modules.
  package var rules: [RecipeFile<MLXStorage>.Rule] = []
  /// Which loader it is for.
  package var layout: MLXNames.Layout

  /// mlx-lm's shards.
  package static let usualShardLimit = 5 << 30

  /// Makes a recipe.
  package init(_ storage: MLXStorage?, layout: MLXNames.Layout = .mlxLM) {
    self.storage = storage
    self.layout = layout
  }

  /// The recipe with what a recipe file adds to it.
  ///
  /// - Throws: `.usage` where both name a type for the rest.
  package func adding(_ file: RecipeFile<MLXStorage>) throws(Fault) -> MLXRecipe {
    var result = self
    result.rules = file.rules
    guard let base = file.base else { return result }
    guard storage == nil else {
      throw Fault(
        .usage, "names a default, and so does --quant", file: file.path, expected: "one of them")
    }
    result.storage = base
    return result
  }
}

extension MLXStorage: RecipeType {
  /// See `RecipeType`.
  package static var recipeTarget: String { "mlx" }

  /// A row's name, with groups of another size behind it: `4bit`, `4bit-g32`.
  package static func inRecipe(named name: String) throws(Fault) -> MLXStorage {
    let parts = name.lowercased().split(
      separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2 else { return try MLXStorage(named: name) }
    guard parts[1].first == "g", let size = Int(parts[1].dropFirst()),
      parts[1].dropFirst().allSatisfy(\.isNumber)
    else {
      throw Fault(
        .usage, "'\(name)' is no type for --to mlx", expected: "2bit to 8bit, 4bit-g32 and the like"
      )
    }
    return try MLXStorage(named: String(parts[0]), groupSize: size)
  }

  /// See `RecipeType`.
  package var recipeName: String {
    guard case .groups(let setting) = kind, setting.mode == .affine,
      setting.groupSize != MLXStorage.usualGroup
    else { return name }
    return "\(name)-g\(setting.groupSize)"
  }

  /// What modules have that are stored so; nil for plain numbers.
  package var setting: MLXSetting? {
    if case .groups(let setting) = kind { setting } else { nil }
  }
}

/// What MLX models store weights in, as a row of the table of `--quant` names.
package struct MLXStorage: Sendable, Hashable {
  /// How the numbers are stored.
  package enum Kind: Sendable, Hashable {
    /// Plain numbers.
    case plain(ElementType)
    /// Groups that share a scale.
    case groups(MLXSetting)
  }

  /// The name on the command line.
  package let name: String
  /// How the numbers are stored.
  package let kind: Kind

  /// Columns that share a scale where the user says nothing, as in mlx-lm.
  package static let usualGroup = 64

  /// All rows, those of the affine mode with the usual groups.
  package static let all: [MLXStorage] =
    [("bf16", ElementType.bf16), ("f16", .f16), ("f32", .f32)].map {
      MLXStorage(name: $0, kind: .plain($1))
    }
    + [2, 3, 4, 5, 6, 8].map {
      MLXStorage(
        name: "\($0)bit",
        kind: .groups(MLXSetting(groupSize: usualGroup, bits: $0, mode: .affine)))
    }
    + [(32, 4, MLXSetting.Mode.mxfp4), (32, 8, .mxfp8), (16, 4, .nvfp4)].map {
      MLXStorage(
        name: $2.rawValue, kind: .groups(MLXSetting(groupSize: $0, bits: $1, mode: $2)))
    }

  /// The row with that name, in any case, with other groups where the mode has a choice.
  ///
  /// - Throws: `.usage` for an unknown name, and for groups that the mode does not have.
  package init(named name: String, groupSize: Int? = nil) throws(Fault) {
    guard let row = MLXStorage.all.first(where: { $0.name == name.lowercased() }) else {
      throw Fault(
        .usage, "'\(name)' is no type for --to mlx",
        expected: MLXStorage.all.map(\.name).joined(separator: ", "))
    }
    guard let groupSize else {
      self = row
      return
    }
    guard case .groups(let setting) = row.kind, setting.mode == .affine,
      GroupScheme.mlxAffine(bits: setting.bits, group: groupSize) != nil
    else {
      throw Fault(
        .usage, "groups of \(groupSize) do not go with \(row.name)",
        expected: "2bit to 8bit, with groups of 32, 64 or 128")
    }
    self.name = row.name
    kind = .groups(MLXSetting(groupSize: groupSize, bits: setting.bits, mode: .affine))
  }

  private init(name: String, kind: Kind) {
    self.name = name
    self.kind = kind
  }
}

extension GroupScheme {
  /// How MLX computes a setting; nil where it has no such one.
  package init?(_ setting: MLXSetting) {
    let scheme: GroupScheme? =
      switch setting.mode {
      case .affine: .mlxAffine(bits: setting.bits, group: setting.groupSize)
      case .mxfp4: .mlxMXFP4
      case .mxfp8: .mlxMXFP8
      case .nvfp4: .mlxNVFP4
      }
    guard let scheme, scheme.group == setting.groupSize, scheme.code.bits == setting.bits else {
      return nil
    }
    self = scheme
  }

  /// MLX' own name of the scheme; nil where it is not one of its own.
  package var mlxSetting: MLXSetting? {
    guard let group else { return nil }
    let mode: MLXSetting.Mode? =
      switch (method, code) {
      case (.mlxAffine, _): .affine
      case (.mlxPowerOfTwo, .f4): .mxfp4
      case (.mlxPowerOfTwo, .f8E4M3): .mxfp8
      case (.mlxE4M3, .f4): .nvfp4
      default: nil
      }
    guard let mode else { return nil }
    let setting = MLXSetting(groupSize: group, bits: code.bits, mode: mode)
    return GroupScheme(setting) == nil ? nil : setting
  }
}
