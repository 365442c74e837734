/// Places of names, found by the names' marks: what the names are, whoever has them compares.
///
/// A dictionary of names would touch, and count a reference to, every name that it looks at, each
/// somewhere else in memory. Here eight bytes of one block tell nearly always whether it is the right
/// one.
package struct MarkTable: Sendable {
  /// A name's mark, and above it its place, counted from 1; 0 where nothing is.
  @usableFromInline
  var slots: [UInt64]
  /// How many are in it.
  package private(set) var count = 0

  /// Makes room for so many names; more find room too.
  package init(capacity: Int) {
    var size = 16
    while size < 2 * capacity { size *= 2 }
    slots = [UInt64](repeating: 0, count: size)
  }

  /// The place of a name; nil where none is the same.
  @inlinable
  package func place(_ mark: UInt32, _ isSame: (Int) -> Bool) -> Int? {
    var slot = Int(mark) & (slots.count - 1)
    while slots[slot] != 0 {
      if UInt32(truncatingIfNeeded: slots[slot]) == mark {
        let place = Int(slots[slot] >> 32) - 1
        if isSame(place) { return place }
      }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  /// Puts in a name that is not there.
  package mutating func insert(_ mark: UInt32, place: Int) {
    if 2 * (count + 1) > slots.count {
      let old = slots
      slots = [UInt64](repeating: 0, count: 2 * old.count)
      for entry in old where entry != 0 { put(entry) }
    }
    count += 1
    put(UInt64(place + 1) << 32 | UInt64(mark))
  }

  private mutating func put(_ entry: UInt64) {
    var slot = Int(UInt32(truncatingIfNeeded: entry)) & (slots.count - 1)
    while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
    slots[slot] = entry
  }

  /// The mark of a name: half of a number of its bytes, of which sixteen at a time, each eight with a
  /// secret of this run, are multiplied and folded. Who does not know the secrets cannot make names
  /// that share a mark.
  package static func mark(of name: UnsafeBufferPointer<UInt8>) -> UInt32 {
    let (raw, count) = (UnsafeRawBufferPointer(name), name.count)
    // A sum: bytes could make up for a length that is only mixed in bit by bit.
    var mark = secrets.0 &+ UInt64(count) &* secrets.1
    func add(_ one: UInt64, _ other: UInt64) {
      let product = (one ^ secrets.1 ^ mark).multipliedFullWidth(by: other ^ secrets.2)
      mark = product.high ^ product.low
    }
    func word(at place: Int) -> UInt64 { raw.loadUnaligned(fromByteOffset: place, as: UInt64.self) }
    if count < 16 {
      var (low, high): (UInt64, UInt64) = (0, 0)
      for byte in name { (low, high) = (low << 8 | UInt64(byte), high << 8 | low >> 56) }
      add(low, high)
    } else {
      for place in stride(from: 0, to: count - 16, by: 16) {
        add(word(at: place), word(at: place + 8))
      }
      add(word(at: count - 16), word(at: count - 8))
    }
    return UInt32(truncatingIfNeeded: mark)
  }

  private static let secrets: (UInt64, UInt64, UInt64) = (
    .random(in: 1...UInt64.max), .random(in: 1...UInt64.max), .random(in: 1...UInt64.max)
  )
}
