internal import Inspection
internal import Platform
internal import Reports
internal import Tensors

extension VerifyReport {
  /// Layers, positions and rows of the blame that the summary names.
  private static let markdownRows = 5
  /// Differences of configs, notes and heads that it names.
  private static let markdownLimit = 20

  /// A short summary in GitHub's Markdown, for the summary of a CI step: the verdict first.
  package var markdown: String {
    let heads = Array(heads.prefix(VerifyReport.markdownLimit))
    var parts = [
      "### fathom verify: \(markdownVerdict)",
      "\(Markdown.code(candidate)) against \(Markdown.code(reference))",
    ]
    if !thresholdRows.isEmpty {
      parts.append(Markdown.table(["limit", "", "", "measured", ""], thresholdRows))
    }
    parts.append(
      Markdown.table(
        ["logits"] + heads.map(\.name),
        measures.map { row in
          [row.title.drop { $0 == " " }.description] + heads.map { row.value($0.metrics) }
        }))
    parts += draftLines.map(\.text)
    parts += configDifferences.prefix(VerifyReport.markdownLimit).map {
      "Config: \(Markdown.code($0.name)) is \(Markdown.code($0.candidate)), the reference's "
        + Markdown.code($0.reference)
    }
    parts += [markdownLayers, markdownBlame, markdownTypes].compactMap { $0 }
    parts += notes.prefix(VerifyReport.markdownLimit).map { "Note: \(Markdown.code($0))" }
    return parts.joined(separator: "\n\n") + "\n"
  }

  private var markdownVerdict: String {
    switch verdict {
    case .pass: "pass ✅"
    case .fail: "fail ❌"
    case .measured: "measured, \(limitsText)"
    }
  }

  private var thresholdRows: [[String]] {
    outcomes.map {
      [
        $0.name, $0.isLeast ? "≥" : "≤", Quantity.significant($0.limit),
        Quantity.significant($0.value), $0.holds ? "✅" : "❌",
      ]
    }
      + heads.prefix(VerifyReport.markdownLimit).filter { $0.metrics.nonFinite > 0 }.map {
        ["logits of \($0.name) not finite", "≤", "0", Quantity.count($0.metrics.nonFinite), "❌"]
      }
  }

  /// The layers that are furthest off, the worst first.
  private var markdownLayers: String? {
    let worst = comparison.layers.filter { $0.hiddenNmse != 0 }.sorted {
      ($0.hiddenNmse.badness, $1.index) > ($1.hiddenNmse.badness, $0.index)
    }.prefix(VerifyReport.markdownRows)
    guard !worst.isEmpty else { return nil }
    let isolated = worst.contains { $0.own != nil }
    let chooses = worst.contains { $0.keyAgreement != nil }
    return Markdown.table(
      ["worst layers", "hidden-state NMSE"] + (isolated ? ["own NMSE"] : []) + ["same experts"]
        + (chooses ? ["same keys"] : []),
      worst.map { layer in
        ["\(layer.index)", Quantity.significant(layer.hiddenNmse)]
          + (isolated ? [layer.own.map { Quantity.significant($0.nmse) } ?? "–"] : [])
          + [layer.routerAgreement.map(Quantity.attained) ?? "–"]
          + (chooses ? [layer.keyAgreement.map(Quantity.attained) ?? "–"] : [])
      })
  }

  private var markdownBlame: String? {
    guard let blame, !blame.isEmpty else { return nil }
    return Markdown.table(
      ["blame", "KL, mean", "weights NMSE"],
      blame.prefix(VerifyReport.markdownRows).map {
        [
          $0.name, Quantity.significant($0.klMean),
          $0.weightNmse.map(Quantity.significant) ?? "–",
        ]
      }, namesFirst: true)
  }

  private var markdownTypes: String? {
    let types = Inspection.sorted(candidateTypes.types)
    let total = types.reduce(0) { $0 + $1.tally.bytes }
    guard total > 0 else { return nil }
    let shares = types.map {
      "\($0.type.rawValue) \(Quantity.percent(Double($0.tally.bytes) / Double(total)))"
    }
    return Markdown.escape(
      "The candidate takes \(Quantity.bytes(total)): \(shares.joined(separator: ", "))")
  }
}

/// GitHub's Markdown, with texts that cannot leave their place.
///
/// A text from outside always stands in code. Nowhere else is it safe: GitHub makes links of `www.`,
/// `@name`, `#1`, addresses and hashes in the page that it has made of the Markdown, where a character
/// that was written as a number is that character again.
enum Markdown {
  /// A table; titles and cells are words of this program.
  ///
  /// - Parameter namesFirst: whether the first cells of rows are texts from outside.
  static func table(_ titles: [String], _ rows: [[String]], namesFirst: Bool = false) -> String {
    let lines = rows.map { row in
      row.enumerated().map { $0 == 0 && namesFirst ? code($1) : escape($1) }
    }
    return ([titles.map(escape), titles.map { _ in "---" }] + lines).map {
      "| " + $0.joined(separator: " | ") + " |"
    }.joined(separator: "\n")
  }

  /// A text from outside as code. What would end the code, a table's cell or be left out is written
  /// as `printable` writes what does not show.
  static func code(_ text: String) -> String {
    let characters = text.printable.text.unicodeScalars
    var result = ""
    let last = characters.count - 1
    for (place, character) in characters.enumerated() {
      switch character {
      case "`", "|": result += "\\u{\(String(character.value, radix: 16))}"
      case " " where place == 0 || place == last: result += "\\u{20}"
      default: result.unicodeScalars.append(character)
      }
    }
    return result.isEmpty ? "` `" : "`\(result)`"
  }

  /// Words of this program, every character as a number that Markdown or HTML gives a meaning.
  static func escape(_ words: String) -> String {
    var result = ""
    for character in words.printable.text.unicodeScalars {
      if special.contains(character) {
        result += "&#\(character.value);"
      } else {
        result.unicodeScalars.append(character)
      }
    }
    return result
  }

  /// Marks of emphasis, code, links, images, tables, headings, HTML, mathematics and short names of
  /// emoji.
  private static let special = Set("\\`*_{}[]<>|#~&!$@:^\"'".unicodeScalars)
}
