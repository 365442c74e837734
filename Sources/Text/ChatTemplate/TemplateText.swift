/// Bytes that are looked for in others, in a time that grows with their number alone (Knuth, Morris
/// and Pratt 1977): a template could choose texts for which a plain search takes hours.
struct TextSearch {
  private let part: [UInt8]
  /// For each place of `part`: how many bytes before it are also its first ones.
  private var borders: [Int] = []

  /// - Parameter part: at least one byte.
  init(_ part: [UInt8]) {
    self.part = part
    var border = 0
    borders = [0]
    for byte in part.dropFirst() {
      while border > 0, part[border] != byte { border = borders[border - 1] }
      if part[border] == byte { border += 1 }
      borders.append(border)
    }
  }

  /// Where it begins in a text, from the left, none within the one before it.
  ///
  /// - Parameter limit: how many are looked for.
  func places(in text: [UInt8], limit: Int) -> [Int] {
    var places: [Int] = []
    var matched = 0
    for (place, byte) in text.enumerated() {
      guard places.count < limit else { break }
      while matched > 0, part[matched] != byte { matched = borders[matched - 1] }
      if part[matched] == byte { matched += 1 }
      if matched == part.count {
        places.append(place + 1 - matched)
        matched = 0
      }
    }
    return places
  }
}

extension String {
  /// The parts between the first `limit` places where `mark` stands, which has a byte at least.
  func pieces(around mark: String, limit: Int) -> [String] {
    let text = Array(utf8)
    var pieces: [String] = []
    var start = 0
    for place in TextSearch(Array(mark.utf8)).places(in: text, limit: limit) {
      pieces.append(String(decoding: text[start..<place], as: UTF8.self))
      start = place + mark.utf8.count
    }
    return pieces + [String(decoding: text[start...], as: UTF8.self)]
  }

  /// Whether the bytes of another text stand somewhere in this one.
  func holds(_ part: String) -> Bool {
    part.isEmpty || !TextSearch(Array(part.utf8)).places(in: Array(utf8), limit: 1).isEmpty
  }

  /// The text without white space at its ends.
  func stripped(left: Bool = true, right: Bool = true) -> String {
    var view = unicodeScalars[...]
    while left, view.first?.isTemplateSpace == true { view.removeFirst() }
    while right, view.last?.isTemplateSpace == true { view.removeLast() }
    return String(view)
  }
}
