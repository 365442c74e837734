internal import Models
package import Platform

/// How MLX packs the weights of a module: `mlx.core.quantize`'s arguments.
package struct MLXSetting: Sendable, Hashable {
  /// The arithmetic.
  package enum Mode: String, Sendable, Hashable, CaseIterable {
    case affine, mxfp4, mxfp8, nvfp4
  }

  /// Columns that share a scale.
  package let groupSize: Int
  /// Bits of a code.
  package let bits: Int
  /// The arithmetic.
  package let mode: Mode

  /// Names a setting; whether there is such a one is for whoever decodes it.
  package init(groupSize: Int, bits: Int, mode: Mode) {
    self.groupSize = groupSize
    self.bits = bits
    self.mode = mode
  }

  /// What mlx-lm 0.32 takes a packed weight for whose module no setting names: its sizes tell.
  ///
  /// - Parameters:
  ///   - words: words of 32 bits in a row.
  ///   - groups: scales in a row.
  ///   - columns: columns that the network has there.
  ///   - isAffine: whether scales are numbers of the weight's type rather than bytes.
  /// - Returns: nil where the sizes belong to no setting.
  package init?(words: Int, groups: Int, columns: Int, isAffine: Bool) {
    let (wordBits, overflow) = words.multipliedReportingOverflow(by: 32)
    guard groups > 0, columns > 0, columns % groups == 0, !overflow, wordBits % columns == 0 else {
      return nil
    }
    let (size, bits) = (columns / groups, wordBits / columns)
    if isAffine {
      self.init(groupSize: size, bits: bits, mode: .affine)
    } else if let mode = MLXSetting.modes.first(where: { $0.bits == bits && $0.size == size })?.mode
    {
      self.init(groupSize: size, bits: bits, mode: mode)
    } else {
      return nil
    }
  }

  private static let modes: [(mode: Mode, size: Int, bits: Int)] = [
    (.nvfp4, 16, 4), (.mxfp4, 32, 4), (.mxfp8, 32, 8),
  ]

  /// As a config says it, in mlx-lm's order.
  package var json: JSONValue {
    .object([
      "group_size": .integer(groupSize), "bits": .integer(bits), "mode": .string(mode.rawValue),
    ])
  }
}

/// The `quantization` of an MLX model's `config.json`.
package struct MLXQuantization: Sendable, Hashable {
  /// What modules have that are not named.
  package let general: MLXSetting
  /// What named modules have; nil for those that are not quantized.
  package let modules: [String: MLXSetting?]

  /// Reads a config; nil where nothing is quantized.
  ///
  /// - Throws: `.malformed` with the key for what is no setting.
  package init?(config: JSONValue, file: String) throws(Fault) {
    let top = ConfigReader(object: config, prefix: "", file: file)
    guard let section = try top.section("quantization"),
      case .object(let object) = section.object
    else { return nil }
    let general = try MLXQuantization.setting(section)
    var modules: [String: MLXSetting?] = [:]
    for key in object.keys {
      switch object[key] {
      case .object?:
        guard let own = try section.section(key) else { continue }
        modules[key] = try MLXQuantization.setting(own)
      case .bool(let isQuantized)?: modules[key] = isQuantized ? general : nil as MLXSetting?
      default: continue
      }
    }
    self.general = general
    self.modules = modules
  }

  private static func setting(_ section: ConfigReader) throws(Fault) -> MLXSetting {
    let name = try section.string("mode") ?? MLXSetting.Mode.affine.rawValue
    guard let mode = MLXSetting.Mode(rawValue: name) else {
      throw section.fault(
        "mode", expected: MLXSetting.Mode.allCases.map(\.rawValue).joined(separator: ", "))
    }
    return MLXSetting(
      groupSize: try section.count("group_size", maximum: 1024),
      bits: try section.count("bits", maximum: 8), mode: mode)
  }
}
