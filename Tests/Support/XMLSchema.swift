import Foundation
import FoundationXML

/// Checks a document against an XML Schema, as far as the constructs that the schemas of this
/// repository use: elements by reference in sequences, attributes, patterns, mixed content. Anything
/// else in a schema is a failure, so that none goes unchecked.
package struct XMLSchema {
  private var elements: [String: XMLElement] = [:]
  private var patterns: [String: String] = [:]

  /// Reads `Schemas/<name>.xsd`.
  package init(named name: String) throws {
    let bytes = try contents("\(Repository.root)/Schemas/\(name).xsd")
    let root = try XMLSchema.parse(Data(bytes))
    for child in XMLSchema.children(of: root) {
      let name = XMLSchema.attribute("name", of: child) ?? ""
      switch child.localName {
      case "element": elements[name] = child
      case "simpleType":
        let restriction = XMLSchema.children(of: child).first
        let pattern = restriction.flatMap { XMLSchema.children(of: $0).first }
        guard pattern?.localName == "pattern" else { throw CocoaError(.propertyListReadCorrupt) }
        patterns[name] = pattern.flatMap { XMLSchema.attribute("value", of: $0) }
      default: throw CocoaError(.propertyListReadCorrupt)
      }
    }
  }

  /// What is wrong with a document, one line each; empty where it is well-formed and valid.
  package func faults(in text: String) -> [String] {
    do {
      let root = try XMLSchema.parse(Data(text.utf8))
      var faults: [String] = []
      check(root, &faults)
      return faults
    } catch { return ["not well-formed: \(error)"] }
  }

  /// The root of a document, read by a parser that takes nothing but well-formed XML.
  package static func parse(_ data: Data) throws -> XMLElement {
    silence()
    // `XMLDocument` mends what it can; this one does not.
    let strict = XMLParser(data: data)
    guard strict.parse() else { throw strict.parserError ?? CocoaError(.propertyListReadCorrupt) }
    guard let root = try XMLDocument(data: data, options: []).rootElement() else {
      throw CocoaError(.propertyListReadCorrupt)
    }
    return root
  }

  private typealias Handler =
    @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<CChar>?) -> Void

  /// Keeps libxml2, which is below Foundation, from printing what it finds wrong: what is checked is
  /// thrown or returned. Each thread has a handler of its own.
  private static func silence() {
    guard let symbol = dlsym(nil, "xmlSetGenericErrorFunc") else { return }
    typealias Setter = @convention(c) (UnsafeMutableRawPointer?, Handler?) -> Void
    unsafeBitCast(symbol, to: Setter.self)(nil) { _, _ in }
  }

  private static func children(of element: XMLElement) -> [XMLElement] {
    (element.children ?? []).compactMap { $0 as? XMLElement }
  }

  private static func attribute(_ name: String, of element: XMLElement) -> String? {
    element.attribute(forName: name)?.stringValue
  }

  private func check(_ element: XMLElement, _ faults: inout [String]) {
    let name = element.name ?? ""
    guard let declaration = elements[name] else {
      faults.append("no element is called \(name)")
      return
    }
    guard let type = XMLSchema.children(of: declaration).first else {
      if !XMLSchema.children(of: element).isEmpty { faults.append("\(name) holds elements") }
      return
    }
    var attributes: [String: XMLElement] = [:]
    var sequence: [XMLElement] = []
    for part in XMLSchema.children(of: type) {
      switch part.localName {
      case "sequence": sequence = XMLSchema.children(of: part)
      case "attribute": attributes[XMLSchema.attribute("name", of: part) ?? ""] = part
      default: faults.append("the schema uses \(part.name ?? ""), which this checker lacks")
      }
    }
    check(attributes, of: element, &faults)
    check(sequence, of: element, &faults)
    let words = (element.children ?? []).filter { $0.kind == .text }.compactMap(\.stringValue)
    if XMLSchema.attribute("mixed", of: type) != "true",
      words.contains(where: { !$0.allSatisfy(\.isWhitespace) })
    {
      faults.append("\(name) holds a text")
    }
  }

  private func check(
    _ attributes: [String: XMLElement], of element: XMLElement, _ faults: inout [String]
  ) {
    let name = element.name ?? ""
    for (key, declaration) in attributes where XMLSchema.attribute(key, of: element) == nil {
      if XMLSchema.attribute("use", of: declaration) == "required" {
        faults.append("\(name) lacks \(key)")
      }
    }
    for attribute in element.attributes ?? [] {
      let (key, value) = (attribute.name ?? "", attribute.stringValue ?? "")
      guard let declaration = attributes[key] else {
        faults.append("\(name) has an unknown \(key)")
        continue
      }
      let type = XMLSchema.attribute("type", of: declaration) ?? ""
      if type == "xs:string" { continue }
      let pattern = "^(\(patterns[type] ?? "(?!)"))$"
      if value.range(of: pattern, options: .regularExpression) == nil {
        faults.append("\(name) \(key)=\"\(value)\" is no \(type)")
      }
    }
  }

  private func check(
    _ sequence: [XMLElement], of element: XMLElement, _ faults: inout [String]
  ) {
    var rest = XMLSchema.children(of: element)[...]
    for part in sequence {
      let name = XMLSchema.attribute("ref", of: part) ?? ""
      let most = XMLSchema.attribute("maxOccurs", of: part) == "unbounded" ? Int.max : 1
      let least = XMLSchema.attribute("minOccurs", of: part).flatMap { Int($0) } ?? 1
      let found = rest.prefix { $0.name == name }
      if !(least...most).contains(found.count) {
        faults.append("\(element.name ?? "") holds \(found.count) of \(name)")
      }
      for child in found { check(child, &faults) }
      rest = rest.dropFirst(found.count)
    }
    if let other = rest.first {
      faults.append("\(element.name ?? "") holds \(other.name ?? "") out of place")
    }
  }
}
