import Foundation

/// A printed JSON document, read by Foundation rather than by the product's own parser.
package struct JSONDocument {
  /// The document's root.
  package let root: Any

  /// Parses a text.
  package init(_ text: String) throws {
    root = try JSONSerialization.jsonObject(with: Data(text.utf8), options: [.fragmentsAllowed])
  }

  private init(root: Any) { self.root = root }

  /// What stands at a path of keys.
  package subscript(_ path: String...) -> Any? { value(path) }

  private func value(_ path: [String]) -> Any? {
    path.reduce(root as Any?) { ($0 as? [String: Any])?[$1] }
  }

  /// An integer at a path of keys.
  package func integer(_ path: String...) -> Int? { (value(path) as? NSNumber)?.intValue }

  /// A truth value at a path of keys.
  package func bool(_ path: String...) -> Bool? { value(path) as? Bool }

  /// A number at a path of keys.
  package func number(_ path: String...) -> Double? { (value(path) as? NSNumber)?.doubleValue }

  /// A string at a path of keys.
  package func string(_ path: String...) -> String? { value(path) as? String }

  /// The elements of an array at a path of keys; none where there is none.
  package func list(_ path: String...) -> [JSONDocument] {
    (value(path) as? [Any] ?? []).map { JSONDocument(root: $0) }
  }
}
