internal import CJSONC
internal import CPlatform
internal import CZstd

/// The program's own version.
package enum FathomVersion {
  /// As `fathom --version` prints it and outputs name it.
  package static let text = "0.2.0"

  /// The commit that a release was made from; nil for what was built otherwise.
  package static var commit: String? { fathom_commit().map { String(cString: $0) } }

  /// The C libraries that are at work, with their versions.
  package static var libraries: [(name: String, version: String)] {
    [
      ("zstd", String(cString: ZSTD_versionString())),
      ("json-c", String(cString: json_c_version())),
    ]
  }
}
