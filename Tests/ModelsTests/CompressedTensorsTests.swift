import Models
import Platform
import Support
import Tensors
import Testing

/// What `scripts/make compressed-fixtures` asked of compressed-tensors 0.20 and Python's `re`.
@Suite struct CompressedTensorsTests {
  private static let fixture = Result { try TokenizerFixture.json("compressed-tensors.json") }

  private static func rows(_ key: String) throws -> [JSONValue] {
    try fixture.get()[key]?.list ?? []
  }

  private static func members(_ value: JSONValue?) -> [(key: String, value: JSONValue)] {
    guard case .object(let object)? = value else { return [] }
    return object.keys.compactMap { key in object[key].map { (key, $0) } }
  }

  private static func modules() throws -> [(path: String, class: ModuleTarget.Class, shape: Shape)]
  {
    try members(fixture.get()["modules"]).compactMap { path, module in
      guard let kind = module["class"]?.string.flatMap(ModuleTarget.Class.init(rawValue:)),
        let shape = Shape((module["shape"]?.list ?? []).compactMap(\.integer))
      else { return nil }
      return (path, kind, shape)
    }
  }

  /// Python has them, and no config is known to need them.
  private static let notSupported = [#"re:.*(?<=lm_)head"#, #"re:(l)m_head\1"#]

  @Test func patternsMatchAsInPython() throws {
    let modules = try Self.modules()
    let rows = try Self.rows("patterns")
    #expect(rows.count > 30 && modules.count == 12)
    for row in rows {
      let text = try #require(row["target"]?.string)
      guard let expected = row["matches"], expected != .null, !Self.notSupported.contains(text)
      else {
        #expect(throws: Fault.self, "\(text)") { try ModuleTarget(text) }
        continue
      }
      let target = try ModuleTarget(text)
      var steps = 1_000_000
      let found = try modules.map(\.path).filter { try target.matches($0, steps: &steps) }
      #expect(found == expected.list.compactMap(\.string), "\(text)")
    }
  }

  @Test func modulesAreStoredAsCompressedTensorsStoresThem() throws {
    let modules = try Self.modules()
    let rows = try Self.rows("configs")
    #expect(rows.count > 15)
    for row in rows {
      let name = try #require(row["name"]?.string)
      let config = try CompressedTensorsConfig(
        json: try #require(row["quantization_config"]), file: name)
      let stored = Dictionary(
        uniqueKeysWithValues: Self.members(row["stored"]).map { ($0.key, $0.value) })
      for module in modules {
        var steps = 1_000_000
        let scheme = try config.scheme(
          ofModule: ExactText(module.path), moduleClass: module.class, steps: &steps)
        guard let expected = stored[module.path] else {
          // The library cannot store what its groups do not divide.
          #expect(scheme != nil && scheme?.tensors(of: module.shape) == nil, "\(name) \(module)")
          continue
        }
        guard let scheme else {
          #expect(expected == .null, "\(name) \(module)")
          continue
        }
        try compare(scheme.tensors(of: module.shape), expected, "\(name) \(module.path)")
      }
    }
  }

  private func compare(
    _ tensors: [CompressedTensor]?, _ expected: JSONValue, _ label: String
  ) throws {
    let tensors = try #require(tensors, "\(label)")
    let expected = Self.members(expected)
    #expect(tensors.map(\.name.text).sorted() == expected.map(\.key), "\(label)")
    for (name, value) in expected {
      let tensor = tensors.first { $0.name == ExactText(name) }
      #expect(tensor?.shape.dimensions == value.list[1].list.compactMap(\.integer), "\(label)")
      let type = try #require(value.list[0].string.flatMap(ElementType.init(safetensorsName:)))
      #expect(tensor?.types.contains(type) == true, "\(label) \(name)")
    }
  }

  /// What is written is read as what was meant, by ourselves; `scripts/interop` asks the library.
  @Test(arguments: CompressedScheme.named.map(\.name))
  func writtenSectionsAreRead(name: String) throws {
    let scheme = try #require(CompressedScheme.named.first { $0.name == name }?.scheme)
    let section = scheme.section(ignored: ["lm_head", #"re:.*mlp\.gate$"#])
    let config = try CompressedTensorsConfig(json: section, file: name)
    #expect(config.groups.map(\.scheme) == [scheme])
    #expect(config.groups[0].targets.map(\.text) == ["Linear"])
    #expect(config.ignored.map(\.text) == ["lm_head", #"re:.*mlp\.gate$"#])
  }

  private static let weights = #""num_bits": 4, "strategy": "group", "group_size": 32"#

  /// Later keys stand for earlier ones.
  private func section(_ weights: String, _ rest: String) throws -> JSONValue {
    func object(_ text: String) throws -> JSONObject {
      var object: JSONObject = [:]
      for part in text.split(separator: ", ") {
        let member = try JSONValue(parsing: Array("{\(part)}".utf8), file: "a test")
        for (key, value) in Self.members(member) { object[key] = value }
      }
      return object
    }
    let group: JSONObject = [
      "targets": .array([.string("Linear")]),
      "weights": .object(try object(Self.weights + ", " + weights)),
    ]
    var section = try object(#""format": "pack-quantized", "# + rest)
    if section["config_groups"] == nil {
      section["config_groups"] = .object(["g": .object(group)])
    }
    return .object(section)
  }

  @Test(arguments: [
    (#""actorder": "sideways""#, "actorder"), (#""num_bits": 9"#, "num_bits"),
    (#""dynamic": true"#, "dynamic"), (#""strategy": "channel""#, "strategy"),
    (#""group_size": null"#, "group_size"), (#""num_bits": 3"#, "weights"),
    (#""type": "float""#, "weights"), (#""type": "bool""#, "type"),
    (#""strategy": "block""#, "block_structure"), (#""group_size": 0"#, "group_size"),
    (#""strategy": "block", "block_structure": "128x""#, "block_structure"),
    (#""strategy": "block", "block_structure": [128]"#, "block_structure"),
  ])
  func weightsThatCannotBeReadAreNamed(weights: String, key: String) throws {
    _ = try CompressedTensorsConfig(json: section("", ""), file: "config.json")
    let section = try section(weights, "")
    let fault = #expect(throws: Fault.self) {
      try CompressedTensorsConfig(json: section, file: "config.json")
    }
    let message = try #require(fault).message
    #expect(message.contains("config_groups.g.") && message.contains("\(key)\""), "\(message)")
  }

  @Test(arguments: [
    (#""format": "marlin-24""#, "config_groups.g.format"), (#""ignore": [1]"#, "ignore"),
    (#""ignore": ["re:("]"#, "ignore"), (#""config_groups": null"#, "config_groups"),
    (#""sparsity_config": {"format": "sparse-24-bitmask"}"#, "sparsity_config.format"),
    (#""transform_config": {"config_groups": {"r": {}}}"#, "transform_config"),
  ])
  func whatChangesWeightsInUnknownWaysIsRefused(rest: String, key: String) throws {
    let section = try section("", rest)
    let fault = #expect(throws: Fault.self) {
      try CompressedTensorsConfig(json: section, file: "config.json")
    }
    #expect(fault?.message.contains("\(key)\"") == true, "\(String(describing: fault))")
  }

  @Test func patternsWithoutEndAreStopped() throws {
    let section = try section("", #""ignore": ["re:(.*)*(.*)*(.*)*x"]"#)
    let config = try CompressedTensorsConfig(json: section, file: "config.json")
    var steps = 100_000
    let name = String(repeating: "model.layers.", count: 10)
    #expect(throws: Fault.self) {
      try config.scheme(ofModule: ExactText(name), moduleClass: .linear, steps: &steps)
    }
    #expect(steps <= 0)
  }
}
