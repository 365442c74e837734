internal import Codecs
internal import Platform

/// What `fathom --version --verbose` adds to the version: what a report of a fault needs.
enum VersionFacts {
  /// Whether arguments ask for it.
  static func areAsked(by arguments: some Sequence<String>) -> Bool {
    Set(arguments.map { ExactText($0) }) == ["--version", "--verbose"]
  }

  /// The kernels that are used, of those that this machine runs.
  static var kernels: String {
    "\(KernelLevel.best) of \(KernelLevel.available.map { "\($0)" }.joined(separator: ", "))"
  }

  /// The version, the commit, the kernels of this machine and the libraries.
  static var text: OutputText {
    var rows = [
      ("fathom", FathomVersion.text),
      ("commit", FathomVersion.commit ?? "not recorded: this is no release"),
      ("kernels", kernels),
    ]
    rows += FathomVersion.libraries.map { ($0.name, $0.version) }
    let width = rows.map(\.0.utf8.count).max() ?? 0
    return rows.map { name, value -> OutputText in
      "\(name)\(String(repeating: " ", count: width + 2 - name.utf8.count))\(value)\n"
    }.joined()
  }
}
