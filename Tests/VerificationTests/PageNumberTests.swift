import Foundation
import FoundationXML
import Pages
import Platform
import Reports
import Support
import Testing
import Verification

/// What a page shows is what the JSON document of the same report says.
@Suite struct PageNumberTests {
  private let page: XMLElement
  private let json: JSONDocument

  init() throws {
    let report = try SyntheticReport.make()
    let text = report.page(origin: PageOrigin(["fathom"], Stopwatch()))
    page = try XMLSchema.parse(Data(text.utf8))
    json = try JSONDocument(report.json.text(indent: nil))
  }

  /// The heights or widths of a figure's bars, from the left or the top.
  private func bars(_ path: String, _ attribute: String) throws -> [Double] {
    try page.nodes(forXPath: "\(path)/@\(attribute)").compactMap {
      $0.stringValue.flatMap(Double.init)
    }
  }

  /// Whether lengths are values times one factor, as they are from a true zero.
  private func expectProportional(_ lengths: [Double], _ values: [Double]) throws {
    #expect(lengths.count == values.count && lengths.count > 4)
    let factor = try #require(lengths.max()) / #require(values.max())
    for (length, value) in zip(lengths, values) {
      // Lengths have two digits behind the point.
      #expect(abs(length - factor * value) <= 0.02, "\(length) for \(value)")
    }
  }

  /// Whether lengths are a value's logarithm times one factor, and something added.
  private func expectLogarithmic(_ lengths: [Double], _ values: [Double]) throws {
    let pairs = zip(values.map { log10($0) }, lengths).sorted { $0.0 < $1.0 }
    let (first, last) = (try #require(pairs.first), try #require(pairs.last))
    let slope = (last.1 - first.1) / (last.0 - first.0)
    #expect(slope > 0)
    for (value, length) in pairs {
      #expect(abs(length - first.1 - slope * (value - first.0)) <= 0.02)
    }
  }

  @Test func barsOfPositionsAreTheDocuments() throws {
    let kl = try #require(json["main", "positions", "kl"] as? [Double])
    let bars = "//figure[@id='kl-main']//g[rect[@class='hit']]"
    try expectProportional(try self.bars("\(bars)/rect[@class='s0 lin']", "height"), kl)
    // The others are one path. The scale reaches down to a limit below all values.
    let path = "//figure[@id='kl-main']//path[@class='bars s0 log']/@d"
    let outline = try #require(try page.nodes(forXPath: path).first?.stringValue)
    let logarithms = try outline.split(separator: "M").map { bar in
      let words = bar.split { " hVz".contains($0) }.compactMap { Double($0) }
      try #require(words.count == 5 && words[2] == -words[4])
      return words[3] - words[1]
    }
    try #require(logarithms.count == kl.count)
    try expectLogarithmic(logarithms, kl)
  }

  @Test func barsAndRowsOfTheBlameAreTheDocuments() throws {
    let blame = json.list("blame")
    let losses = blame.compactMap { $0.number("klMean") }
    try expectProportional(
      try bars("//section[@id='blame']//rect[@class='own lin']", "width"), losses)
    try expectLogarithmic(
      try bars("//section[@id='blame']//rect[@class='own log']", "width"), losses)
    let rows = try page.nodes(forXPath: "//section[@id='blame']//tbody/tr")
    #expect(rows.count == blame.count)
    for (row, entry) in zip(rows, blame) {
      let cells = try row.nodes(forXPath: "td").compactMap(\.stringValue)
      let (bytes, loss) = (try #require(entry.integer("bytes")), entry.number("klMean") ?? .nan)
      #expect(cells[2] == Quantity.bytes(bytes))
      #expect(cells[3] == Quantity.significant(loss))
      let name = try #require(entry.string("name"))
      let titles = try page.nodes(forXPath: "//figure[@id='bytes-parts']//title")
        .compactMap(\.stringValue)
      let end = ": \(Quantity.bytes(bytes)), mean KL \(Quantity.significant(loss))"
      #expect(titles.contains { $0 == name.printable.text + end }, "\(name)")
    }
  }

  @Test func bytesAndErrorsOfLayersAreTheDocuments() throws {
    let layers = json.list("layers")
    let rows = try page.nodes(forXPath: "//section[@id='bytes']//tbody/tr")
    let titles = try page.nodes(forXPath: "//figure[@id='bytes-layers']//title")
      .compactMap(\.stringValue)
    #expect(rows.count == layers.count && titles.count == layers.count)
    for (place, layer) in layers.enumerated() {
      let bytes = Quantity.bytes(try #require(layer.integer("bytes")))
      let error = Quantity.significant(layer.number("ownNmse") ?? .nan)
      let cells = try rows[place].nodes(forXPath: "td").compactMap(\.stringValue)
      #expect([cells[0], cells[1], cells[3]] == ["\(place)", bytes, error])
      #expect(titles[place] == "layer \(place): \(bytes), own NMSE \(error)")
    }
  }

  @Test func hashesAreTheDocuments() throws {
    let origin = try page.nodes(forXPath: "//p[@class='origin']").first?.stringValue ?? ""
    for hash in [
      json.string("hashes", "reference", "blake3"), json.string("hashes", "candidate", "blake3"),
      json.string("hashes", "tokens"),
    ] {
      let hash = try #require(hash)
      #expect(hash.count == 64 && origin.contains(hash))
    }
  }

  /// A box for each figure with two scales, and nothing but styles behind it.
  @Test func everySwitchStandsBeforeWhatItSwitches() throws {
    let switches = try page.nodes(forXPath: "//input[@type='checkbox' and @class='scale']/@id")
      .compactMap(\.stringValue)
    #expect(switches.count >= 6 && Set(switches).count == switches.count)
    for id in switches {
      let label = try page.nodes(forXPath: "//input[@id='\(id)']/following-sibling::label[1]/@for")
      #expect(label.first?.stringValue == id)
      let after = "//input[@id='\(id)']/following-sibling::div[@class='scroll']"
      for scale in ["lin", "log"] {
        let marks = try page.nodes(
          forXPath: "\(after)//*[contains(concat(' ', @class, ' '), ' \(scale) ')]")
        #expect(!marks.isEmpty, "\(id), \(scale)")
      }
    }
    let log = "[contains(concat(' ', @class, ' '), ' log ')]"
    let marks = try page.nodes(forXPath: "//svg//*\(log)").count
    let switched = try page.nodes(forXPath: "//*[input[@class='scale']]//svg//*\(log)").count
    #expect(marks == switched && marks > 0)
  }
}
