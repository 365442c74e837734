internal import Patterns

/// What llama.cpp's converter reads out of a model's name, such as `DeepSeek-V3-0324` or
/// `Moonlight-16B-A3B-Instruct`: which part names the family, which a size, a version, a tuning.
package struct ModelName {
  /// The name without an organization before it.
  package private(set) var full: String
  /// What stands before a slash, as `deepseek-ai`.
  package private(set) var organization: String?
  /// The family, as `DeepSeek`.
  package private(set) var base: String?
  /// The tuning, as `Instruct`.
  package private(set) var finetune: String?
  /// The version, as `v0.3`.
  package private(set) var version: String?
  /// The size, as `16B-A3B`.
  package private(set) var sizeLabel: String?

  private enum Mark { case base, size, finetune, version, type }

  /// What a whole part is told by, in capitals or not. The standard library's own expressions would
  /// make the program larger by a megabyte and a half.
  private struct Kind {
    static let version = Kind(#"(v|iter)?\d+([.]\d+)*"#)
    static let type = Kind(#"i?q\d(_\w)*|b?fp?(16|32)"#)
    static let size = Kind(
      #"([A]|\d+[x])?\d+([._]\d+)?[KMBT][\d]?|small|mini|medium|large|x?xl"#)
    static let tuning = Kind("chat|instruct|vision|lora")
    /// A word that a title leaves as it is.
    static let spelled = Kind(#"v\d+(\.\d+)*|\d.*"#)

    private let pattern: RegularExpression

    private init(_ text: String) {
      do {
        pattern = try RegularExpression(python: #"(?i:\#(text))\Z"#)
      } catch {
        preconditionFailure("\(error)")
      }
    }

    /// A text of more ways than can be tried is of no kind.
    func fits(_ part: String) -> Bool {
      var steps = Int.max
      return (try? pattern.matches(startOf: part, steps: &steps)) ?? false
    }
  }

  /// Takes a name apart.
  ///
  /// - Parameter parameters: the model's number of weights; a size far from it is no size but,
  ///   most likely, a length of context.
  package init(_ name: String, parameters: Int) {
    full = name
    guard !name.contains(" ") else { return }
    if let slash = name.firstIndex(of: "/") {
      full = String(name[name.index(after: slash)...])
      let before = String(name[..<slash])
      organization = before.hasPrefix(".") ? nil : before
    }
    var parts = full.split(separator: "-").map(String.init)
    var marks = [Set<Mark>](repeating: [], count: parts.count)
    for index in parts.indices {
      (parts[index], marks[index]) = Self.mark(
        parts[index], isFirst: index == 0, parameters: parameters)
    }
    let sized = parts.indices.filter { marks[$0].contains(.size) }
    if sized.contains(where: { parts[$0].contains(where: \.isNumber) }) {
      for index in sized where parts[index].allSatisfy(\.isLetter) { marks[index].remove(.size) }
    }
    Self.markBase(parts, &marks)
    func joined(_ mark: Mark, unless other: Mark? = nil) -> String? {
      let chosen = parts.indices.filter { index in
        marks[index].contains(mark) && other.map { !marks[index].contains($0) } ?? true
      }
      return chosen.isEmpty ? nil : chosen.map { parts[$0] }.joined(separator: "-")
    }
    var sizes: [String] = []
    for index in parts.indices where marks[index].contains(.size) {
      if !sizes.contains(parts[index]) { sizes.append(parts[index]) }
    }
    sizeLabel = sizes.isEmpty ? nil : sizes.joined(separator: "-")
    finetune = joined(.finetune)
    version = joined(.version, unless: .base)
    base = joined(.base)
    // A lone word says too little.
    if sizeLabel == nil, finetune == nil, version == nil { base = nil }
  }

  /// A part as it is spelled from here on, and what it is by itself.
  private static func mark(
    _ part: String, isFirst: Bool, parameters: Int
  ) -> (String, Set<Mark>) {
    if Kind.version.fits(part) { return (part, [.version]) }
    if Kind.type.fits(part) { return (part.uppercased(), [.type]) }
    guard !isFirst else { return (part, []) }
    if Kind.size.fits(part) { return markSize(part, parameters: parameters) }
    return (part, Kind.tuning.fits(part) ? [.finetune] : [])
  }

  private static func markSize(_ part: String, parameters: Int) -> (String, Set<Mark>) {
    var text = part.map { $0 == "_" ? "." : $0 }
    if text[text.count - 1].isNumber {
      // `7b1` stands for 7.1B.
      let (unit, digit) = (text[text.count - 2], text[text.count - 1])
      text = text.dropLast(2) + [".", digit, unit]
    }
    if text.count > 1, text[text.count - 2].isNumber, "kmbt".contains(text[text.count - 1]) {
      text[text.count - 1] = Character(text[text.count - 1].uppercased())
    }
    let unit = Array(" KMBT").firstIndex(of: text[text.count - 1]) ?? -1
    guard parameters != 0, let count = Double(String(text.dropLast())) else {
      return (String(text), [.size])
    }
    var scale = unit < 0 ? 0.001 : 1.0
    for _ in 0..<max(0, unit) { scale *= 1000 }
    guard abs(count * scale - Double(parameters)) > Double(7 * parameters / 8) else {
      return (String(text), [.size])
    }
    text[text.count - 1] = Character(text[text.count - 1].lowercased())
    return (String(text), [.finetune])
  }

  /// The family's name: the words at the start; all that nothing else explains is a tuning.
  private static func markBase(_ parts: [String], _ marks: inout [Set<Mark>]) {
    var isStart = true
    for index in parts.indices {
      let isWord = marks[index].isEmpty && (parts[index].first?.isLetter ?? false)
      if isStart, isWord || marks[index].contains(.version) {
        marks[index].insert(.base)
      } else {
        isStart = false
        if marks[index].isEmpty { marks[index].insert(.finetune) }
      }
    }
    for index in parts.indices.reversed() {
      guard marks[index].contains(.base), marks[index].count > 1 else { return }
      marks[index].remove(.base)
    }
  }

  /// The name as a title: words of small letters get a capital, versions stay.
  package static func title(_ name: String) -> String {
    name.split { $0 == "-" || $0.isWhitespace }.map { word in
      let isLower = word.contains { $0.isLowercase } && !word.contains { $0.isUppercase }
      guard isLower, !Kind.spelled.fits(String(word)) else { return String(word) }
      var isInside = false
      return String(
        word.flatMap { character -> String in
          defer { isInside = character.isLetter }
          return isInside ? String(character) : character.uppercased()
        })
    }.joined(separator: " ")
  }
}
