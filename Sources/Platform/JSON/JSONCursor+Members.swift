extension JSONCursor {
  /// Walks over the members of an object.
  ///
  /// - Throws: what `read` throws; `.malformed` for what is no object.
  package mutating func members(
    _ read: (String, inout JSONCursor) throws(Fault) -> Void
  ) throws(Fault) {
    try expect(UInt8(ascii: "{"))
    if take(UInt8(ascii: "}")) { return }
    repeat {
      let key = try string()
      try expect(UInt8(ascii: ":"))
      try read(key, &self)
    } while take(UInt8(ascii: ","))
    try expect(UInt8(ascii: "}"))
  }

  /// Walks over the elements of an array.
  ///
  /// - Throws: what `read` throws; `.malformed` for what is no array.
  package mutating func elements(_ read: (inout JSONCursor) throws(Fault) -> Void) throws(Fault) {
    try expect(UInt8(ascii: "["))
    if take(UInt8(ascii: "]")) { return }
    repeat { try read(&self) } while take(UInt8(ascii: ","))
    try expect(UInt8(ascii: "]"))
  }
}
