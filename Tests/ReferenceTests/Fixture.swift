import Models
import Platform
import Reference
import Support

/// A case of `Fixtures/*.json`, made from transformers by `scripts/make reference-fixtures`.
struct Fixture: CustomStringConvertible, Sendable {
  let json: JSONValue

  /// The cases of a file.
  static func cases(_ file: String) throws -> [Fixture] {
    let path = Repository.root + "/Tests/ReferenceTests/Fixtures/" + file
    guard case .array(let cases) = try JSONValue(parsing: contents(path), file: path) else {
      throw Fault(.malformed, "holds no cases", file: path)
    }
    return cases.map(Fixture.init)
  }

  var description: String {
    if case .string(let name)? = json["name"] { name } else { "nameless" }
  }

  func config() throws -> ModelConfig {
    try ModelConfig(json: json["config"] ?? .null, file: description)
  }

  func number(_ key: String) -> Double { Fixture.number(json[key]) }

  func text(_ key: String) -> String {
    if case .string(let text)? = json[key] { text } else { "" }
  }

  func integer(_ key: String) -> Int { Int(number(key)) }

  /// The objects of a list, each as a fixture.
  func objects(_ key: String) -> [Fixture] { Fixture.elements(json[key]).map(Fixture.init) }

  func numbers(_ key: String) -> [Double] { Fixture.elements(json[key]).map(Fixture.number) }

  func integers(_ key: String) -> [Int] { numbers(key).map { Int($0) } }

  /// (rows, columns)
  func rows(_ key: String) -> [[Double]] {
    Fixture.elements(json[key]).map { Fixture.elements($0).map(Fixture.number) }
  }

  /// (rows, columns) as the forward pass has it; the numbers were F32 when they were written.
  func activations(_ key: String) -> Activations {
    let rows = rows(key)
    let result = Activations(rows: rows.count, columns: rows[0].count)
    for (index, row) in rows.enumerated() {
      _ = result[index].update(fromContentsOf: row.map { Float($0) })
    }
    return result
  }

  private static func elements(_ value: JSONValue?) -> [JSONValue] {
    if case .array(let elements)? = value { elements } else { [] }
  }

  private static func number(_ value: JSONValue?) -> Double {
    switch value {
    case .integer(let number)?: Double(number)
    case .number(let number, _)?: number
    default: .nan
    }
  }
}

/// The largest |a − b| ÷ max(|b|, floor); infinite where the lengths differ or something is NaN.
func largestError(_ found: [Double], _ expected: [Double], floor: Double) -> Double {
  guard found.count == expected.count, !found.isEmpty else { return .infinity }
  return zip(found, expected).map { a, b in
    let error = abs(a - b) / max(abs(b), floor)
    return error.isNaN ? .infinity : error
  }.max() ?? .infinity
}
