internal import ArgumentParser
internal import Pages
internal import Platform
internal import Reports
internal import Verification

/// The forms that the report of `verify` comes in.
enum VerifyFormat: String, ExpressibleByArgument, CaseIterable {
  case text, json, junit, html, markdown

  func text(of reports: VerifyReports, _ clock: Stopwatch) -> OutputText {
    switch self {
    case .text: reports.text
    case .json: reports.json.printed() + "\n"
    case .junit: OutputText(document: reports.junit(clock))
    case .html:
      OutputText(
        document: reports.page(origin: PageOrigin(CommandLine.arguments, clock)))
    case .markdown: OutputText(document: reports.markdown)
    }
  }
}

/// A report and the file that it goes to: `junit=report.xml`.
struct ReportFile: ExpressibleByArgument {
  let format: VerifyFormat
  let name: String

  init?(argument: String) {
    // By bytes: a file's name may begin with a mark that would join the sign before it.
    let bytes = argument.utf8
    guard let place = bytes.firstIndex(of: UInt8(ascii: "=")) else { return nil }
    guard let format = VerifyFormat(rawValue: String(Substring(bytes[..<place]))) else {
      return nil
    }
    self.format = format
    name = String(Substring(bytes[bytes.index(after: place)...]))
    guard !name.isEmpty else { return nil }
  }
}
