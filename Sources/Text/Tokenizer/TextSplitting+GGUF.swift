internal import Patterns
internal import Platform

extension TextSplitting {
  /// The name of Kimi's pattern.
  ///
  /// llama.cpp's own splitter of this name (`unicode_regex_split_custom_kimi_k2`) is not quite that
  /// pattern: it cuts words at combining marks, and `camelCase` not before the `C`. With a vocabulary
  /// of 151,643 tokens, Arabic and Thai texts got other ids there. Fathom cuts as the model's code does.
  static let kimi = "kimi-k2"

  /// Patterns by the name that a GGUF file gives them in `tokenizer.ggml.pre`. Each cuts what the
  /// ones before have left.
  ///
  /// They are those of the models' own tokenizers, as their `tokenizer.json` has them (Kimi-K2: its
  /// `tokenization_kimi.py`); llama.cpp knows them by these names.
  private static let patterns: [String: [String]] = [
    "deepseek-llm": [
      "[\r\n]", deepSeekLetters,
      #"\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+"#,
      #"\s+$"#, eastAsian,
      #"\p{N}"#,
    ],
    "deepseek-coder": ["[\r\n]", #"\s?\p{L}+"#, #"\s?\p{P}+"#, eastAsian, #"\p{N}"#],
    "deepseek-v3": deepSeekV3, "joyai-llm": deepSeekV3,
    "gpt-2": [gpt2],
    "glm4": [
      contraction + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"#
        + #"|\s*[\r\n]+|\s+(?!\S)|\s+"#
    ],
    "youtu": [
      #"[\x{AC00}-\x{D7A3}\x{3131}-\x{318E}]+"#
        + #"|[\x{FF01}\x{2026}\x{201C}\x{201D}\x{2018}\x{2019}\x{2014}\x{FF1A}\x{FF1B}\x{FF0C}"#
        + #"\x{3001}-\x{303F}\x{FE30}-\x{FE4F}]+|[\x{3105}-\x{312F}]+"#
        + #"|[\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+"#,
      #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"#
        + contraction + "?"
        + #"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"#
        + contraction + "?"
        + #"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
    ],
    kimi: [
      #"[\p{Han}]+|[^\r\n\p{L}\p{N}]?"# + kimiUpper + "*" + kimiLower + "+" + kimiContraction
        + #"|[^\r\n\p{L}\p{N}]?"# + kimiUpper + "+" + kimiLower + "*" + kimiContraction
        + #"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    ],
  ]

  private static let kimiUpper = #"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"#
  private static let kimiLower = #"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"#
  private static let kimiContraction = contraction + "?"
  private static let deepSeekV3 = [
    #"\p{N}{1,3}"#, #"[\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+"#,
    ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"##
      + #"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+"#
      + #"|\s+(?!\S)|\s+"#,
  ]
  private static let contraction = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
  private static let eastAsian = #"[\x{4E00}-\x{9FA5}\x{0800}-\x{4E00}\x{AC00}-\x{D7FF}]+"#

  /// Letters of scripts with two cases, and their like.
  private static let deepSeekLetters =
    #"\s?["#
    + #"A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}"#
    + #"\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}"#
    + #"\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}"#
    + #"\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}"#
    + #"\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}"#
    + #"\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}"#
    + #"\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}"#
    + #"\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}"#
    + #"\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}"#
    + #"\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}"#
    + #"\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}"#
    + #"\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F}"#
    + #"\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}"#
    + #"\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3}"#
    + #"\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}"#
    + #"\x{1E900}-\x{1E943}"#
    + "]+"

  /// The patterns of `tokenizer.ggml.pre`.
  ///
  /// - Throws: `.malformed` for a name that is not known.
  static func patterns(ggufName name: String, file: String) throws(Fault) -> [String] {
    guard let patterns = patterns[name] else {
      throw Fault(
        .malformed, "has a pre-tokenizer that is not supported", file: file,
        expected: "tokenizer.ggml.pre of " + patterns.keys.sorted().joined(separator: ", "),
        found: name)
    }
    return patterns
  }

  /// Names whose tokenizers take a piece that is a token as it is, whatever merges say.
  static let keepingWords: Set<String> = ["glm4", "youtu"]

  /// A text with what the splittings treat differently: contractions, runs of digits, scripts
  /// without spaces, marks, and white space of every kind.
  private static let probe =
    "It's THEY'LL we've 1234567 a1b22 x= (y) {z}//\n\n\t \r\n  end  \u{4E2D}\u{6587}\u{FF0C}"
    + "\u{3053}\u{3093}\u{30CA} \u{D55C}\u{AE00} caf\u{E9} e\u{301}t\u{E9} ABCdef \u{201C}q\u{201D}"
    + "\u{2014}\u{2026} \u{416}\u{438} #tag @me $5.00 \u{1F600}\u{1F600} \u{663}\u{664} "

  /// The first of the names that a GGUF file gives to splittings under which a text with much in it is
  /// cut in the same way; nil where that is none.
  static func ggufName(of splitting: TextSplitting, among names: [String]) -> String? {
    let text = Array(probe.utf8)
    func cuts(_ splitting: TextSplitting) -> [Range<Int>]? {
      var budget = MatchingBudget(bytes: text.count)
      return try? splitting.pieces(of: text, [0..<text.count], within: &budget).ranges
    }
    guard let own = cuts(splitting) else { return nil }
    return names.first { name in
      (try? TextSplitting(ggufName: name, file: "")).flatMap(cuts) == own
    }
  }

  /// The splitting that `tokenizer.ggml.pre` names.
  ///
  /// - Throws: `.malformed` for a name that is not known.
  init(ggufName name: String, file: String) throws(Fault) {
    var steps: [Step] = []
    for pattern in try TextSplitting.patterns(ggufName: name, file: file) {
      steps.append(.split(try RegularExpression(pattern), .isolated, inverted: false))
    }
    self.steps = steps
  }
}
