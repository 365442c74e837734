/// The alphabet of byte-level BPE: each byte is written as one visible character, so that tokens
/// are text whatever bytes they stand for (Radford et al. 2019, GPT-2).
enum ByteLevelAlphabet {
  /// The byte that a character stands for.
  static let bytes: [Unicode.Scalar: UInt8] = {
    var bytes: [Unicode.Scalar: UInt8] = [:]
    var next: UInt32 = 256
    for byte in UInt8.min...UInt8.max {
      let isVisible =
        (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte)
        || (0xAE...0xFF).contains(byte)
      if isVisible {
        bytes[Unicode.Scalar(byte)] = byte
      } else if let scalar = Unicode.Scalar(next) {
        bytes[scalar] = byte
        next += 1
      }
    }
    return bytes
  }()

  /// The characters by their bytes.
  private static let characters: [Unicode.Scalar] = {
    var characters = [Unicode.Scalar](repeating: " ", count: 256)
    for (scalar, byte) in bytes { characters[Int(byte)] = scalar }
    return characters
  }()

  /// How bytes are written.
  static func text(of bytes: [UInt8]) -> String {
    var text = String.UnicodeScalarView()
    for byte in bytes { text.append(characters[Int(byte)]) }
    return String(text)
  }

  /// The bytes that a token stands for; nil where it has any other character.
  static func bytes(of token: String) -> [UInt8]? {
    var decoded: [UInt8] = []
    for scalar in token.unicodeScalars {
      guard let byte = bytes[scalar] else { return nil }
      decoded.append(byte)
    }
    return decoded
  }

  /// The text that a token stands for; a token with any other character stands for itself.
  static func decode(_ token: String) -> String {
    bytes(of: token).map { String(decoding: $0, as: UTF8.self) } ?? token
  }

  /// The character that a space is written as.
  static let space: Unicode.Scalar = "Ġ"
}
