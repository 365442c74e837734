import Foundation

/// Checks a document against a JSON Schema of draft 2020-12, as far as the keywords that the
/// schemas of this repository use; an unknown keyword is a failure, so that none goes unchecked.
package struct JSONSchema {
  private let root: [String: Any]

  /// Reads `Schemas/<name>.schema.json`.
  package init(named name: String) throws {
    let bytes = try contents("\(Repository.root)/Schemas/\(name).schema.json")
    guard let root = try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any] else {
      throw CocoaError(.propertyListReadCorrupt)
    }
    self.root = root
  }

  /// What is wrong with a document, one line each; empty where it is valid.
  package func faults(in document: JSONDocument) -> [String] {
    var faults: [String] = []
    check(document.root, root, at: "$", &faults)
    return faults
  }

  private static let annotations: Set<String> = [
    "$schema", "$id", "$defs", "title", "description", "examples", "default", "$comment",
  ]

  private func check(
    _ value: Any, _ schema: [String: Any], at path: String, _ faults: inout [String]
  ) {
    for (keyword, argument) in schema where !JSONSchema.annotations.contains(keyword) {
      switch keyword {
      case "$ref": check(value, resolve(argument), at: path, &faults)
      case "const":
        if !equal(value, argument) { faults.append("\(path) is not \(argument)") }
      case "enum":
        if !((argument as? [Any]) ?? []).contains(where: { equal(value, $0) }) {
          faults.append("\(path) is none of \(argument)")
        }
      case "type":
        let types = argument as? [String] ?? [argument as? String ?? ""]
        if !types.contains(where: { JSONSchema.has(value, type: $0) }) {
          faults.append("\(path) is not of type \(types)")
        }
      case "minimum", "exclusiveMinimum", "maximum":
        if let number = value as? NSNumber, let limit = argument as? NSNumber,
          !JSONSchema.holds(keyword, number.doubleValue, limit.doubleValue)
        {
          faults.append("\(path) breaks \(keyword) \(limit)")
        }
      case "maxItems", "minItems":
        if let items = value as? [Any], let limit = argument as? Int,
          keyword == "maxItems" ? items.count > limit : items.count < limit
        {
          faults.append("\(path) breaks \(keyword) \(limit)")
        }
      case "pattern":
        if let text = value as? String, let pattern = argument as? String,
          text.range(of: pattern, options: .regularExpression) == nil
        {
          faults.append("\(path) does not match \(pattern)")
        }
      case "items":
        for (index, item) in ((value as? [Any]) ?? []).enumerated() {
          check(item, argument as? [String: Any] ?? [:], at: "\(path)[\(index)]", &faults)
        }
      case "anyOf":
        let ways = (argument as? [[String: Any]] ?? []).map { way in
          var faults: [String] = []
          check(value, way, at: path, &faults)
          return faults
        }
        if !ways.contains([]) { faults.append("\(path) is in none of the ways of anyOf") }
      case "required", "properties", "additionalProperties": break
      default: faults.append("\(path): the schema uses \(keyword), which this checker lacks")
      }
    }
    if let object = value as? [String: Any] { check(object: object, schema, at: path, &faults) }
  }

  private func check(
    object: [String: Any], _ schema: [String: Any], at path: String, _ faults: inout [String]
  ) {
    for key in schema["required"] as? [String] ?? [] where object[key] == nil {
      faults.append("\(path) lacks \(key)")
    }
    let properties = schema["properties"] as? [String: Any] ?? [:]
    for (key, value) in object {
      if let property = properties[key] as? [String: Any] {
        check(value, property, at: "\(path).\(key)", &faults)
      } else if let other = schema["additionalProperties"] as? [String: Any] {
        check(value, other, at: "\(path).\(key)", &faults)
      } else if schema["additionalProperties"] as? Bool == false {
        faults.append("\(path) has an unknown \(key)")
      }
    }
  }

  private func resolve(_ reference: Any) -> [String: Any] {
    if reference as? String == "#" { return root }
    let name = (reference as? String ?? "").replacingOccurrences(of: "#/$defs/", with: "")
    return (root["$defs"] as? [String: Any])?[name] as? [String: Any] ?? ["unresolved": name]
  }

  private func equal(_ a: Any, _ b: Any) -> Bool { (a as? NSObject) == (b as? NSObject) }

  private static func holds(_ keyword: String, _ value: Double, _ limit: Double) -> Bool {
    switch keyword {
    case "minimum": value >= limit
    case "exclusiveMinimum": value > limit
    default: value <= limit
    }
  }

  private static func has(_ value: Any, type: String) -> Bool {
    let isBoolean = (value as? NSNumber).map { String(cString: $0.objCType) == "c" } ?? false
    switch type {
    case "object": return value is [String: Any]
    case "array": return value is [Any]
    case "string": return value is String
    case "null": return value is NSNull
    case "boolean": return isBoolean
    case "number": return value is NSNumber && !isBoolean
    case "integer":
      guard !isBoolean, let number = value as? NSNumber else { return false }
      return number.doubleValue == number.doubleValue.rounded()
    default: return false
    }
  }
}
