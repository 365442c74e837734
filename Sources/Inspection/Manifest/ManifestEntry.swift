internal import Platform

/// The members of an entry of a manifest's lists, or of a list of hashes, that are checked.
struct ManifestEntry {
  var name: ExactText?
  var type: String?
  var shape: [Int]?
  var byteCount: Int?
  var hash: BLAKE3Value?
  /// Of a file of weights.
  var header: BLAKE3Value?
  /// Where it stands.
  let offset: UInt64

  /// Dimensions that a shape may have; no format stores more.
  private static let dimensionLimit = 64

  init(_ cursor: inout JSONCursor) throws(Fault) {
    let start = UInt64(cursor.position)
    offset = start
    var entry = (
      name: ExactText?.none, type: String?.none, shape: [Int]?.none, bytes: Int?.none,
      hash: BLAKE3Value?.none, header: BLAKE3Value?.none
    )
    try cursor.members { key, cursor throws(Fault) in
      switch key {
      case "name": entry.name = try ExactText(cursor.string())
      case "type": entry.type = try cursor.string()
      case "bytes": entry.bytes = try cursor.count()
      case "shape":
        var shape: [Int] = []
        try cursor.elements { cursor throws(Fault) in
          shape.append(try cursor.count())
          guard shape.count <= ManifestEntry.dimensionLimit else {
            throw Fault(.malformed, "has a shape of too many dimensions", offset: start)
          }
        }
        entry.shape = shape
      case "hash": entry.hash = try cursor.hashOrNull()
      case "header": entry.header = try cursor.hashOrNull()
      default: try cursor.skipValue()
      }
    }
    (name, type, shape, byteCount, hash, header) = entry
  }

  func require<Value>(_ value: Value?) throws(Fault) -> Value {
    guard let value else {
      throw Fault(
        .malformed, "has an entry that is not complete", tensor: name, offset: offset,
        expected: "name, bytes, hash, and of a tensor type and shape")
    }
    return value
  }
}

extension JSONCursor {
  /// Takes a hash, or null.
  ///
  /// - Throws: `.malformed` for anything else.
  mutating func hashOrNull() throws(Fault) -> BLAKE3Value? {
    skipSpace()
    let start = position
    if peek == UInt8(ascii: "n") {
      try expect(literal: "null")
      return nil
    }
    guard let hash = BLAKE3Value(text: try string()) else {
      throw Fault(
        .malformed, "has a hash that is none", offset: UInt64(start),
        expected: "64 hexadecimal digits")
    }
    return hash
  }
}
