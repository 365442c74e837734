/// Integers beyond 64 bits, which json-c cuts off and Python writes: transformers' settings of a
/// tokenizer without `model_max_length` have 10³⁰ as an integer of 31 digits.
enum LongIntegers {
  /// A document in which each of them is written as a number with an exponent.
  static func withExponents(_ bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    var (copied, place, isString) = (0, 0, false)
    while place < bytes.count {
      switch bytes[place] {
      case UInt8(ascii: "\""):
        isString.toggle()
        place += 1
      case UInt8(ascii: "\\"): place += 2
      case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
        let end = bytes[place...].firstIndex { !isPartOfNumber($0) } ?? bytes.count
        if !isString, isLong(bytes[place..<end]) {
          result += bytes[copied..<end] + Array("e0".utf8)
          copied = end
        }
        place = end
      default: place += 1
      }
    }
    return copied == 0 ? bytes : result + bytes[copied...]
  }

  private static func isPartOfNumber(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"),
      UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"):
      true
    default: false
    }
  }

  /// Whether a number is such an integer.
  static func isLong(_ number: ArraySlice<UInt8>) -> Bool {
    let digits = number.first == UInt8(ascii: "-") ? number.dropFirst() : number
    // Fewer fit; more than 300 are no number that a Double holds.
    return (19...300).contains(digits.count)
      && digits.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      && Int(String(decoding: number, as: UTF8.self)) == nil
  }
}
