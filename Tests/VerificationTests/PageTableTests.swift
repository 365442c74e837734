import Foundation
import Reports
import Testing

/// Tables of pages: numbers of a column have their points below each other.
@Suite struct PageTableTests {
  private func rows(_ texts: [[String]]) -> [String] {
    HTML.table(["name", "number"], texts.map { HTML.cells($0) })
      .components(separatedBy: "<tr>").dropFirst(2)
      .map { $0.components(separatedBy: "</tr>")[0] }
  }

  /// What follows the point is as wide in each row, whatever its length.
  private func decimals(_ width: Int, _ text: String) -> String {
    "<span class=\"decimals\" style=\"width:\(width)ch\">\(text)</span></td>"
  }

  @Test func pointsStandInOneLine() {
    let rows = rows([
      ["a", "0.02408"], ["b", "12.35"], ["c", "3.122e-05"], ["d", "–"], ["e", "7"],
    ])
    #expect(rows.count == 5)
    #expect(rows[0].hasSuffix(">0" + decimals(8, ".02408")))
    #expect(rows[1].hasSuffix(">12" + decimals(8, ".35")))
    #expect(rows[2].hasSuffix(">3" + decimals(8, ".122e-05")))
    #expect(rows[3].hasSuffix(">–</td>"))
    #expect(rows[4].hasSuffix(">7" + decimals(8, "")))
  }

  /// Numbers that have them there anyway stay as they are, and so does what is no plain number.
  @Test(arguments: [
    ["1.25", "10.50"], ["1,024", "7"], ["1.25 GiB", "683 B"], ["a.b", "c.def"], ["–", "–"],
  ])
  func othersStay(texts: [String]) {
    #expect(rows(texts.map { ["name", $0] }).allSatisfy { !$0.contains("decimals") })
  }

  /// What a line of a plot says has no zeros that say nothing.
  @Test func labelsAreShort() {
    let labels = ValueAxis.fromZero(to: [0.0055]).ticks.map(\.label)
    #expect(labels == ["0", "0.002", "0.004", "0.006"])
    #expect(
      ValueAxis.fromZero(to: [100]).ticks.map(\.label) == ["0", "20", "40", "60", "80", "100"])
    #expect(ValueAxis.whole(around: [2.3, 3.9]).ticks.map(\.label) == ["2", "3", "4"])
    #expect(ValueAxis.fromZero(to: [1.5e-9]).ticks.last?.label == "1.5e-09")
  }
}
